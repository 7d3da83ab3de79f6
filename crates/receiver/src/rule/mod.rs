//! Rules: what is worth telling somebody, as configuration.
//!
//! They exist because the seed's alert (a low satisfaction score) and its follow-up are two of many, and
//! each place wants other ones. A rule looks at some events, keeps them apart by group (an agent, a session),
//! and says something when a condition becomes true of an event, of a window of events, or of silence.
//!
//! ```text
//! [[rule]] ─▶ config ─▶ Rule ─┐
//! event ─▶ fact ──────────────┴▶ judge ──▶ step: (state, event | time) ─▶ (state, verdict) ──▶ notice
//!                                └─ states on a Shelf, by rule and group      window, condition     template
//! ```
//!
//! Invariants: a step is a function of values, so that what a rule would have done with past events
//! ([`trial`]) is what it does; a missing value raises nothing; what a rule remembers of a group has a bound,
//! and so has the number of groups. Read `config.rs`, then `step.rs`.

pub mod condition;
mod config;
mod fact;
mod judge;
mod notice;
mod step;
mod template;
pub mod trial;
mod window;

use sha2::{Digest, Sha256};

pub use config::{OneOrMore, RuleConfig, RuleError, Wrong, shipped};
pub use fact::Fact;
pub use judge::{GROUPS_MAX, Judge, Listening, Shelf};
pub use notice::RuleNotice;
pub use step::{State, Verdict};
pub use template::TemplateError;
pub use window::Aggregate;

use crate::route::Filter;
use condition::{Condition, Fields, Path};
use template::Template;

/// The most fields that a group is made of.
const GROUP_FIELDS_MAX: usize = 4;
/// The longest name of a group, in bytes; what is longer is cut.
const GROUP_BYTES_MAX: usize = 512;

/// A rule that can run. Made by [`RuleConfig::build`].
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    name: String,
    events: Vec<Filter>,
    wanted: Option<Condition>,
    group_by: Vec<Path>,
    kind: Kind,
    cooldown_ms: i64,
    title: Template,
    message: Template,
    message_cleared: Option<Template>,
    targets: Vec<String>,
    /// What its states depend on, as text.
    definition: String,
}

/// What a rule looks for.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// One event of which `when` is true. Without `clear`, each such event; with it, the first, and then
    /// none before `clear` was true.
    Each { value: Option<Path>, when: Condition, clear: Option<Condition> },
    /// A window of which `when` is true; over when `clear` is true, or without it when `when` is false.
    Window { measure: Measure, window_ms: i64, sample_min: u64, when: Condition, clear: Option<Condition> },
    /// No event of the group for so long.
    Silence { silence_ms: i64 },
}

/// What is counted of an event in a window.
#[derive(Debug, Clone, PartialEq)]
enum Measure {
    Count,
    Mean(Path),
    Min(Path),
    Max(Path),
    Rate(Condition),
}

impl Measure {
    fn new(
        aggregate: Aggregate,
        value: Option<Path>,
        rate_of: Option<Condition>,
    ) -> Result<Self, (&'static str, &'static str)> {
        const NO_VALUE: &str = "is missing: name the field whose values are meant";
        if aggregate != Aggregate::Rate && rate_of.is_some() {
            return Err(("rate_of", "is for aggregate = \"rate\" alone"));
        }
        match (aggregate, value, rate_of) {
            (Aggregate::Count, None, _) => Ok(Self::Count),
            (Aggregate::Count, Some(_), _) => {
                Err(("value", "is not for a count: say in `where` what is counted"))
            }
            (Aggregate::Rate, None, Some(condition)) => Ok(Self::Rate(condition)),
            (Aggregate::Rate, Some(_), _) => {
                Err(("value", "is not for a rate: say in `rate_of` what is meant"))
            }
            (Aggregate::Rate, None, None) => {
                Err(("rate_of", "is missing: the condition whose share is meant"))
            }
            (Aggregate::Mean, Some(path), _) => Ok(Self::Mean(path)),
            (Aggregate::Min, Some(path), _) => Ok(Self::Min(path)),
            (Aggregate::Max, Some(path), _) => Ok(Self::Max(path)),
            (Aggregate::Mean | Aggregate::Min | Aggregate::Max, None, _) => Err(("value", NO_VALUE)),
        }
    }
}

impl Rule {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sinks that its messages go to.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// What is wrong with one of its keys, found by who put it to use.
    pub(crate) fn error(&self, key: &'static str, what: String) -> RuleError {
        RuleError { rule: self.name.clone(), key, wrong: Wrong::Other(what) }
    }

    /// Under what its states are kept: its name, and a hash of all that gives them their meaning, so that
    /// a rule that was changed begins anew.
    pub fn key(&self) -> String {
        let digest = Sha256::digest(self.definition.as_bytes());
        format!("{}@{:02x}{:02x}{:02x}{:02x}", self.name, digest[0], digest[1], digest[2], digest[3])
    }

    /// Whether it looks at such events at all.
    pub fn is_for(&self, event_type: &str) -> bool {
        self.events.iter().any(|filter| filter.takes(event_type))
    }

    /// Whether it looks at this event.
    fn takes(&self, fact: &Fact<'_>) -> bool {
        self.is_for(fact.event_type) && self.wanted.as_ref().is_none_or(|wanted| wanted.holds(fact))
    }

    /// The group of an event: its fields' values, as people read them. A field that is missing leaves its
    /// place empty; `None` where all are, and there is at least one.
    fn group(&self, fact: &Fact<'_>) -> Option<String> {
        let mut group = String::new();
        let mut found = self.group_by.is_empty();
        for (at, path) in self.group_by.iter().enumerate() {
            if at > 0 {
                group.push_str(", ");
            }
            match fact.field(path).as_deref() {
                None | Some(serde_json::Value::Null) => continue,
                Some(serde_json::Value::String(text)) => group.push_str(text),
                Some(value) => group.push_str(&value.to_string()),
            }
            found = true;
        }
        let mut end = group.len().min(GROUP_BYTES_MAX);
        while !group.is_char_boundary(end) {
            end -= 1;
        }
        group.truncate(end);
        found.then_some(group)
    }

    /// What no single key shows: a `value` that is never there, fields in a message that has no event.
    fn fits(&self) -> Result<(), (&'static str, &'static str)> {
        let (when, clear, valued) = match &self.kind {
            Kind::Each { value, when, clear } => (Some(when), clear.as_ref(), value.is_some()),
            Kind::Window { when, clear, .. } => {
                if !when.names(&Path::Value) {
                    return Err(("when", "must look at `value`, which is what the aggregate gives"));
                }
                (Some(when), clear.as_ref(), true)
            }
            Kind::Silence { .. } => (None, None, true),
        };
        let names = |condition: Option<&Condition>| condition.is_some_and(|found| found.names(&Path::Value));
        if names(when) && !valued {
            return Err(("when", "looks at `value`, but the rule has none: say which field it is"));
        }
        if names(clear) && !valued {
            return Err(("clear", "looks at `value`, but the rule has none: say which field it is"));
        }
        let silence = matches!(self.kind, Kind::Silence { .. });
        let allowed = |template: &Template| {
            template.fields().all(|path| match path {
                Path::Value => valued,
                _ => !silence,
            })
        };
        const FIELDS: &str = "a rule about silence has no event: it can name {group}, {rule} and {value} (minutes); \
            and {value} needs a rule that has one";
        let templates = [("title", Some(&self.title)), ("message", Some(&self.message))];
        for (key, template) in
            templates.into_iter().chain([("message_cleared", self.message_cleared.as_ref())])
        {
            if template.is_some_and(|template| !allowed(template)) {
                return Err((key, FIELDS));
            }
        }
        Ok(())
    }
}
