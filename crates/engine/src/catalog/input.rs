//! An event type as it is posted.
//!
//! Read `live.rs` next.

use serde_json::value::RawValue;

use super::schema::{SCHEMA_BYTES_MAX, Schema};
use crate::error::FieldProblem;
use crate::fields::Fields;

const KNOWN: &str = "schema, description, examples and force";
/// The longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
/// The most examples of one event type.
pub const EXAMPLES_MAX: usize = 10;
/// The most bytes that they take together.
const EXAMPLES_BYTES_MAX: usize = SCHEMA_BYTES_MAX;

/// An event type to put in place of what there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewEventType {
    /// What it is, for people.
    pub description: Option<String>,
    /// The JSON Schema of its data, as JSON text; without one, any data is good.
    pub schema: Option<String>,
    /// Examples of its data, as JSON texts; each must be good by the schema.
    pub examples: Vec<String>,
    /// Whether it is put although it breaks consumers.
    pub force: bool,
}

impl NewEventType {
    /// Reads `{"schema","description","examples","force"}`, each of them optional.
    pub fn from_json(body: &[u8]) -> Result<Self, Vec<FieldProblem>> {
        let mut fields = Fields::of_body(body).map_err(|it| vec![it])?;
        let schema = fields.raw("schema").filter(|raw| *raw != "null").map(str::to_owned);
        let description = fields.optional::<String>("description");
        let examples = fields.raw("examples").filter(|raw| *raw != "null");
        let examples = examples.map(serde_json::from_str::<Vec<&RawValue>>);
        let examples = match examples {
            Some(Err(_)) => {
                fields.problem("examples", "wrong_type", "must be an array of examples of the data");
                Vec::new()
            }
            Some(Ok(all)) => all.iter().map(|raw| raw.get().to_owned()).collect(),
            None => Vec::new(),
        };
        let force = fields.optional("force").unwrap_or_default();
        let problems = fields.finish(KNOWN);
        if problems.is_empty() { Ok(Self { description, schema, examples, force }) } else { Err(problems) }
    }

    /// Everything that is wrong with it.
    pub(crate) fn check(&self) -> Result<(), Vec<FieldProblem>> {
        let mut problems = Vec::new();
        if self.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX) {
            let detail = format!("must have at most {DESCRIPTION_CHARS_MAX} characters");
            problems.push(FieldProblem::at("/description", "too_long", detail));
        }
        if self.examples.len() > EXAMPLES_MAX {
            let detail = format!("holds {}; at most {EXAMPLES_MAX} are kept", self.examples.len());
            problems.push(FieldProblem::at("/examples", "too_many", detail));
        }
        let bytes: usize = self.examples.iter().map(String::len).sum();
        if bytes > EXAMPLES_BYTES_MAX {
            let detail = format!("take {bytes} bytes; the limit is {EXAMPLES_BYTES_MAX}");
            problems.push(FieldProblem::at("/examples", "too_large", detail));
        }
        match self.schema.as_deref().map(|text| Schema::compile(text, "/schema")) {
            Some(Err(more)) => problems.extend(more),
            Some(Ok(schema)) if problems.is_empty() => {
                for (at, example) in self.examples.iter().enumerate() {
                    problems.extend(schema.violations(example, &format!("/examples/{at}")));
                }
            }
            _ => {}
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(body: &str) -> Vec<(String, &'static str)> {
        let read = NewEventType::from_json(body.as_bytes()).and_then(|new| new.check().map(|()| new));
        read.err().unwrap_or_default().into_iter().map(|it| (it.pointer, it.code)).collect()
    }

    #[test]
    fn everything_is_optional_and_stays_as_it_was_spelled() {
        let body =
            br#"{"schema":{"type": "object"},"examples":[{"n": 1.50}],"description":"d","force":true}"#;
        let new = NewEventType::from_json(body).unwrap();
        assert_eq!(new.schema.as_deref(), Some(r#"{"type": "object"}"#));
        assert_eq!(new.examples, [r#"{"n": 1.50}"#]);
        assert!(new.force && new.check().is_ok());
        assert_eq!(NewEventType::from_json(b"{}").unwrap(), NewEventType::default());
    }

    #[test]
    fn every_problem_is_told() {
        let at = |pointer: &str, code| vec![(pointer.to_owned(), code)];
        assert_eq!(problems(r#"{"schema":[]}"#), at("/schema", "wrong_type"));
        assert_eq!(problems(r#"{"examples":1}"#), at("/examples", "wrong_type"));
        assert_eq!(problems(r#"{"name":"x"}"#), at("/name", "unknown_field"));
        assert_eq!(
            problems(r#"{"schema":{"required":["a"]},"examples":[{"a":1},{}]}"#),
            at("/examples/1/a", "schema_required")
        );
        let many = format!(r#"{{"examples":[{}1]}}"#, "1,".repeat(EXAMPLES_MAX));
        assert_eq!(problems(&many), at("/examples", "too_many"));
        let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(DESCRIPTION_CHARS_MAX + 1));
        assert_eq!(problems(&long), at("/description", "too_long"));
    }
}
