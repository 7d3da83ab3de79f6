//! A schema that can be used: read, bounded, compiled once.
//!
//! It exists so that nothing of a schema is found out while an event waits. Invariants: a [`Schema`] refers to itself
//! alone and was compiled without any way to fetch; its patterns run in linear time; its work is bounded before it is
//! compiled. `format` is an annotation, as JSON Schema 2020-12 has it: it is not checked. Read `violations.rs` next.

use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;
use vai_webhooks_wire::json;

use super::outline::Outline;
use super::work::{self, Work};
use crate::error::FieldProblem;

/// The largest schema, in bytes of JSON.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// The deepest nesting of a schema, in objects and arrays.
pub const SCHEMA_DEPTH_MAX: usize = 64;
/// The most that one compiled pattern of a schema may take, in bytes.
const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// The longest part of another's message that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    pub(super) validator: Validator,
    pub(super) work: Work,
}

impl Schema {
    /// Reads and compiles a schema; every problem's place begins with `pointer`.
    pub fn compile(text: &str, pointer: &str) -> Result<Self, Vec<FieldProblem>> {
        let value = Self::read(text, pointer)?;
        let outline = Outline::of(&value, pointer)?;
        well_formed(&value, pointer)?;
        let work = work::bound(&outline)
            .map_err(|why| vec![FieldProblem::at(pointer, "too_much_work", format!("the schema {why}"))])?;
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(false)
            .with_pattern_options(
                PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX),
            )
            .build(&value)
            .map_err(|error| vec![unusable(&error, pointer)])?;
        Ok(Self { validator, work })
    }

    /// Reads a schema within its bounds.
    fn read(text: &str, pointer: &str) -> Result<Value, Vec<FieldProblem>> {
        let problem = |code, detail: String| vec![FieldProblem::at(pointer, code, detail)];
        if text.len() > SCHEMA_BYTES_MAX {
            let detail = format!("takes {} bytes; the limit is {SCHEMA_BYTES_MAX}", text.len());
            return Err(problem("too_large", detail));
        }
        json::check(text.as_bytes(), json::Limits { depth_max: SCHEMA_DEPTH_MAX })
            .map_err(|error| problem("invalid_json", format!("is no good JSON: {error}")))?;
        let value: Value = serde_json::from_str(text)
            .map_err(|error| problem("invalid_json", format!("cannot be read: {error}")))?;
        if value.is_object() { Ok(value) } else { Err(problem("wrong_type", "must be an object".to_owned())) }
    }
}

/// Holds the schema against the meta-schema of its draft.
fn well_formed(schema: &Value, pointer: &str) -> Result<(), Vec<FieldProblem>> {
    jsonschema::draft202012::meta::validate(schema).map_err(|error| vec![unusable(&error, pointer)])
}

fn unusable(error: &ValidationError<'_>, pointer: &str) -> FieldProblem {
    let shown: String = error.to_string().chars().take(SHOWN_CHARS_MAX).collect();
    let place = format!("{pointer}{}", error.instance_path().as_str());
    FieldProblem::at(place, "invalid_schema", format!("is no JSON Schema 2020-12 that can be used: {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(schema: &str) -> (String, &'static str) {
        let problems = Schema::compile(schema, "/schema").err().unwrap();
        (problems[0].pointer.clone(), problems[0].code)
    }

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        let at = |pointer: &str, code| (pointer.to_owned(), code);
        assert_eq!(problem("[]"), at("/schema", "wrong_type"));
        assert_eq!(problem("{"), at("/schema", "invalid_json"));
        assert_eq!(problem(r#"{"type":"text"}"#), at("/schema/type", "invalid_schema"));
        assert_eq!(
            problem(r#"{"properties":{"a":{"minLength":-1}}}"#),
            at("/schema/properties/a/minLength", "invalid_schema")
        );
        assert_eq!(problem(r#"{"items":[{}]}"#), at("/schema/items", "invalid_schema"));
    }

    #[test]
    fn size_depth_and_patterns_have_bounds() {
        let large = json!({"description": "x".repeat(SCHEMA_BYTES_MAX)}).to_string();
        assert_eq!(problem(&large).1, "too_large");
        let deep = format!("{}{}", r#"{"not":"#.repeat(100), "{}".to_owned() + &"}".repeat(100));
        assert_eq!(problem(&deep).1, "invalid_json");
        assert_eq!(problem(r#"{"pattern":"(\\w{100}){100}"}"#).1, "invalid_schema");
        assert_eq!(problem(r#"{"pattern":"(?=a)b"}"#).1, "invalid_schema", "no look-ahead: it is not linear");
        assert_eq!(problem(r#"{"pattern":"(a)\\1"}"#).1, "invalid_schema", "no back-reference");
    }

    #[test]
    fn compiling_takes_what_the_schema_is_large_not_what_it_would_be_unfolded() {
        let mut defs = serde_json::Map::new();
        for level in 0..60 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            defs.insert(format!("d{level}"), json!({"properties": {"a": next, "b": next}}));
        }
        defs.insert("d60".to_owned(), json!({}));
        let schema = json!({"$ref": "#/$defs/d0", "$defs": defs}).to_string();
        let (done, ended) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || done.send(Schema::compile(&schema, "").is_ok()));
        assert_eq!(ended.recv_timeout(std::time::Duration::from_secs(20)), Ok(true));
    }
}
