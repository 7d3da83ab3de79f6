//! Types, listed values, limits, and everything that is compared as it stands.
//!
//! What narrows breaks nobody; what widens does. Read `../violations.rs` again.

use serde_json::Value;

use super::Compare;
use super::flat::{Flat, names};

/// What may grow, but not shrink or go.
const LOWER: [&str; 6] =
    ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"];
/// What may shrink, but not grow or go.
const UPPER: [&str; 6] =
    ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"];
/// What stays, or breaks.
const AS_IT_STANDS: [&str; 15] = [
    "pattern",
    "format",
    "uniqueItems",
    "contentEncoding",
    "contentMediaType",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependentRequired",
    "propertyNames",
    "unevaluatedItems",
    "multipleOf",
];
/// The longest value of a schema that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 80;

impl Compare<'_> {
    pub(super) fn values(&mut self, old: &Flat, new: &Flat, place: &str) {
        self.types(old, new, place);
        self.listed(old, new, place);
        for (keywords, lower) in [(&LOWER, true), (&UPPER, false)] {
            for keyword in keywords {
                self.limit(old.get(keyword), new.get(keyword), lower, &format!("{place}/{keyword}"));
            }
        }
        for keyword in AS_IT_STANDS {
            let Some(before) = old.get(keyword).filter(|it| **it != Value::Bool(false)) else { continue };
            match new.get(keyword) {
                Some(now) if now == before => {}
                Some(Value::Number(now)) if keyword == "multipleOf" && is_multiple(now, before) => {}
                _ => {
                    let detail = format!("was {}, which holds no longer", shown(before));
                    self.broken(&format!("{place}/{keyword}"), "constraint_dropped", detail);
                }
            }
        }
        for part in old.also() {
            if !new.also().contains(part)
                && !part.as_object().into_iter().flatten().all(|(k, v)| new.get(k) == Some(v))
            {
                let detail = format!("held {} too, which holds no longer", shown(part));
                self.broken(&format!("{place}/allOf"), "constraint_dropped", detail);
            }
        }
    }

    fn types(&mut self, old: &Flat, new: &Flat, place: &str) {
        let Some(before) = old.get("type").map(names) else { return };
        let listed: Option<Vec<&str>> = new.list("enum").map(|all| all.iter().map(type_of).collect());
        let now = match (new.get("type").map(names), listed) {
            // What is listed narrows what the type says.
            (Some(types), Some(listed)) => listed.into_iter().filter(|it| has(&types, it)).collect(),
            (Some(types), None) => types,
            (None, Some(listed)) => listed,
            (None, None) => {
                let detail = format!("was {}, and may be anything now", before.join(" or "));
                return self.broken(&format!("{place}/type"), "type_widened", detail);
            }
        };
        let mut more: Vec<&str> = now.into_iter().filter(|name| !has(&before, name)).collect();
        more.sort_unstable();
        more.dedup();
        if !more.is_empty() {
            let detail = format!("was {}, and may be {} now", before.join(" or "), more.join(" or "));
            self.broken(&format!("{place}/type"), "type_widened", detail);
        }
    }

    fn listed(&mut self, old: &Flat, new: &Flat, place: &str) {
        let Some(before) = old.list("enum") else { return };
        let place = format!("{place}/enum");
        match new.list("enum") {
            None => self.broken(&place, "value_added", "was one of listed values, and may be others now"),
            Some(now) => {
                for value in now.iter().filter(|value| !before.contains(value)) {
                    let detail = format!("may be {} now, which consumers do not know", shown(value));
                    self.broken(&place, "value_added", detail);
                }
            }
        }
    }

    fn limit(&mut self, before: Option<&Value>, now: Option<&Value>, lower: bool, place: &str) {
        let Some(before) = before.and_then(Value::as_f64) else { return };
        let kept =
            now.and_then(Value::as_f64).is_some_and(|now| if lower { now >= before } else { now <= before });
        if !kept {
            let now = now.map_or_else(|| "is gone".to_owned(), |now| format!("is {now} now"));
            self.broken(place, "limit_widened", format!("was {before}, and {now}"));
        }
    }
}

/// Whether `types` take a value of this type.
fn has(types: &[&str], name: &str) -> bool {
    types.contains(&name) || (name == "integer" && types.contains(&"number"))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|it| it.fract() == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_multiple(now: &serde_json::Number, before: &Value) -> bool {
    match (now.as_u64(), before.as_u64()) {
        (Some(now), Some(before)) => before > 0 && now % before == 0,
        _ => false,
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
