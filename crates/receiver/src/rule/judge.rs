//! Runs all rules over events in stored order and over time, with their states on a shelf.
//!
//! It exists so that the service (states in SQLite) and a trial (states in memory) do the same. Time is
//! that of the events while there are some to work through (when each arrived), and the clock's when
//! there are none; it never goes back. Before an event is judged, what became due before it arrived is.
//!
//! Invariants: a rule sees only events that came after it was configured; a silence is not raised for a
//! time in which nobody listened: after a start, it must have been silent for the whole time again.
//! Read `step.rs` for what happens to one state.

use vai_webhooks_wire::UnixMs;

use super::fact::{Fact, Valued};
use super::notice::{self, RuleNotice};
use super::step::{self, State, Step, Verdict};
use super::template::{Filling, Template};
use super::{Kind, Rule};
use crate::rule::condition::{Fields, Path};

/// Groups of a rule that are remembered; beyond it, those that end first are forgotten.
pub const GROUPS_MAX: i64 = 100_000;
/// Silences that are taken off the shelf at once.
const DUE_MAX: usize = 256;
/// What stands for the group where an event has none.
const NO_GROUP: &str = "(none)";

/// Where states are kept, by the rule's key and the group.
pub trait Shelf {
    /// Why it could not be read or written.
    type Error;

    /// The state of a group.
    fn get(&mut self, rule: &str, group: &str) -> Result<Option<State>, Self::Error>;

    /// Keeps a state: until `expires`, and to be found by [`due`](Self::due).
    fn put(
        &mut self,
        rule: &str,
        group: &str,
        state: &State,
        due: Option<UnixMs>,
        expires: UnixMs,
    ) -> Result<(), Self::Error>;

    /// Forgets a state.
    fn remove(&mut self, rule: &str, group: &str) -> Result<(), Self::Error>;

    /// States of a rule that are due by then, earliest first, `max` at most.
    fn due(&mut self, rule: &str, by: UnixMs, max: usize) -> Result<Vec<(String, State)>, Self::Error>;

    /// When the next state of a rule is due.
    fn next_due(&mut self, rule: &str) -> Result<Option<UnixMs>, Self::Error>;
}

/// Since when this process listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// Always: for past events.
    Always,
    /// Since then.
    Since(UnixMs),
}

impl Listening {
    /// Whether a silence of `silence_ms` up to `now` was listened to.
    fn heard_all(self, now: UnixMs, silence_ms: i64) -> bool {
        match self {
            Self::Always => true,
            Self::Since(since) => now < since || now.since(since) >= silence_ms,
        }
    }
}

/// What a rule said, for whoever watches it.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) group: &'a str,
    pub(super) verdict: Verdict,
    pub(super) value: Option<f64>,
    pub(super) at: UnixMs,
    /// Of an event, and not of time that has passed.
    pub(super) of_event: bool,
    pub(super) notice: Option<RuleNotice>,
}

/// All rules.
#[derive(Debug)]
pub struct Judge {
    rules: Vec<Entry>,
    listening: Listening,
    clock: UnixMs,
}

#[derive(Debug)]
struct Entry {
    key: String,
    rule: Rule,
    /// It sees events after this one.
    after_seq: i64,
    /// No state is due before.
    due_from: UnixMs,
}

impl Judge {
    /// Rules, each with the sequence number of the newest event when it was configured.
    pub fn new(rules: Vec<(Rule, i64)>, listening: Listening) -> Self {
        let entry = |(rule, after_seq): (Rule, i64)| Entry {
            key: rule.key(),
            rule,
            after_seq,
            due_from: UnixMs(i64::MIN),
        };
        Self { rules: rules.into_iter().map(entry).collect(), listening, clock: UnixMs(i64::MIN) }
    }

    /// Whether any rule looks at such events.
    pub fn is_for(&self, event_type: &str) -> bool {
        self.rules.iter().any(|entry| entry.rule.is_for(event_type))
    }

    /// Judges one event. What is to be sent is added to `notices`.
    pub fn event<S: Shelf>(
        &mut self,
        shelf: &mut S,
        seq: i64,
        fact: &Fact<'_>,
        notices: &mut Vec<RuleNotice>,
    ) -> Result<(), S::Error> {
        self.watched_event(shelf, seq, fact, &mut |said| notices.extend(said.notice))
    }

    /// Judges that time has come to `now` and every event before it was judged.
    pub fn time<S: Shelf>(
        &mut self,
        shelf: &mut S,
        now: UnixMs,
        notices: &mut Vec<RuleNotice>,
    ) -> Result<(), S::Error> {
        self.watched_time(shelf, now, &mut |said| notices.extend(said.notice))
    }

    pub(super) fn watched_event<S: Shelf>(
        &mut self,
        shelf: &mut S,
        seq: i64,
        fact: &Fact<'_>,
        say: &mut dyn FnMut(Said<'_>),
    ) -> Result<(), S::Error> {
        self.watched_time(shelf, fact.arrived, say)?;
        for entry in self.rules.iter_mut().filter(|entry| seq > entry.after_seq) {
            if entry.rule.takes(fact) {
                entry.event(shelf, fact, say)?;
            }
        }
        Ok(())
    }

    pub(super) fn watched_time<S: Shelf>(
        &mut self,
        shelf: &mut S,
        now: UnixMs,
        say: &mut dyn FnMut(Said<'_>),
    ) -> Result<(), S::Error> {
        self.clock = self.clock.max(now);
        for entry in &mut self.rules {
            let Kind::Silence { silence_ms } = entry.rule.kind else { continue };
            if self.clock >= entry.due_from && self.listening.heard_all(self.clock, silence_ms) {
                entry.time(shelf, self.clock, say)?;
            }
        }
        Ok(())
    }
}

impl Entry {
    fn event<S: Shelf>(
        &mut self,
        shelf: &mut S,
        fact: &Fact<'_>,
        say: &mut dyn FnMut(Said<'_>),
    ) -> Result<(), S::Error> {
        let silence = matches!(self.rule.kind, Kind::Silence { .. });
        let group = match self.rule.group(fact) {
            Some(group) => group,
            // Nobody in particular cannot fall silent.
            None if silence => return Ok(()),
            None => NO_GROUP.to_owned(),
        };
        let before = shelf.get(&self.key, &group)?;
        let (was, state) = (before.is_some(), before.clone().unwrap_or_default());
        let step = step::event(&self.rule, state, fact);
        if before.as_ref() != Some(&step.state) {
            self.keep(shelf, &group, &step.state, was)?;
        }
        let fields = Valued { fact, value: step.value };
        self.say(&group, &step, &Cause::Event(fact), &fields, say);
        Ok(())
    }

    fn time<S: Shelf>(
        &mut self,
        shelf: &mut S,
        now: UnixMs,
        say: &mut dyn FnMut(Said<'_>),
    ) -> Result<(), S::Error> {
        loop {
            let due = shelf.due(&self.key, now, DUE_MAX)?;
            if due.is_empty() {
                break;
            }
            for (group, state) in due {
                let was_due = state.due(&self.rule).unwrap_or(now);
                let step = step::time(&self.rule, state, now);
                self.keep(shelf, &group, &step.state, true)?;
                self.say(&group, &step, &Cause::Silence { was_due, now }, &Silent(step.value), say);
            }
        }
        self.due_from = shelf.next_due(&self.key)?.unwrap_or(UnixMs(i64::MAX));
        Ok(())
    }

    fn keep<S: Shelf>(
        &mut self,
        shelf: &mut S,
        group: &str,
        state: &State,
        was: bool,
    ) -> Result<(), S::Error> {
        match state.expires(&self.rule) {
            Some(expires) => {
                let due = state.due(&self.rule);
                self.due_from = due.map_or(self.due_from, |due| due.min(self.due_from));
                shelf.put(&self.key, group, state, due, expires)
            }
            None if was => shelf.remove(&self.key, group),
            None => Ok(()),
        }
    }

    fn say(
        &self,
        group: &str,
        step: &Step,
        cause: &Cause<'_>,
        fields: &dyn Fields,
        say: &mut dyn FnMut(Said<'_>),
    ) {
        let text = match step.verdict {
            Verdict::Raised => Some(&self.rule.message),
            Verdict::Cleared { told: true } => self.rule.message_cleared.as_ref(),
            _ => None,
        };
        let cleared = matches!(step.verdict, Verdict::Cleared { .. });
        let filling = Filling { fields, group, rule: &self.rule.name };
        let (at, cause, of_event) = match cause {
            Cause::Event(fact) => (fact.at(), fact.id.to_owned(), true),
            Cause::Silence { was_due, now } => (*now, format!("silent by {}", was_due.0), false),
        };
        let notice = text.map(|text| RuleNotice {
            id: notice::id(&self.key, group, &format!("{cause} {cleared}")),
            rule: self.rule.name.clone(),
            group: group.to_owned(),
            title: one_line(&self.rule.title, &filling, cleared),
            text: text.fill(&filling),
            targets: self.rule.targets.clone(),
            at,
        });
        say(Said { group, verdict: step.verdict, value: step.value, at, of_event, notice });
    }
}

/// Why a rule says something.
enum Cause<'a> {
    Event(&'a Fact<'a>),
    Silence { was_due: UnixMs, now: UnixMs },
}

fn one_line(title: &Template, filling: &Filling<'_>, cleared: bool) -> String {
    let title = title.fill(filling).replace(['\n', '\r'], " ");
    if cleared { format!("{title} (over)") } else { title }
}

/// The fields of a silence: its length in minutes.
struct Silent(Option<f64>);

impl Fields for Silent {
    fn field(&self, path: &Path) -> Option<std::borrow::Cow<'_, serde_json::Value>> {
        let minutes = self.0.filter(|_| *path == Path::Value)?;
        Some(std::borrow::Cow::Owned(serde_json::Value::from(minutes)))
    }
}
