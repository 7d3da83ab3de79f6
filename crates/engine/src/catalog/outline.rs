//! A schema's own references: where each leads, and that none leads out.
//!
//! It exists because a schema comes from outside: a reference to another document would have this process ask
//! another host. Invariants: a schema that passed has references to itself alone, each of which leads to a schema;
//! it says nothing of which this program would keep only a part (another draft, a base of its own further in,
//! dynamic references). Read `work.rs` next.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::keywords::{escaped, subschemas};
use crate::error::FieldProblem;

/// The only draft that is taken.
pub(super) const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The most places that are named of what is wrong with one schema.
const PROBLEMS_MAX: usize = 50;

/// A schema whose references are known to lead to schemas in it.
#[derive(Debug, Clone)]
pub(super) struct Outline<'a> {
    root: &'a Value,
    /// Schemas that have a name of their own.
    anchors: HashMap<&'a str, &'a Value>,
}

impl<'a> Outline<'a> {
    /// Looks at every schema in `root`. The problems' pointers begin with `pointer`.
    pub(super) fn of(root: &'a Value, pointer: &str) -> Result<Self, Vec<FieldProblem>> {
        let outline = Self::known(root);
        let mut look = Look { outline: &outline, problems: Vec::new() };
        look.schema(root, pointer.to_owned(), true);
        let mut problems = look.problems;
        problems.truncate(PROBLEMS_MAX);
        if problems.is_empty() { Ok(outline) } else { Err(problems) }
    }

    /// A schema that passed before.
    pub(super) fn known(root: &'a Value) -> Self {
        let mut anchors = HashMap::new();
        anchored(root, &mut anchors);
        Self { root, anchors }
    }

    /// The schema itself.
    pub(super) fn root(&self) -> &'a Value {
        self.root
    }

    /// Where a schema's `$ref` leads, where it has one.
    pub(super) fn target(&self, schema: &Value) -> Option<&'a Value> {
        self.leads_to(schema.get("$ref")?.as_str()?)
    }

    /// Where a reference within the schema leads: a JSON pointer as a fragment, or the name of an `$anchor`.
    fn leads_to(&self, reference: &str) -> Option<&'a Value> {
        let fragment = reference.strip_prefix('#')?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return self.root.pointer(&unquoted(fragment)?);
        }
        self.anchors.get(fragment).copied()
    }
}

struct Look<'o, 'a> {
    outline: &'o Outline<'a>,
    problems: Vec<FieldProblem>,
}

impl Look<'_, '_> {
    fn schema(&mut self, schema: &Value, pointer: String, top: bool) {
        if let Some(members) = schema.as_object() {
            self.members(members, &pointer, top);
        }
        subschemas(schema, |keyword, name, below| {
            let mut place = format!("{pointer}/{keyword}");
            if let Some(name) = name {
                place.push('/');
                place.push_str(&escaped(&name));
            }
            if self.problems.len() < PROBLEMS_MAX {
                self.schema(below, place, false);
            }
        });
    }

    fn members(&mut self, members: &Map<String, Value>, pointer: &str, top: bool) {
        let mut problem = |keyword: &str, code: &'static str, detail: String| {
            self.problems.push(FieldProblem::at(format!("{pointer}/{keyword}"), code, detail));
        };
        if let Some(draft) = members.get("$schema")
            && draft.as_str().map(|uri| uri.trim_end_matches('#')) != Some(DRAFT)
        {
            problem("$schema", "unknown_draft", format!("must be \"{DRAFT}\", or be left out"));
        }
        for keyword in ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "dependencies"]
        {
            if members.contains_key(keyword) {
                let detail = "is not taken here; use $ref and $defs, dependentSchemas and dependentRequired";
                problem(keyword, "not_taken", detail.to_owned());
            }
        }
        if !top && members.get("$id").is_some_and(Value::is_string) {
            problem("$id", "not_taken", "is taken at the top of the schema alone".to_owned());
        }
        let Some(reference) = members.get("$ref") else { return };
        let Some(reference) = reference.as_str() else {
            return problem("$ref", "wrong_type", "must be a string, as \"#/$defs/address\"".to_owned());
        };
        let shown: String = reference.chars().take(200).collect();
        if !reference.starts_with('#') {
            let detail = format!(
                "leads to {shown:?}: a reference must stay within its schema, as \"#/$defs/address\"; nothing is fetched"
            );
            problem("$ref", "foreign_reference", detail);
        } else if !self.outline.leads_to(reference).is_some_and(|it| it.is_object() || it.is_boolean()) {
            problem("$ref", "dead_reference", format!("leads to {shown:?}, where there is no schema"));
        }
    }
}

fn anchored<'a>(schema: &'a Value, anchors: &mut HashMap<&'a str, &'a Value>) {
    if let Some(name) = schema.get("$anchor").and_then(Value::as_str) {
        anchors.entry(name).or_insert(schema);
    }
    subschemas(schema, |_, _, below| anchored(below, anchors));
}

/// A fragment without percent-encoding.
fn unquoted(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(schema: &Value) -> Vec<(String, &'static str)> {
        let problems = Outline::of(schema, "/schema").err().unwrap_or_default();
        problems.into_iter().map(|it| (it.pointer, it.code)).collect()
    }

    #[test]
    fn references_within_the_schema_are_followed() {
        let schema = json!({"$defs": {"a/b": {"type": "string"}, "c": {"$anchor": "here"}},
            "properties": {"x": {"$ref": "#/$defs/a~1b"}, "y": {"$ref": "#here"}, "z": {"$ref": "#"},
                "w": {"$ref": "#/%24defs/c"}}});
        assert_eq!(problems(&schema), []);
        let outline = Outline::known(&schema);
        assert_eq!(outline.target(&schema["properties"]["x"]), Some(&schema["$defs"]["a/b"]));
        assert_eq!(outline.target(&schema["properties"]["y"]), Some(&schema["$defs"]["c"]));
        assert_eq!(outline.target(&schema["properties"]["w"]), Some(&schema["$defs"]["c"]));
    }

    #[test]
    fn every_reference_that_leads_out_or_nowhere_is_named() {
        let schema = json!({"properties": {
            "a": {"$ref": "http://169.254.169.254/schema"}, "b": {"items": {"$ref": "other.json#/x"}},
            "c": {"$ref": "#/$defs/none"}, "d": {"$ref": "#none"}, "e": {"$ref": 1},
            "f": {"$ref": "file:///etc/passwd"}}});
        let expected = [
            ("/schema/properties/a/$ref", "foreign_reference"),
            ("/schema/properties/b/items/$ref", "foreign_reference"),
            ("/schema/properties/c/$ref", "dead_reference"),
            ("/schema/properties/d/$ref", "dead_reference"),
            ("/schema/properties/e/$ref", "wrong_type"),
            ("/schema/properties/f/$ref", "foreign_reference"),
        ];
        assert_eq!(problems(&schema), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    }

    #[test]
    fn what_would_be_kept_in_part_only_is_not_taken() {
        for (schema, at) in [
            (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/schema/$schema"),
            (json!({"items": {"$id": "https://example.com/x"}}), "/schema/items/$id"),
            (json!({"$dynamicRef": "#x"}), "/schema/$dynamicRef"),
            (json!({"not": {"dependencies": {}}}), "/schema/not/dependencies"),
        ] {
            assert_eq!(problems(&schema)[0].0, at);
        }
        assert_eq!(problems(&json!({"$schema": DRAFT, "$id": "https://example.com/x"})), []);
        assert_eq!(problems(&json!({"properties": {"$id": {"type": "string"}}})), []);
    }
}
