//! What a rule does at an event, and when time has passed: a function of its state.
//!
//! It exists apart from where states are kept and from clocks, so that a table says what a rule does.
//! Invariants: after a message there is no other of the same group within the cooldown; between two
//! raises of a rule that clears there is a clearing; a missing value changes nothing; an event that is
//! older than one that was judged neither raises nor clears. Read `judge.rs` next.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vai_webhooks_wire::UnixMs;

use super::fact::{Fact, Valued};
use super::window::Window;
use super::{Kind, Measure, Rule};
use crate::rule::condition::{Condition, Fields, Path, Truth};

/// How long a state is remembered that nothing else ends: a raise that never clears, a silence that
/// never ends.
const REMEMBERED_MS: i64 = 30 * 24 * 3_600_000;

/// What a rule remembers of one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    window: Window,
    /// It was raised and has not cleared.
    raised: bool,
    /// The raise made a message.
    told: bool,
    /// No message before this.
    quiet_until_ms: Option<i64>,
    /// When the newest event arrived.
    seen_ms: Option<i64>,
    /// When the newest event that was judged happened.
    judged_ms: Option<i64>,
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// There is nothing to say.
    Fine,
    /// A field that it needs is missing.
    Missing,
    /// There are not enough samples yet.
    TooFew,
    /// An event that happened later was judged already.
    Late,
    /// It was raised before and has not cleared.
    Still,
    /// It would be raised, were it not within the cooldown.
    Held,
    /// It is raised now.
    Raised,
    /// It is over now.
    Cleared {
        /// Whether its raise made a message.
        told: bool,
    },
}

/// A state after a step, what is said, and the value it is said of.
pub(super) struct Step {
    pub(super) state: State,
    pub(super) verdict: Verdict,
    pub(super) value: Option<f64>,
}

impl State {
    /// When a silence begins if nothing comes.
    pub(super) fn due(&self, rule: &Rule) -> Option<UnixMs> {
        match rule.kind {
            Kind::Silence { silence_ms } if !self.raised => {
                self.seen_ms.map(|seen| UnixMs(seen).saturating_add(silence_ms))
            }
            _ => None,
        }
    }

    /// When it means nothing any more; `None` where it means nothing now.
    pub(super) fn expires(&self, rule: &Rule) -> Option<UnixMs> {
        let window_ms = if let Kind::Window { window_ms, .. } = rule.kind { window_ms } else { 0 };
        let remembered = self.raised && window_ms == 0 || matches!(rule.kind, Kind::Silence { .. });
        let remembered = self.seen_ms.filter(|_| remembered);
        let remembered = remembered.map(|seen| UnixMs(seen).saturating_add(REMEMBERED_MS));
        let quiet = self.quiet_until_ms.map(UnixMs);
        self.window.empty_at(window_ms).into_iter().chain(quiet).chain(remembered).max()
    }

    fn is_quiet(&self, now: UnixMs) -> bool {
        self.quiet_until_ms.is_some_and(|until| now.0 < until)
    }
}

/// An event that the rule takes.
pub(super) fn event(rule: &Rule, mut state: State, fact: &Fact<'_>) -> Step {
    let now = UnixMs(state.seen_ms.map_or(fact.arrived.0, |seen| seen.max(fact.arrived.0)));
    let seen_before = state.seen_ms.replace(now.0);
    match &rule.kind {
        Kind::Silence { .. } => {
            let verdict = match std::mem::take(&mut state.raised) {
                true => Verdict::Cleared { told: std::mem::take(&mut state.told) },
                false => Verdict::Fine,
            };
            let silence_ms = now.since(UnixMs(seen_before.unwrap_or(now.0)));
            Step { state, verdict, value: Some(minutes(silence_ms)) }
        }
        Kind::Each { value, when, clear } => {
            let value = value.as_ref().and_then(|path| number(fact, path));
            if let Some(judged) = state.judged_ms
                && clear.is_some()
                && fact.at().0 < judged
            {
                return Step { state, verdict: Verdict::Late, value };
            }
            let fields = Valued { fact, value };
            let verdict = judge(&mut state, rule, now, &fields, when, Over::After(clear.as_ref()));
            if clear.is_some() && !matches!(verdict, Verdict::Missing) {
                state.judged_ms = Some(fact.at().0);
            }
            Step { state, verdict, value }
        }
        Kind::Window { measure, window_ms, sample_min, when, clear } => {
            state.window.advance(*window_ms, now);
            if state.window.count() == 0 {
                // All that it was raised for is long gone: what comes now is a new matter.
                (state.raised, state.told) = (false, false);
            }
            let Some(sample) = measure.sample(fact) else {
                return Step { state, verdict: Verdict::Missing, value: None };
            };
            state.window.add(*window_ms, fact.at(), sample);
            state.window.advance(*window_ms, now);
            let value = state.window.value(measure.aggregate());
            if state.window.count() < *sample_min {
                return Step { state, verdict: Verdict::TooFew, value };
            }
            let over = clear.as_ref().map_or(Over::WhenNot, |clear| Over::After(Some(clear)));
            let verdict = judge(&mut state, rule, now, &Valued { fact, value }, when, over);
            Step { state, verdict, value }
        }
    }
}

/// Time has come to `now` without an event of the group.
pub(super) fn time(rule: &Rule, mut state: State, now: UnixMs) -> Step {
    let silent = state.due(rule).is_some_and(|due| now >= due);
    let since = now.since(UnixMs(state.seen_ms.unwrap_or(now.0)));
    let value = Some(minutes(since));
    if !silent {
        return Step { state, verdict: Verdict::Fine, value };
    }
    state.raised = true;
    if state.is_quiet(now) {
        return Step { state, verdict: Verdict::Held, value };
    }
    state.told = true;
    state.quiet_until_ms = quiet_until(rule, now);
    Step { state, verdict: Verdict::Raised, value }
}

/// When a raise is over.
#[derive(Clone, Copy)]
enum Over<'a> {
    /// When this is true; without one it is over at once.
    After(Option<&'a Condition>),
    /// When what raised it is false.
    WhenNot,
}

fn judge(
    state: &mut State,
    rule: &Rule,
    now: UnixMs,
    fields: &dyn Fields,
    when: &Condition,
    over: Over<'_>,
) -> Verdict {
    if state.raised {
        let is_over = match over {
            Over::After(clear) => clear.is_none_or(|clear| clear.holds(fields)),
            Over::WhenNot => when.truth(fields) == Truth::False,
        };
        if !is_over {
            return Verdict::Still;
        }
        state.raised = false;
        return Verdict::Cleared { told: std::mem::take(&mut state.told) };
    }
    match when.truth(fields) {
        Truth::False => Verdict::Fine,
        Truth::Unknown => Verdict::Missing,
        Truth::True if state.is_quiet(now) => Verdict::Held,
        Truth::True => {
            state.raised = !matches!(over, Over::After(None));
            state.told = state.raised;
            state.quiet_until_ms = quiet_until(rule, now);
            Verdict::Raised
        }
    }
}

fn quiet_until(rule: &Rule, now: UnixMs) -> Option<i64> {
    (rule.cooldown_ms > 0).then(|| now.saturating_add(rule.cooldown_ms).0)
}

fn minutes(ms: i64) -> f64 {
    (ms / 60_000) as f64
}

fn number(fact: &Fact<'_>, path: &Path) -> Option<f64> {
    fact.field(path).as_deref().and_then(Value::as_f64)
}

impl Measure {
    fn sample(&self, fact: &Fact<'_>) -> Option<f64> {
        match self {
            Self::Count => Some(1.0),
            Self::Mean(path) | Self::Min(path) | Self::Max(path) => number(fact, path),
            Self::Rate(condition) => match condition.truth(fact) {
                Truth::True => Some(1.0),
                Truth::False => Some(0.0),
                Truth::Unknown => None,
            },
        }
    }

    fn aggregate(&self) -> super::Aggregate {
        match self {
            Self::Count => super::Aggregate::Count,
            Self::Mean(_) => super::Aggregate::Mean,
            Self::Min(_) => super::Aggregate::Min,
            Self::Max(_) => super::Aggregate::Max,
            Self::Rate(_) => super::Aggregate::Rate,
        }
    }
}

#[cfg(test)]
mod tests;
