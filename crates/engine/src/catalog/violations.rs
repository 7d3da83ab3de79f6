//! Data held against a schema: everything that is wrong with it, each with its place.
//!
//! It exists apart from compiling because it is on the way of events. Good data costs one pass; only bad data is
//! looked at again for what is wrong. Invariants: the steps of a check are bounded by [`STEPS_MAX`], its answer by
//! [`VIOLATIONS_MAX`]; no answer repeats a value of the event. Read `breaks/mod.rs` next.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::keywords::escaped;
use super::schema::Schema;
use crate::error::FieldProblem;

/// The most violations that are named of one event.
pub const VIOLATIONS_MAX: usize = 50;
/// The most steps that checking one event may take.
const STEPS_MAX: u64 = 4_000_000;
/// With more steps than this, what is wrong is not looked for, only whether anything is.
const NAMED_STEPS_MAX: u64 = 100_000;
/// With more steps than this, a check is not made where others wait for their turn.
const SHORT_STEPS_MAX: u64 = 20_000;
/// The longest part of a schema that is shown in a violation, in characters.
const SHOWN_CHARS_MAX: usize = 200;

impl Schema {
    /// What is wrong with `data`, which is JSON that was checked; each place begins with `pointer`.
    #[must_use]
    pub fn violations(&self, data: &str, pointer: &str) -> Vec<FieldProblem> {
        let value: Value = match serde_json::from_str(data) {
            Ok(value) => value,
            Err(_) => {
                let detail = "holds a number that no double can hold, so that it cannot be checked";
                return vec![FieldProblem::at(pointer, "schema_unreadable", detail)];
            }
        };
        self.violations_of(&value, data.len(), pointer)
    }

    /// The same of a value that is `bytes` long as JSON.
    pub(super) fn violations_of(&self, value: &Value, bytes: usize, pointer: &str) -> Vec<FieldProblem> {
        let most = self.steps_at_most(bytes);
        let steps = if most <= NAMED_STEPS_MAX { most } else { self.work.steps.saturating_mul(count(value)) };
        if steps > STEPS_MAX {
            let detail = format!(
                "holds so many values that checking them would take up to {steps} steps; at most {STEPS_MAX} are made"
            );
            return vec![FieldProblem::at(pointer, "schema_too_much", detail)];
        }
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        if steps > NAMED_STEPS_MAX {
            let detail = "is not as its schema has it; it holds too many values to say where";
            return vec![FieldProblem::at(pointer, "schema_mismatch", detail)];
        }
        let mut found = Vec::new();
        for error in self.validator.iter_errors(value) {
            told(&error, value, pointer, &mut found);
            if found.len() >= VIOLATIONS_MAX {
                break;
            }
        }
        found.truncate(VIOLATIONS_MAX);
        found
    }

    /// Whether looking for what is wrong may take long, in data of so many bytes.
    pub(crate) fn takes_long(&self, bytes: usize) -> bool {
        self.steps_at_most(bytes) > SHORT_STEPS_MAX
    }

    /// Every value but the outermost takes two bytes at least: itself and a comma or bracket.
    fn steps_at_most(&self, bytes: usize) -> u64 {
        self.work.steps.saturating_mul(u64::try_from(bytes / 2 + 1).unwrap_or(u64::MAX))
    }
}

/// How many values there are in a value, itself among them. The data's depth is bounded by whoever read it.
fn count(value: &Value) -> u64 {
    1 + match value {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Object(all) => all.values().map(count).sum::<u64>(),
        _ => 0,
    }
}

/// Says what one error means: one violation, or one for each member that should not be there.
fn told(error: &ValidationError<'_>, data: &Value, pointer: &str, found: &mut Vec<FieldProblem>) {
    let place = format!("{pointer}{}", error.instance_path().as_str());
    let member = |name: &str| format!("{place}/{}", escaped(name));
    let unknown = |name: &str| {
        let detail = "is not known to the schema, which takes no further members here";
        FieldProblem::at(member(name), "schema_unknown_member", detail)
    };
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            found.push(FieldProblem::at(
                member(name),
                "schema_required",
                "is missing; the schema requires it",
            ));
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            found.extend(unexpected.iter().take(VIOLATIONS_MAX).map(|name| unknown(name)));
        }
        // An object that takes no members at all is told as a whole.
        Kind::FalseSchema if error.schema_path().as_str().ends_with("/additionalProperties") => {
            let object = data.pointer(error.instance_path().as_str()).and_then(Value::as_object);
            let names = object.into_iter().flat_map(|members| members.keys());
            found.extend(names.take(VIOLATIONS_MAX).map(|name| unknown(name)));
        }
        Kind::PropertyNames { error } => {
            let name = error.instance().as_str().unwrap_or_default().to_owned();
            let detail = format!("has a name that the schema does not take: {}", sentence(error.kind()).1);
            found.push(FieldProblem::at(member(&name), "schema_name", detail));
        }
        kind => {
            let (code, detail) = sentence(kind);
            found.push(FieldProblem::at(place, code, detail));
        }
    }
}

/// A stable name, and what would be right.
fn sentence(kind: &Kind) -> (&'static str, String) {
    let shown = |value: &dyn std::fmt::Display| -> String {
        let text = value.to_string();
        let short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        if short.len() < text.len() { format!("{short}…") } else { short }
    };
    match kind {
        Kind::Type { kind } => ("schema_type", format!("must be {}", types(kind))),
        Kind::Enum { options } => ("schema_enum", format!("must be one of {}", shown(options))),
        Kind::Constant { expected_value } => ("schema_enum", format!("must be {}", shown(expected_value))),
        Kind::Minimum { limit } => ("schema_range", format!("must be {} or more", shown(limit))),
        Kind::ExclusiveMinimum { limit } => ("schema_range", format!("must be more than {}", shown(limit))),
        Kind::Maximum { limit } => ("schema_range", format!("must be {} or less", shown(limit))),
        Kind::ExclusiveMaximum { limit } => ("schema_range", format!("must be less than {}", shown(limit))),
        Kind::MultipleOf { multiple_of } => ("schema_range", format!("must be a multiple of {multiple_of}")),
        Kind::MinLength { limit } => ("schema_length", format!("must have {limit} characters or more")),
        Kind::MaxLength { limit } => ("schema_length", format!("must have {limit} characters or fewer")),
        Kind::MinItems { limit } => ("schema_length", format!("must have {limit} elements or more")),
        Kind::MaxItems { limit } => ("schema_length", format!("must have {limit} elements or fewer")),
        Kind::MinProperties { limit } => ("schema_length", format!("must have {limit} members or more")),
        Kind::MaxProperties { limit } => ("schema_length", format!("must have {limit} members or fewer")),
        Kind::Pattern { pattern } => ("schema_pattern", format!("must match {}", shown(pattern))),
        Kind::UniqueItems => ("schema_unique", "must not hold the same element twice".to_owned()),
        Kind::Contains => ("schema_contains", "does not hold the elements that it must contain".to_owned()),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
            ("schema_alternatives", "is as none of the schema's alternatives has it".to_owned())
        }
        Kind::OneOfMultipleValid { .. } => {
            ("schema_alternatives", "is as more than one of the schema's alternatives has it".to_owned())
        }
        Kind::Not { .. } => ("schema_not", "is as the schema says that it must not be".to_owned()),
        Kind::FalseSchema => ("schema_false", "must not be there".to_owned()),
        Kind::AdditionalItems { .. } | Kind::UnevaluatedItems { .. } => {
            ("schema_length", "holds elements that the schema does not know".to_owned())
        }
        other => ("schema_mismatch", format!("is not as the schema's {} has it", other.keyword())),
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => in_words(one.as_str()).to_owned(),
        TypeKind::Multiple(all) => {
            let names: Vec<&str> = all.iter().map(|it| in_words(it.as_str())).collect();
            names.join(" or ")
        }
    }
}

fn in_words(name: &'static str) -> &'static str {
    match name {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "an array",
        "object" => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    use crate::clock::{Clock as _, SystemClock};

    fn found(schema: &Value, data: &str) -> Vec<(String, &'static str)> {
        let schema = Schema::compile(&schema.to_string(), "").unwrap();
        schema.violations(data, "/data").into_iter().map(|it| (it.pointer, it.code)).collect()
    }

    #[test]
    fn every_violation_has_its_place() {
        let schema = json!({"type": "object", "required": ["id", "kind"], "additionalProperties": false, "properties": {
            "id": {"type": "string"}, "kind": {"enum": ["a", "b"]}, "n": {"minimum": 1},
            "list": {"items": {"type": ["string", "null"], "maxLength": 2}}, "a/b": {"pattern": "^x"}}});
        assert_eq!(found(&schema, r#"{"id":"1","kind":"a","n":1,"list":["x",null]}"#), []);
        let mut all =
            found(&schema, r#"{"kind":"c","n":0,"list":["x","long",7],"a/b":"y","more":1,"other~":2}"#);
        all.sort();
        let expected = [
            ("/data/a~1b", "schema_pattern"),
            ("/data/id", "schema_required"),
            ("/data/kind", "schema_enum"),
            ("/data/list/1", "schema_length"),
            ("/data/list/2", "schema_type"),
            ("/data/more", "schema_unknown_member"),
            ("/data/n", "schema_range"),
            ("/data/other~0", "schema_unknown_member"),
        ];
        assert_eq!(all, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    }

    #[test]
    fn no_violation_repeats_a_value_of_the_event() {
        let schema = json!({"properties": {"a": {"type": "string"}, "b": {"enum": [1]}, "c": {"pattern": "^x$"},
            "d": {"anyOf": [{"type": "string"}, {"const": 1}]}, "e": {"not": {}}, "f": {"maxLength": 1},
            "g": {"uniqueItems": true}, "h": false, "i": {"format": "email"}, "j": {"multipleOf": 2}}});
        let schema = Schema::compile(&schema.to_string(), "").unwrap();
        let data = r#"{"a":424242,"b":"424242","c":"424242","d":424242,"e":"424242","f":"424242","g":["424242","424242"],"h":"424242","i":"424242","j":424241}"#;
        let all = schema.violations(data, "/data");
        assert_eq!(all.len(), 9, "format is no check: {all:?}");
        assert!(all.iter().all(|it| !it.detail.contains("4242")), "{all:?}");
    }

    #[test]
    fn the_answer_has_a_bound() {
        let schema = json!({"items": {"type": "string"}, "additionalProperties": false});
        let many = format!("[{}1]", "1,".repeat(999));
        assert_eq!(found(&schema, &many).len(), VIOLATIONS_MAX);
        let many: Vec<String> = (0..1_000).map(|n| format!("\"m{n}\":1")).collect();
        assert_eq!(found(&schema, &format!("{{{}}}", many.join(","))).len(), VIOLATIONS_MAX);
        let most = format!("[{}1]", "1,".repeat(500_000));
        assert_eq!(found(&schema, &most), [("/data".to_owned(), "schema_mismatch")]);
        assert_eq!(found(&schema, r#"{"x":1e999}"#), [("/data".to_owned(), "schema_unreadable")]);
    }

    /// Data that is as bad as it gets for a schema, and that the schema takes still: within a bounded time.
    #[test]
    fn a_schema_that_blows_up_does_not_hold_up_an_event() {
        let branch = |n: u32| json!({"required": [format!("k{n}")], "properties": {"a": {"maxLength": n}}});
        let wide: Vec<Value> = (0..120).map(branch).collect();
        let deep = format!("{}\"x\"{}", r#"{"a":"#.repeat(126), "}".repeat(126));
        let text = format!("\"{}\"", "a".repeat(1_000_000));
        let letters: String =
            (0..1_000_000_u32).map(|n| if n.count_ones() % 2 == 0 { 'a' } else { 'b' }).collect();
        let letters = format!("\"{letters}\"");
        let many = format!("[{}1]", "1,".repeat(500_000));
        let most = format!("[{}1]", "1,".repeat(16_000));
        let unique = format!("[{}0]", (0..150_000).map(|n| format!("{n},")).collect::<String>());
        for (schema, data) in [
            (json!({"anyOf": wide}), deep.as_str()),
            (json!({"oneOf": [{"type": "string"}, {"additionalProperties": {"$ref": "#"}}]}), &deep),
            (json!({"pattern": "^(a+)+$"}), &text),
            (json!({"pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}), &text),
            (json!({"pattern": "(a?){50}b"}), &text),
            // As a table, this one would have a state for each way in which the last eighteen letters can fall.
            (json!({"pattern": "(a|b)*a(a|b){18}c"}), &letters),
            (json!({"items": {"anyOf": wide}}), &many),
            (json!({"items": {"anyOf": wide}}), &most),
            (json!({"items": {"anyOf": wide, "not": {}}}), &most),
            (json!({"uniqueItems": true}), &unique),
            (
                json!({"unevaluatedProperties": false, "allOf": [{"unevaluatedProperties": false, "allOf": [{"properties": {"a": {}}}]}]}),
                &deep,
            ),
        ] {
            let schema = Schema::compile(&schema.to_string(), "").unwrap();
            let clock = SystemClock::new();
            let _whatever = schema.violations(data, "/data");
            let shown: String = data.chars().take(20).collect();
            let took = clock.elapsed();
            assert!(took < Duration::from_secs(10), "{shown}: {took:?}");
        }
    }

    /// The deepest data through the longest chain, on a stack of the size that serving threads have.
    #[test]
    fn the_deepest_check_fits_a_threads_stack() {
        let mut link = json!({"$ref": "#/$defs/node"});
        for at in 0..7 {
            link = if at % 2 == 0 {
                json!({"allOf": [link]})
            } else {
                json!({"anyOf": [link, {"type": "null"}]})
            };
        }
        let node = json!({"type": ["object", "string"], "minLength": 2, "properties": {"a": link}});
        let schema = json!({"$ref": "#/$defs/node", "$defs": {"node": node}}).to_string();
        let check = move || {
            let schema = Schema::compile(&schema, "").unwrap();
            for (leaf, good) in [("xy", true), ("x", false)] {
                let data = format!("{}\"{leaf}\"{}", r#"{"a":"#.repeat(126), "}".repeat(126));
                assert_eq!(schema.violations(&data, "").is_empty(), good);
            }
        };
        let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(check).unwrap();
        assert!(thread.join().is_ok());
    }
}
