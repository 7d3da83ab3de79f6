//! Changes of a schema, each with what it breaks.

use serde_json::{Value, json};

use super::*;
use crate::catalog::Schema;

fn found(old: &Value, new: &Value) -> Vec<(String, &'static str)> {
    let (old, new) = (old.to_string(), new.to_string());
    assert!(Schema::compile(&old, "").is_ok() && Schema::compile(&new, "").is_ok(), "{old} {new}");
    breaks(&old, Some(&new), "").into_iter().map(|it| (it.pointer, it.code)).collect()
}

#[track_caller]
fn check(old: &Value, new: &Value, expected: &[(&str, &'static str)]) {
    let expected: Vec<(String, &'static str)> =
        expected.iter().map(|(pointer, code)| ((*pointer).to_owned(), *code)).collect();
    assert_eq!(found(old, new), expected, "{old} -> {new}");
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

#[test]
fn what_narrows_or_adds_breaks_nobody() {
    let old =
        object(&json!({"a": {"type": ["string", "null"]}, "n": {"type": "number", "minimum": 1}}), &["a"]);
    for new in [
        old.clone(),
        object(&json!({"a": {"type": "string"}, "n": {"type": "integer", "minimum": 2}}), &["a", "n"]),
        object(
            &json!({"a": {"enum": ["x", null]}, "n": {"type": "number", "minimum": 1}, "new": {}}),
            &["a"],
        ),
        json!({"title": "t", "description": "d", "examples": [1], "$ref": "#/$defs/x", "$defs": {"x": old}}),
        json!({"allOf": [old], "maxProperties": 9, "additionalProperties": {"type": "string"}}),
    ] {
        check(&old, &new, &[]);
    }
    check(&json!({}), &json!({"type": "string"}), &[]);
    check(
        &json!({"type": "string"}),
        &json!({"oneOf": [{"const": "a"}, {"type": "string", "pattern": "^b"}]}),
        &[],
    );
    check(&json!({"enum": [1, 2, 3]}), &json!({"const": 2}), &[]);
    check(&json!({"multipleOf": 2}), &json!({"multipleOf": 4}), &[]);
    check(
        &json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        &json!({"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 9}]}),
        &[],
    );
    check(&json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), &json!({"type": "string"}), &[]);
}

#[test]
fn a_field_that_is_removed_renamed_or_optional_breaks() {
    let old = object(&json!({"id": {"type": "string"}, "note": {"type": "string", "maxLength": 5}}), &["id"]);
    check(
        &old,
        &object(&json!({"id": {"type": "string"}}), &["id"]),
        &[("/properties/note", "field_removed")],
    );
    let renamed =
        object(&json!({"id": {"type": "string"}, "text": {"type": "string", "maxLength": 5}}), &["id"]);
    check(&old, &renamed, &[("/properties/note", "field_removed")]);
    let said = breaks(&old.to_string(), Some(&renamed.to_string()), "");
    assert!(said[0].detail.contains("\"text\"") && said[0].detail.contains("renamed"), "{said:?}");
    let optional =
        object(&json!({"id": {"type": "string"}, "note": {"type": "string", "maxLength": 5}}), &[]);
    check(&old, &optional, &[("/properties/id", "field_optional")]);
    check(&json!({"required": ["x"]}), &json!({}), &[("/properties/x", "field_optional")]);
}

#[test]
fn a_type_a_value_or_a_limit_that_is_widened_breaks() {
    let at = |schema: Value| object(&json!({"a": schema}), &[]);
    for (old, new, place, code) in [
        (json!({"type": "string"}), json!({"type": ["string", "null"]}), "/type", "type_widened"),
        (json!({"type": "integer"}), json!({"type": "number"}), "/type", "type_widened"),
        (json!({"type": "string"}), json!({}), "/type", "type_widened"),
        (json!({"type": "string"}), json!({"enum": ["a", 1]}), "/type", "type_widened"),
        (json!({"enum": ["a", "b"]}), json!({"enum": ["a", "b", "c"]}), "/enum", "value_added"),
        (json!({"const": "a"}), json!({"type": "string"}), "/enum", "value_added"),
        (json!({"maxLength": 5}), json!({"maxLength": 6}), "/maxLength", "limit_widened"),
        (json!({"minimum": 5}), json!({"minimum": 4}), "/minimum", "limit_widened"),
        (json!({"minItems": 1}), json!({"maxItems": 4}), "/minItems", "limit_widened"),
        (json!({"pattern": "^a"}), json!({"pattern": "^b"}), "/pattern", "constraint_dropped"),
        (json!({"format": "date"}), json!({"type": "string"}), "/format", "constraint_dropped"),
        (json!({"not": {"const": 1}}), json!({"type": "string"}), "/not", "constraint_dropped"),
    ] {
        let place = format!("/properties/a{place}");
        check(&at(old), &at(new), &[(&place, code)]);
    }
}

#[test]
fn what_was_closed_and_opens_breaks() {
    let closed = json!({"properties": {"a": {}}, "additionalProperties": false});
    let more = json!({"properties": {"a": {}, "b": {}}, "additionalProperties": false});
    check(&closed, &more, &[("/properties/b", "field_added_to_closed")]);
    check(&closed, &json!({"properties": {"a": {}}}), &[("/additionalProperties", "opened")]);
    check(&more, &closed, &[("/properties/b", "field_removed")]);
    let texts = json!({"additionalProperties": {"type": "string"}});
    check(
        &texts,
        &json!({"additionalProperties": {"type": "integer"}}),
        &[("/additionalProperties/type", "type_widened")],
    );
    check(
        &texts,
        &json!({"properties": {"n": {"type": "integer"}}, "additionalProperties": {"type": "string"}}),
        &[("/properties/n/type", "type_widened")],
    );
}

#[test]
fn elements_and_alternatives_are_compared() {
    let of = |schema: Value| json!({"type": "array", "items": schema});
    check(
        &of(json!({"type": "string"})),
        &of(json!({"type": "integer"})),
        &[("/items/type", "type_widened")],
    );
    check(&of(json!({"type": "string"})), &json!({"type": "array"}), &[("/items/type", "type_widened")]);
    check(
        &json!({"prefixItems": [{"type": "string"}, {"type": "string"}]}),
        &json!({"prefixItems": [{"type": "string"}, {"type": "null"}]}),
        &[("/prefixItems/1/type", "type_widened")],
    );
    let one_of = |all: &[Value]| json!({"oneOf": all});
    let (card, cash) = (
        object(&json!({"kind": {"const": "card"}, "last4": {}}), &["kind", "last4"]),
        object(&json!({"kind": {"const": "cash"}}), &["kind"]),
    );
    let iban = object(&json!({"kind": {"const": "iban"}}), &["kind"]);
    check(&one_of(&[card.clone(), cash.clone()]), &one_of(&[cash.clone(), card.clone()]), &[]);
    check(
        &one_of(&[card.clone(), cash.clone()]),
        &one_of(&[card.clone(), cash.clone(), iban]),
        &[("/oneOf/2", "alternative_added")],
    );
    let changed = object(&json!({"kind": {"const": "card"}, "last4": {}}), &["kind"]);
    check(
        &one_of(&[card, cash.clone()]),
        &one_of(&[changed, cash]),
        &[("/oneOf/0/properties/last4", "field_optional")],
    );
    check(
        &json!({"type": "string"}),
        &json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        &[("/anyOf/1/type", "type_widened")],
    );
}

#[test]
fn references_are_followed_and_end() {
    let tree = |kind: &str| {
        json!({"$ref": "#/$defs/node", "$defs": {"node": object(&json!({
        "value": {"type": kind}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}), &["value"])}})
    };
    check(&tree("string"), &tree("string"), &[]);
    check(&tree("string"), &tree("integer"), &[("/properties/value/type", "type_widened")]);
}

#[test]
fn having_no_schema_any_more_breaks_what_the_schema_promised() {
    let old = object(&json!({"a": {"type": "string"}}), &["a"]).to_string();
    let codes: Vec<&str> = breaks(&old, None, "").iter().map(|it| it.code).collect();
    assert_eq!(codes, ["type_widened", "field_removed"]);
}

#[test]
fn comparing_has_a_bound_and_says_when_it_is_reached() {
    let branch = |n: usize| json!({"properties": {"a": {"anyOf": (0..n).map(|i| json!({"const": i})).collect::<Vec<_>>()}}});
    let many = |by: usize| json!({"anyOf": (0..90).map(|n| { let mut one = branch(10); one["minProperties"] = (n + by).into(); one }).collect::<Vec<_>>()});
    let clock = crate::clock::SystemClock::new();
    let said = breaks(&many(100).to_string(), Some(&many(0).to_string()), "");
    let took = crate::clock::Clock::elapsed(&clock);
    assert!(took.as_secs() < 20, "{took:?}");
    assert!(
        said.len() <= BREAKS_MAX + 1 && said.iter().any(|it| it.code == "not_comparable"),
        "{}",
        said.len()
    );
}
