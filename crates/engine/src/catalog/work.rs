//! How much work a schema can make, known before it is used.
//!
//! It exists because a few lines of schema can ask for a check that never ends: definitions that each refer to the
//! next one twice, or a schema that applies itself to every member twice, double the work at each level. Nothing can
//! stop a check that runs, so that what could run too long is refused when the schema is put. For each value that an
//! event can hold, the schemas that would look at it are followed (with how often each does), a set of them at a
//! time; what leads to more than [`VISITS_MAX`] looks at one value is refused. Invariant: checking data of `n` values
//! takes at most `n` times [`Work::steps`] steps, and as deep a stack as the data is deep times [`CHAIN_MAX`].
//! Read `schema.rs` next.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ptr;

use serde_json::{Map, Value};

use super::keywords::in_place;
use super::outline::Outline;

/// How often schemas may look at one value.
pub(super) const VISITS_MAX: u32 = 256;
/// How many schemas may be entered one through the other at one value.
pub(super) const CHAIN_MAX: usize = 12;
/// How many different sets of schemas one schema may lead to.
const SETS_MAX: usize = 10_000;
/// How many schemas those sets may hold in all.
const ENTERED_MAX: usize = 500_000;
/// Of a list in a schema (`enum`, `required`, `properties`), so many entries count as one step.
const ENTRIES_OF_A_STEP: usize = 8;

/// What checking one value takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    /// Steps at one value.
    pub(super) steps: u64,
}

/// Why a schema makes too much work: a sentence that begins with the schema.
pub(super) type TooMuch = String;

/// Schemas that look at one value: by address, with how often each does.
type Set<'a> = BTreeMap<usize, (u32, &'a Value)>;

/// What `outline`'s schema takes.
pub(super) fn bound(outline: &Outline<'_>) -> Result<Work, TooMuch> {
    let mut seen: HashSet<Vec<(usize, u32)>> = HashSet::new();
    let mut work = Work { steps: 1 };
    let mut waiting = vec![set_of(1, outline.root())];
    let mut entered = 0;
    while let Some(set) = waiting.pop() {
        let key: Vec<(usize, u32)> = set.iter().map(|(at, (times, _))| (*at, *times)).collect();
        if key.is_empty() || !seen.insert(key) {
            continue;
        }
        entered += set.len();
        if seen.len() > SETS_MAX || entered > ENTERED_MAX {
            return Err(format!("combines its parts in more than {SETS_MAX} ways; make it simpler"));
        }
        let mut look = Look { outline, all: Set::new(), visits: 0 };
        for (times, schema) in set.values() {
            look.enter(schema, *times, 0)?;
        }
        let steps = look.all.values().map(|(times, schema)| u64::from(*times) * steps_of(schema)).sum();
        work.steps = work.steps.max(steps);
        entered += below(&look.all, &mut waiting);
    }
    Ok(work)
}

struct Look<'o, 'a> {
    outline: &'o Outline<'a>,
    /// Every schema that looks at the value.
    all: Set<'a>,
    visits: u32,
}

impl<'a> Look<'_, 'a> {
    /// A schema looks at the value `times` times, and with it all that it applies to the same value.
    fn enter(&mut self, schema: &'a Value, times: u32, depth: usize) -> Result<(), TooMuch> {
        self.visits = self.visits.saturating_add(times);
        if self.visits > VISITS_MAX {
            return Err(format!(
                "would have one value looked at more than {VISITS_MAX} times, as where definitions refer to each other \
                 more than once; make it simpler"
            ));
        }
        if depth > CHAIN_MAX {
            return Err(format!("leads through more than {CHAIN_MAX} schemas at one value; make it simpler"));
        }
        add(&mut self.all, times, schema);
        // What was evaluated is found out by evaluating it once more.
        let again = ["unevaluatedProperties", "unevaluatedItems"].iter().any(|it| schema.get(it).is_some());
        let times = if again { times.saturating_mul(2) } else { times };
        if let Some(target) = self.outline.target(schema) {
            self.enter(target, times, depth + 1)?;
        }
        let mut entered = Ok(());
        in_place(schema, |other| {
            if entered.is_ok() {
                entered = self.enter(other, times, depth + 1);
            }
        });
        entered
    }
}

fn set_of(times: u32, schema: &Value) -> Set<'_> {
    let mut set = Set::new();
    add(&mut set, times, schema);
    set
}

fn add<'a>(set: &mut Set<'a>, times: u32, schema: &'a Value) {
    // `true`, `false` and `{}` look at nothing further.
    if schema.as_object().is_some_and(|members| !members.is_empty()) {
        let entry = set.entry(ptr::from_ref(schema).addr()).or_insert((0, schema));
        entry.0 = entry.0.saturating_add(times);
    }
}

/// The sets that look at the parts of a value that `all` look at; answers how many schemas were looked through for it.
fn below<'a>(all: &Set<'a>, waiting: &mut Vec<Set<'a>>) -> usize {
    let objects = || all.values().filter_map(|(times, schema)| Some((*times, schema.as_object()?)));
    let names: BTreeSet<&str> = objects()
        .filter_map(|(_, schema)| schema.get("properties")?.as_object())
        .flat_map(|properties| properties.keys().map(String::as_str))
        .collect();
    let elements =
        objects().filter_map(|(_, schema)| schema.get("prefixItems")?.as_array()).map(Vec::len).max();
    let parts = names.len() + elements.unwrap_or_default() + 3;
    let mut others = Set::new();
    for name in names.into_iter().map(Some).chain([None]) {
        let mut set = Set::new();
        objects().for_each(|(times, schema)| member(&mut set, times, schema, name));
        waiting.push(set);
    }
    for at in 0..=elements.unwrap_or_default() {
        let mut set = Set::new();
        objects().for_each(|(times, schema)| element(&mut set, times, schema, at));
        waiting.push(set);
    }
    for (times, schema) in objects() {
        if let Some(names) = schema.get("propertyNames") {
            add(&mut others, times, names);
        }
    }
    waiting.push(others);
    parts * all.len()
}

/// What looks at a member of this name, or of one that no schema names. Every pattern is taken to match it.
fn member<'a>(set: &mut Set<'a>, times: u32, schema: &'a Map<String, Value>, name: Option<&str>) {
    let named = name.and_then(|name| schema.get("properties")?.get(name));
    if let Some(named) = named {
        add(set, times, named);
    }
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    patterns.into_iter().flat_map(Map::values).for_each(|pattern| add(set, times, pattern));
    let others = if named.is_some() { None } else { schema.get("additionalProperties") };
    for other in others.into_iter().chain(schema.get("unevaluatedProperties")) {
        add(set, times, other);
    }
}

/// What looks at the element at this place.
fn element<'a>(set: &mut Set<'a>, times: u32, schema: &'a Map<String, Value>, at: usize) {
    let own = schema.get("prefixItems").and_then(|all| all.get(at)).or_else(|| schema.get("items"));
    for one in own.into_iter().chain(schema.get("contains")).chain(schema.get("unevaluatedItems")) {
        add(set, times, one);
    }
}

/// The steps of one look.
fn steps_of(schema: &Value) -> u64 {
    let lists = ["enum", "required", "properties", "patternProperties", "dependentRequired"];
    let entries = lists.iter().map(|keyword| match schema.get(keyword) {
        Some(Value::Array(all)) => all.len(),
        // Each pattern is tried on each name.
        Some(Value::Object(all)) if *keyword == "patternProperties" => all.len() * ENTRIES_OF_A_STEP,
        Some(Value::Object(all)) => all.len(),
        _ => 0,
    });
    1 + u64::try_from(entries.sum::<usize>() / ENTRIES_OF_A_STEP).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(schema: &Value) -> Result<Work, TooMuch> {
        bound(&Outline::of(schema, "").unwrap())
    }

    /// Definitions of which each refers to the next one twice.
    fn doubling(levels: usize, through: &str) -> Value {
        let mut defs = Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            let twice = match through {
                "allOf" => json!({"allOf": [next, next]}),
                "members" => json!({"properties": {"a": next, "b": next}}),
                _ => json!({"anyOf": [{"properties": {"a": next}}, {"properties": {"a": next}}]}),
            };
            defs.insert(format!("d{level}"), twice);
        }
        defs.insert(format!("d{levels}"), json!({"type": "string"}));
        json!({"$ref": "#/$defs/d0", "$defs": defs})
    }

    #[test]
    fn what_doubles_at_each_level_is_refused() {
        assert!(of(&doubling(3, "allOf")).is_ok());
        assert!(of(&doubling(5, "allOf")).is_ok());
        assert!(of(&doubling(12, "allOf")).unwrap_err().contains("more than 12 schemas"));
        let eight = json!({"allOf": vec![json!({"allOf": vec![json!({"anyOf": vec![json!({"minimum": 1}); 8]}); 8]}); 8]});
        assert!(of(&eight).unwrap_err().contains("more than 256 times"));
        assert!(of(&doubling(3, "anyOf")).is_ok());
        assert!(of(&doubling(30, "anyOf")).unwrap_err().contains("more than 256 times"));
        // Each member is another value: however many there are, each is looked at once.
        assert!(of(&doubling(30, "members")).unwrap().steps <= 4);
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_taken_where_that_ends() {
        let tree = json!({"type": "object", "properties": {"children": {"items": {"$ref": "#"}}}});
        assert_eq!(of(&tree).unwrap(), Work { steps: 2 });
        let any_json = json!({"anyOf": [{"type": "string"}, {"items": {"$ref": "#"}}, {"additionalProperties": {"$ref": "#"}}]});
        assert!(of(&any_json).is_ok());
        for endless in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}}),
            json!({"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}),
            json!({"properties": {"a": {"$ref": "#"}}, "unevaluatedProperties": false, "anyOf": [{"properties": {"a": {"$ref": "#"}}}]}),
        ] {
            assert!(of(&endless).is_err(), "{endless}");
        }
    }

    #[test]
    fn long_lists_count() {
        let values: Vec<u32> = (0..800).collect();
        assert_eq!(of(&json!({"enum": values})).unwrap().steps, 101);
    }
}
