//! Which keywords of JSON Schema 2020-12 hold schemas, and what each is applied to.
//!
//! It exists so that the bounds (`work.rs`), the comparison (`breaks/`) and the documents follow the same schemas.
//! Source: JSON Schema Core 2020-12, sections 8.2.4 and 10. Read `outline.rs` next.

use serde_json::Value;

/// What the schemas under a keyword are applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applies {
    /// The value itself.
    InPlace,
    /// A part of the value: a member, an element, a member's name.
    Below,
    /// Nothing: they wait for a `$ref`.
    Kept,
}

/// How a keyword holds its schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    One,
    List,
    Map,
}

const KEYWORDS: [(&str, Applies, Holds); 20] = [
    ("$defs", Applies::Kept, Holds::Map),
    ("definitions", Applies::Kept, Holds::Map),
    ("allOf", Applies::InPlace, Holds::List),
    ("anyOf", Applies::InPlace, Holds::List),
    ("oneOf", Applies::InPlace, Holds::List),
    ("not", Applies::InPlace, Holds::One),
    ("if", Applies::InPlace, Holds::One),
    ("then", Applies::InPlace, Holds::One),
    ("else", Applies::InPlace, Holds::One),
    ("dependentSchemas", Applies::InPlace, Holds::Map),
    ("prefixItems", Applies::Below, Holds::List),
    ("items", Applies::Below, Holds::One),
    ("contains", Applies::Below, Holds::One),
    ("properties", Applies::Below, Holds::Map),
    ("patternProperties", Applies::Below, Holds::Map),
    ("additionalProperties", Applies::Below, Holds::One),
    ("propertyNames", Applies::Below, Holds::One),
    ("unevaluatedItems", Applies::Below, Holds::One),
    ("unevaluatedProperties", Applies::Below, Holds::One),
    ("contentSchema", Applies::Kept, Holds::One),
];

/// Calls `each` with every schema that stands directly in `schema`: its keyword, the name or number under it where
/// there is one, and itself.
pub(super) fn subschemas<'a>(
    schema: &'a Value,
    mut each: impl FnMut(&'static str, Option<String>, &'a Value),
) {
    let Some(members) = schema.as_object() else { return };
    for (keyword, _, holds) in KEYWORDS {
        match (holds, members.get(keyword)) {
            (Holds::One, Some(one)) => each(keyword, None, one),
            (Holds::List, Some(Value::Array(all))) => {
                all.iter().enumerate().for_each(|(at, one)| each(keyword, Some(at.to_string()), one));
            }
            (Holds::Map, Some(Value::Object(all))) => {
                all.iter().for_each(|(name, one)| each(keyword, Some(name.clone()), one));
            }
            _ => {}
        }
    }
}

/// As [`subschemas`], to change them.
pub(super) fn subschemas_mut(schema: &mut Value, mut each: impl FnMut(&mut Value)) {
    let Some(members) = schema.as_object_mut() else { return };
    for (keyword, _, holds) in KEYWORDS {
        match (holds, members.get_mut(keyword)) {
            (Holds::One, Some(one)) => each(one),
            (Holds::List, Some(Value::Array(all))) => all.iter_mut().for_each(&mut each),
            (Holds::Map, Some(Value::Object(all))) => all.values_mut().for_each(&mut each),
            _ => {}
        }
    }
}

/// Calls `each` with every schema that stands in `schema` and is applied to the same value.
pub(super) fn in_place<'a>(schema: &'a Value, mut each: impl FnMut(&'a Value)) {
    let Some(members) = schema.as_object() else { return };
    for (keyword, applies, holds) in KEYWORDS {
        if applies != Applies::InPlace {
            continue;
        }
        match (holds, members.get(keyword)) {
            (Holds::One, Some(one)) => each(one),
            (Holds::List, Some(Value::Array(all))) => all.iter().for_each(&mut each),
            (Holds::Map, Some(Value::Object(all))) => all.values().for_each(&mut each),
            _ => {}
        }
    }
}

/// RFC 6901: a name as a part of a JSON pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
