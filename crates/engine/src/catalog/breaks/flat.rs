//! A schema with its references and `allOf` put in, so that two can be held side by side.
//!
//! What only describes is left out. Where two parts say the same keyword, both hold: limits become the narrower one,
//! members of one name an `allOf` of both; what cannot be joined is kept apart in `also` and compared as it stands.
//! Read `members.rs` next.

use serde_json::{Map, Value, json};

use super::super::outline::Outline;

/// How many references and `allOf` may lie in each other.
const DEPTH_MAX: usize = 32;
/// Keywords that say nothing of what comes.
const DESCRIBES: [&str; 15] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$vocabulary",
    "contentSchema",
];

/// One schema, flat.
#[derive(Debug, Clone, Default)]
pub(super) struct Flat {
    members: Map<String, Value>,
    /// Keywords that stand beside another of the same name.
    also: Vec<Value>,
    /// Whether nothing passes.
    pub(super) never: bool,
}

impl Flat {
    /// Flattens a schema; `None` where its parts lie too deep in each other.
    pub(super) fn of(schema: &Value, outline: &Outline<'_>) -> Option<Self> {
        Self::within(schema, outline, 0)
    }

    fn within(schema: &Value, outline: &Outline<'_>, depth: usize) -> Option<Self> {
        if depth > DEPTH_MAX {
            return None;
        }
        let members = match schema {
            Value::Object(members) => members,
            other => return Some(Self { never: *other == Value::Bool(false), ..Self::default() }),
        };
        let own = members.iter().filter(|(name, _)| {
            !DESCRIBES.contains(&name.as_str())
                && !matches!(name.as_str(), "$ref" | "allOf")
                && !name.starts_with("x-")
        });
        let own = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut flat = Self { members: own, ..Self::default() };
        if flat.members.get("const").is_some() {
            let only = flat.members.shift_remove("const").unwrap_or_default();
            flat.join("enum", &json!([only]));
        }
        let parts = members.get("allOf").and_then(Value::as_array).into_iter().flatten();
        for part in outline.target(schema).into_iter().chain(parts) {
            flat = flat.and(&Self::within(part, outline, depth + 1)?);
        }
        Some(flat)
    }

    /// Both.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.never |= other.never;
        self.also.extend(other.also.iter().cloned());
        for (keyword, value) in &other.members {
            self.join(keyword, value);
        }
        self
    }

    fn join(&mut self, keyword: &str, value: &Value) {
        let Some(own) = self.members.get_mut(keyword) else {
            self.members.insert(keyword.to_owned(), value.clone());
            return;
        };
        if own == value {
            return;
        }
        match (keyword, &mut *own, value) {
            ("properties" | "patternProperties", Value::Object(own), Value::Object(other)) => {
                for (name, schema) in other {
                    match own.get_mut(name) {
                        Some(both) => *both = json!({"allOf": [both, schema]}),
                        None => {
                            own.insert(name.clone(), schema.clone());
                        }
                    }
                }
            }
            ("required", Value::Array(own), Value::Array(other)) => {
                let more: Vec<Value> = other.iter().filter(|it| !own.contains(it)).cloned().collect();
                own.extend(more);
            }
            ("enum", Value::Array(own), Value::Array(other)) => own.retain(|it| other.contains(it)),
            ("type", own, other) => {
                let both: Vec<Value> = shared_types(own, other);
                *own = Value::Array(both);
            }
            ("items" | "additionalProperties", own, other) => *own = json!({"allOf": [own, other]}),
            (_, Value::Number(own), Value::Number(other))
                if keyword.starts_with("min") || keyword == "exclusiveMinimum" =>
            {
                if other.as_f64() > own.as_f64() {
                    *own = other.clone();
                }
            }
            (_, Value::Number(own), Value::Number(other))
                if keyword.starts_with("max") || keyword == "exclusiveMaximum" =>
            {
                if other.as_f64() < own.as_f64() {
                    *own = other.clone();
                }
            }
            _ => self.also.push(json!({keyword: value})),
        }
    }

    /// All but one keyword.
    pub(super) fn without(&self, keyword: &str) -> Self {
        let mut rest = self.clone();
        rest.members.shift_remove(keyword);
        rest
    }

    pub(super) fn get(&self, keyword: &str) -> Option<&Value> {
        self.members.get(keyword)
    }

    pub(super) fn list(&self, keyword: &str) -> Option<&[Value]> {
        Some(self.get(keyword)?.as_array()?.as_slice())
    }

    pub(super) fn map(&self, keyword: &str) -> Option<&Map<String, Value>> {
        self.get(keyword)?.as_object()
    }

    /// Whether a member must be there.
    pub(super) fn requires(&self, name: &str) -> bool {
        self.list("required").is_some_and(|all| all.iter().any(|it| it == name))
    }

    pub(super) fn also(&self) -> &[Value] {
        &self.also
    }

    /// Whether it announces nothing.
    pub(super) fn takes_anything(&self) -> bool {
        !self.never && self.members.is_empty() && self.also.is_empty()
    }

    /// A schema again.
    pub(super) fn to_value(&self) -> Value {
        if self.never {
            return Value::Bool(false);
        }
        let mut members = self.members.clone();
        if !self.also.is_empty() {
            members.insert("allOf".to_owned(), self.also.clone().into());
        }
        members.into()
    }
}

/// The types that both name; `integer` is a `number`.
fn shared_types(one: &Value, other: &Value) -> Vec<Value> {
    let (one, other) = (names(one), names(other));
    let has =
        |all: &[&str], name: &str| all.contains(&name) || (name == "integer" && all.contains(&"number"));
    let both = one.iter().filter(|name| has(&other, name)).chain(other.iter().filter(|name| has(&one, name)));
    let mut shared: Vec<Value> = Vec::new();
    for name in both {
        if !shared.iter().any(|it| it == name) {
            shared.push((*name).into());
        }
    }
    shared
}

/// The types that a `type` names.
pub(super) fn names(types: &Value) -> Vec<&str> {
    match types {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
