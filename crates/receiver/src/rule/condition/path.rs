//! The name of one field of an event, as `data.metrics.satisfactionScore`.
//!
//! It exists so that a misspelt name is refused when the configuration is read and not ignored for ever.
//! Invariant: what is inside `data` is the sender's and may be anything; all other names are ours and
//! listed here. Read `mod.rs` for what is done with them.

use std::fmt;

use serde_json::Value;

/// The longest name, in bytes.
const PATH_BYTES_MAX: usize = 512;

/// The name of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Path {
    /// `id`: the event's identity.
    Id,
    /// `event`: its type.
    Event,
    /// `timestamp`: when it happened, RFC 3339.
    Timestamp,
    /// `agent`: the agent it belongs to: its own `agentId`, else the one its session is known by.
    Agent,
    /// `value`: what a rule watches.
    Value,
    /// `data`, or a member inside it; a number as a name is a place in a list.
    Data(Vec<String>),
}

/// A text is no field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no field: give id, event, timestamp, agent, value, or data.<name> as data.metrics.satisfactionScore"
)]
pub struct PathError(String);

impl Path {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let wrong = || PathError(text.chars().take(80).collect());
        let mut names = text.split('.');
        let first = names.next().unwrap_or_default();
        let members: Vec<String> = names.map(str::to_owned).collect();
        let good = |name: &String| !name.is_empty() && name.chars().all(is_name_char);
        if text.len() > PATH_BYTES_MAX || !members.iter().all(good) {
            return Err(wrong());
        }
        match (first, members.is_empty()) {
            ("data", _) => Ok(Self::Data(members)),
            ("id", true) => Ok(Self::Id),
            ("event", true) => Ok(Self::Event),
            ("timestamp", true) => Ok(Self::Timestamp),
            ("agent", true) => Ok(Self::Agent),
            ("value", true) => Ok(Self::Value),
            _ => Err(wrong()),
        }
    }

    /// What stands at this place in an event's data; `None` for the other fields.
    pub fn in_data<'a>(&self, data: &'a Value) -> Option<&'a Value> {
        let Self::Data(members) = self else { return None };
        members.iter().try_fold(data, |value, name| match value {
            Value::Object(map) => map.get(name),
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

/// What a name may be spelled with.
pub(super) fn is_name_char(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '-' | '$')
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("id"),
            Self::Event => f.write_str("event"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Agent => f.write_str("agent"),
            Self::Value => f.write_str("value"),
            Self::Data(members) => {
                f.write_str("data")?;
                members.iter().try_for_each(|name| write!(f, ".{name}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_it_was_read_and_anything_else_is_refused() {
        for good in ["id", "event", "timestamp", "agent", "value", "data", "data.a", "data.ș-1_$.0.b"] {
            assert_eq!(Path::parse(good).expect(good).to_string(), good);
        }
        for bad in ["", "dat", "id.x", "data.", "data..a", ".data", "data.a b", "metrics.satisfactionScore"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        assert!(Path::parse(&format!("data.{}", "a".repeat(PATH_BYTES_MAX))).is_err());
    }
}
