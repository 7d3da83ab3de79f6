//! Message templates: text with placeholders, as `Conversation {data.sessionId} ended: {data.summary|no summary}`.
//!
//! How they are written is said in `braces.rs`. Invariant: a value is escaped for the place it goes to, whatever is in it, and the template's own
//! text is not, so that its author can use the place's markup. Read `fields.rs` next, where the values come from.

use std::borrow::Cow;

use super::escape::{Escape, Limited};
use crate::braces::{self, NoEnd, Piece};

/// The longest template, in bytes, and the most placeholders in it.
const TEMPLATE_BYTES_MAX: usize = 16 * 1024;
const PLACEHOLDERS_MAX: usize = 256;

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTemplate {
    /// Longer than it may be.
    #[error("is longer than {TEMPLATE_BYTES_MAX} bytes or has more than {PLACEHOLDERS_MAX} placeholders")]
    TooLong,
    /// A placeholder without an end.
    #[error("has a placeholder that begins with {{ and has no end; a brace of the text is written {{{{")]
    NoEnd,
    /// A name that this kind of message does not have.
    #[error("has the placeholder {{{0}}}, which is not there; there are {1}")]
    Unknown(String, String),
}

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value { path: Vec<String>, missing: String },
}

impl Template {
    /// Reads a template whose placeholders begin with one of `roots`.
    pub(crate) fn parse(text: &str, roots: &[&str]) -> Result<Self, BadTemplate> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(BadTemplate::TooLong);
        }
        let pieces = braces::pieces(text).map_err(|NoEnd| BadTemplate::NoEnd)?;
        let placeholders = pieces.iter().filter(|piece| matches!(piece, Piece::Place { .. })).count();
        if placeholders > PLACEHOLDERS_MAX {
            return Err(BadTemplate::TooLong);
        }
        let part = |piece| match piece {
            Piece::Text(text) => Ok(Part::Text(text)),
            Piece::Place { name, missing } => Part::value(name, missing, roots),
        };
        pieces.into_iter().map(part).collect::<Result<_, _>>().map(Self)
    }

    /// Fills it in: `value` gives what stands at a path, `None` where nothing does.
    pub(crate) fn render<'a>(
        &self,
        value: impl Fn(&[String]) -> Option<Cow<'a, str>>,
        escape: Escape,
        out: &mut Limited,
    ) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push(text, Escape::None),
                Part::Value { path, missing } => match value(path) {
                    Some(value) => out.push(&value, escape),
                    None => out.push(missing, Escape::None),
                },
            }
        }
    }
}

impl Part {
    fn value(name: &str, missing: &str, roots: &[&str]) -> Result<Self, BadTemplate> {
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        if !roots.contains(&path[0].as_str()) {
            let there = roots.iter().map(|root| format!("{{{root}}}")).collect::<Vec<_>>().join(", ");
            return Err(BadTemplate::Unknown(name.to_owned(), there));
        }
        Ok(Self::Value { path, missing: missing.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> Result<String, BadTemplate> {
        let template = Template::parse(template, &["id", "data"])?;
        let mut out = Limited::new(1_000);
        let value = |path: &[String]| match path.join(".").as_str() {
            "id" => Some(Cow::Borrowed("<1>")),
            "data.a.b" => Some(Cow::Borrowed("x & y")),
            _ => None,
        };
        template.render(value, Escape::Html, &mut out);
        Ok(out.finish())
    }

    #[test]
    fn values_are_escaped_and_the_templates_own_text_is_not() {
        assert_eq!(render("<b>{id}</b> {data.a.b}{{}").unwrap(), "<b>&lt;1&gt;</b> x &amp; y{}");
        assert_eq!(render("").unwrap(), "");
        assert_eq!(render("no value").unwrap(), "no value");
    }

    #[test]
    fn a_missing_value_is_what_the_template_says() {
        let filled = render("[{data.none}] [{ data.none |not given}] [{data.none|}]").unwrap();
        assert_eq!(filled, "[(none)] [not given] []");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        assert_eq!(render("a{id").unwrap_err(), BadTemplate::NoEnd);
        for unknown in ["{}", "{ {id}", "{other}"] {
            assert!(matches!(render(unknown), Err(BadTemplate::Unknown(..))), "{unknown}");
        }
        let unknown = render("{dta.x}").unwrap_err().to_string();
        assert!(unknown.contains("{dta.x}") && unknown.contains("{id}, {data}"), "{unknown}");
        assert_eq!(render(&"x".repeat(20_000)).unwrap_err(), BadTemplate::TooLong);
        assert_eq!(render(&"{id}".repeat(300)).unwrap_err(), BadTemplate::TooLong);
    }
}
