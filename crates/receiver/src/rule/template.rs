//! The text of a message, with places for an event's fields: `Agent {data.agentId} is at {value}`.
//!
//! It exists so that what people read is theirs to write. Invariants: a place that names no field is refused when the
//! configuration is read; a field that is missing in the event is said to be; what an event puts in is one line and
//! short, and the whole has a bound. Read `braces.rs` for how a place is written, `step.rs` for who fills it in.

use std::fmt::Write as _;

use serde_json::Value;

use crate::braces::{self, NoEnd, Piece};
use crate::rule::condition::{Fields, Path, PathError};

/// The most characters that one field puts in.
const FIELD_CHARS_MAX: usize = 300;
/// The longest text that comes out, in characters.
const TEXT_CHARS_MAX: usize = 4_000;

/// A text that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field { path: Path, missing: String },
    Group,
    Rule,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A place has no end.
    #[error("a place that begins with {{ has no end; a brace of the text is written {{{{")]
    NoEnd,
    /// A place names no field.
    #[error("{{…}} takes group, rule, or a field: {0}")]
    NoField(#[from] PathError),
}

/// What fills the places.
pub(super) struct Filling<'a> {
    pub(super) fields: &'a dyn Fields,
    pub(super) group: &'a str,
    pub(super) rule: &'a str,
}

impl Template {
    /// Reads a text.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let pieces = braces::pieces(text).map_err(|NoEnd| TemplateError::NoEnd)?;
        let part = |piece| {
            Ok(match piece {
                Piece::Text(text) => Part::Text(text),
                Piece::Place { name: "group", .. } => Part::Group,
                Piece::Place { name: "rule", .. } => Part::Rule,
                Piece::Place { name, missing } => {
                    Part::Field { path: Path::parse(name)?, missing: missing.to_owned() }
                }
            })
        };
        pieces.into_iter().map(part).collect::<Result<_, _>>().map(Self)
    }

    /// The fields that it names.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter_map(|part| match part {
            Part::Field { path, .. } => Some(path),
            _ => None,
        })
    }

    /// The text with its places filled in.
    pub(super) fn fill(&self, filling: &Filling<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Group => push_short(&mut text, filling.group),
                Part::Rule => push_short(&mut text, filling.rule),
                Part::Field { path, missing } => match filling.fields.field(path) {
                    Some(value) if !value.is_null() => push_value(&mut text, &value),
                    _ => text.push_str(missing),
                },
            }
        }
        if let Some((cut, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(cut);
            text.push('…');
        }
        text
    }
}

fn push_value(text: &mut String, value: &Value) {
    match value {
        Value::String(value) => push_short(text, value),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(double) => text.push_str(&short_number(double)),
            None => {
                // A String takes every text.
                let _always = write!(text, "{number}");
            }
        },
        other => push_short(text, &other.to_string()),
    }
}

/// Three decimals at most: a mean has sixteen.
pub(super) fn short_number(number: f64) -> String {
    let fixed = format!("{number:.3}");
    let trimmed = fixed.trim_end_matches('0').trim_end_matches('.');
    if trimmed == "-0" { "0".to_owned() } else { trimmed.to_owned() }
}

/// On one line: what somebody typed must not look like a line of ours.
fn push_short(text: &mut String, value: &str) {
    let mut chars = value.chars();
    text.extend(chars.by_ref().take(FIELD_CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char }));
    if chars.next().is_some() {
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vai_webhooks_wire::UnixMs;

    use super::*;
    use crate::rule::fact::{Fact, Valued};

    fn fill(text: &str, data: &Value, value: Option<f64>) -> String {
        let fact = Fact {
            id: "evt_1",
            event_type: "agent.metrics",
            timestamp: UnixMs(0),
            arrived: UnixMs(0),
            data,
            session_agent: None,
        };
        let fields = Valued { fact: &fact, value };
        let filling = Filling { fields: &fields, group: "agent-1", rule: "low" };
        Template::parse(text).expect(text).fill(&filling)
    }

    #[test]
    fn places_are_filled_in_and_what_is_missing_is_said() {
        let data = json!({"agentId": "a-1", "n": 12, "x": 0.1, "list": [1, "b"], "null": null});
        for (text, filled) in [
            ("plain", "plain"),
            ("{rule}: {group} {id} {event}", "low: agent-1 evt_1 agent.metrics"),
            ("{data.agentId} { value } {data.n} {data.x}", "a-1 0.667 12 0.1"),
            (
                "{timestamp} {data.list} {data.null} {data.no}",
                "1970-01-01T00:00:00.000Z [1,\"b\"] (none) (none)",
            ),
            ("{data.no|no score} {data.null|} {data.n|none}", "no score  12"),
            ("{{value} }", "{value} }"),
        ] {
            assert_eq!(fill(text, &data, Some(2.0 / 3.0)), filled);
        }
        assert_eq!(fill("{value}", &data, Some(-0.0)), "0");
        assert_eq!(fill("{value}", &data, Some(1_500.0)), "1500");
    }

    #[test]
    fn what_an_event_puts_in_is_one_line_and_bounded() {
        let data = json!({"long": "ș".repeat(10_000), "lines": "a\nALARM\r\u{1b}[31m"});
        assert_eq!(fill("{data.long}", &data, None).chars().count(), FIELD_CHARS_MAX + 1);
        assert!(!fill("{data.lines}", &data, None).chars().any(char::is_control));
        assert_eq!(fill(&"{data.long}".repeat(50), &data, None).chars().count(), TEXT_CHARS_MAX + 1);
    }

    #[test]
    fn a_place_that_is_none_is_refused() {
        assert_eq!(Template::parse("a {value"), Err(TemplateError::NoEnd));
        for text in ["{}", "{score}", "{data.a b}"] {
            assert!(matches!(Template::parse(text), Err(TemplateError::NoField(_))), "{text}");
        }
    }
}
