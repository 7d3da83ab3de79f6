//! An event as rules see it: its fields, with a time that can be relied on.
//!
//! It exists because a sender's clock may be wrong: what claims to have happened after it arrived counts
//! as having happened when it arrived. Invariant: `at` is never later than `arrived`. Read
//! `condition/mod.rs` for how fields are asked for, and `step.rs` for what is done with them.

use std::borrow::Cow;

use serde_json::{Number, Value};
use vai_webhooks_wire::UnixMs;

use crate::rule::condition::{Fields, Path};

/// One event's fields.
#[derive(Debug, Clone, Copy)]
pub struct Fact<'a> {
    /// Its identity.
    pub id: &'a str,
    /// Its type.
    pub event_type: &'a str,
    /// What the event says of when it happened.
    pub timestamp: UnixMs,
    /// When it arrived here.
    pub arrived: UnixMs,
    /// Its data.
    pub data: &'a Value,
    /// The agent that its session is known by.
    pub session_agent: Option<&'a str>,
}

impl Fact<'_> {
    /// When it happened, as far as that can be believed.
    pub fn at(&self) -> UnixMs {
        self.timestamp.min(self.arrived)
    }

    /// The agent it belongs to: its own `agentId`, else its session's.
    pub fn agent(&self) -> Option<&str> {
        self.data.get("agentId").and_then(Value::as_str).or(self.session_agent)
    }
}

impl Fields for Fact<'_> {
    fn field(&self, path: &Path) -> Option<Cow<'_, Value>> {
        let text = |text: &str| Some(Cow::Owned(Value::String(text.to_owned())));
        match path {
            Path::Id => text(self.id),
            Path::Event => text(self.event_type),
            Path::Timestamp => text(&self.timestamp.to_string()),
            Path::Agent => self.agent().and_then(text),
            Path::Value => None,
            Path::Data(_) => path.in_data(self.data).map(Cow::Borrowed),
        }
    }
}

/// A fact, and the value that a rule found for it.
pub(super) struct Valued<'a> {
    pub(super) fact: &'a Fact<'a>,
    pub(super) value: Option<f64>,
}

impl Fields for Valued<'_> {
    fn field(&self, path: &Path) -> Option<Cow<'_, Value>> {
        match path {
            Path::Value => {
                let number = self.value.and_then(Number::from_f64);
                number.map(|number| Cow::Owned(Value::Number(number)))
            }
            other => self.fact.field(other),
        }
    }
}
