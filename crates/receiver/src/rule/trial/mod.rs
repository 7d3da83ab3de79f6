//! What a rule would have done with past events, as text that people read.
//!
//! It exists so that a threshold can be tried before it wakes somebody. Invariant: the rule runs as in the
//! service, through the same [`Judge`]; only its states are in memory, nothing is sent, and time is the
//! events' own. Read `past.rs` for how past events are read, `shelf.rs` for the states.

mod past;
mod shelf;

use std::collections::HashMap;
use std::io::{self, Write};

use vai_webhooks_wire::UnixMs;

pub use past::{LINE_BYTES_MAX, Past, PastError, lines};

use super::judge::{Judge, Listening, Said};
use super::step::Verdict;
use super::template::short_number;
use super::{Fact, Rule};
use shelf::Memory;

/// Sessions whose agent is remembered; a session beyond them has none.
const SESSIONS_MAX: usize = 1_000_000;
/// The widest column for groups, in characters.
const GROUP_CHARS_MAX: usize = 40;

/// Counts of what happened in a trial.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Events that were read.
    pub events: u64,
    /// Events of the types that the rule looks at, and of those the ones that it did not look at because
    /// of `where`.
    pub of_its_types: u64,
    /// Lines that are no events.
    pub unreadable: u64,
    /// Events that were judged.
    pub judged: u64,
    /// Messages when it was raised.
    pub raised: u64,
    /// Times that it was over.
    pub cleared: u64,
    /// Events that would have raised it, within the cooldown.
    pub held: u64,
    /// Events of which it was raised already.
    pub still: u64,
    /// Events without a field that it needs.
    pub missing: u64,
    /// Events before there were enough samples.
    pub too_few: u64,
    /// Events that came after later ones.
    pub late: u64,
    /// Groups that were seen.
    pub groups: u64,
}

/// Runs `rule` over past events, in the order in which they come, and writes what it would have said.
/// An event's error is counted, and the first one shown.
pub fn run(
    rule: Rule,
    events: impl Iterator<Item = Result<Past, PastError>>,
    out: &mut dyn Write,
) -> io::Result<Counts> {
    let mut trial = Trial {
        counts: Counts::default(),
        groups: HashMap::new(),
        values: Values::default(),
        first_error: None,
        span: None,
        written: Ok(()),
    };
    let mut judge = Judge::new(vec![(rule.clone(), 0)], Listening::Always);
    let mut shelf = Memory::default();
    let mut sessions = HashMap::new();
    for (at, event) in events.enumerate() {
        match event {
            Ok(event) => {
                let fact = event.fact(agent_of(&mut sessions, &event));
                trial.count(&rule, &fact);
                let seq = i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1);
                let Ok(()) = judge.watched_event(&mut shelf, seq, &fact, &mut |said| trial.say(&said, out));
            }
            Err(error @ PastError::Read(_)) => return Err(io::Error::other(error)),
            Err(error) => {
                trial.counts.unreadable += 1;
                trial.first_error.get_or_insert_with(|| error.to_string());
            }
        }
        std::mem::replace(&mut trial.written, Ok(()))?;
    }
    trial.end(&rule, out)?;
    Ok(trial.counts)
}

/// The agent that an event's session is known by, from all events up to this one.
fn agent_of<'a>(sessions: &'a mut HashMap<String, String>, event: &Past) -> Option<&'a str> {
    let text = |name| event.data.get(name).and_then(serde_json::Value::as_str);
    let session = text("sessionId")?;
    if let Some(agent) = text("agentId")
        && (sessions.len() < SESSIONS_MAX || sessions.contains_key(session))
    {
        sessions.insert(session.to_owned(), agent.to_owned());
    }
    sessions.get(session).map(String::as_str)
}

struct Trial {
    counts: Counts,
    /// Messages of each group.
    groups: HashMap<String, u64>,
    values: Values,
    first_error: Option<String>,
    span: Option<(UnixMs, UnixMs)>,
    written: io::Result<()>,
}

#[derive(Default)]
struct Values {
    count: u64,
    sum: f64,
    lowest: Option<f64>,
    highest: Option<f64>,
}

impl Values {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.lowest = Some(self.lowest.map_or(value, |lowest| lowest.min(value)));
        self.highest = Some(self.highest.map_or(value, |highest| highest.max(value)));
    }
}

impl Trial {
    fn count(&mut self, rule: &Rule, fact: &Fact<'_>) {
        self.counts.events += 1;
        self.counts.of_its_types += u64::from(rule.is_for(fact.event_type));
        let at = fact.at();
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    fn say(&mut self, said: &Said<'_>, out: &mut dyn Write) {
        let counts = &mut self.counts;
        match said.verdict {
            Verdict::Fine => {}
            Verdict::Missing => counts.missing += 1,
            Verdict::TooFew => counts.too_few += 1,
            Verdict::Late => counts.late += 1,
            Verdict::Still => counts.still += 1,
            Verdict::Held => counts.held += 1,
            Verdict::Raised => counts.raised += 1,
            Verdict::Cleared { .. } => counts.cleared += 1,
        }
        counts.judged += u64::from(said.of_event);
        if let Some(value) = said.value.filter(|_| !matches!(said.verdict, Verdict::Missing | Verdict::Late))
        {
            self.values.add(value);
        }
        let raised = u64::from(said.verdict == Verdict::Raised);
        match self.groups.get_mut(said.group) {
            Some(messages) => *messages += raised,
            None => {
                self.groups.insert(said.group.to_owned(), raised);
            }
        }
        if self.written.is_ok() {
            self.written = write_line(said, out);
        }
    }

    fn end(&mut self, rule: &Rule, out: &mut dyn Write) -> io::Result<()> {
        self.counts.groups = self.groups.len() as u64;
        let counts = &self.counts;
        if counts.raised + counts.cleared > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{} would {}.", rule.name(), spoken(counts.raised))?;
        let mut line = |name: &str, text: String| writeln!(out, "  {name:<22}{text}");
        match self.span {
            Some((first, last)) => line("events", format!("{} from {first} to {last}", counts.events))?,
            None => line("events", "none".to_owned())?,
        }
        let unwanted = counts.of_its_types.saturating_sub(counts.judged);
        line(
            "of its types",
            format!("{} ({unwanted} left out by `where` or without a group)", counts.of_its_types),
        )?;
        line("groups", counts.groups.to_string())?;
        if let (Some(lowest), Some(highest)) = (self.values.lowest, self.values.highest) {
            let mean = self.values.sum / self.values.count as f64;
            let [lowest, mean, highest] = [lowest, mean, highest].map(short_number);
            line("value", format!("lowest {lowest}, mean {mean}, highest {highest}"))?;
        }
        for (name, count) in [
            ("over again", counts.cleared),
            ("still raised", counts.still),
            ("held by the cooldown", counts.held),
            ("too few samples", counts.too_few),
            ("without the value", counts.missing),
            ("late", counts.late),
            ("unreadable lines", counts.unreadable),
        ] {
            if count > 0 {
                line(name, count.to_string())?;
            }
        }
        if let Some(error) = &self.first_error {
            line("the first of them", error.clone())?;
        }
        let mut loudest: Vec<_> = self.groups.iter().filter(|(_, messages)| **messages > 0).collect();
        loudest.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
        for (group, messages) in loudest.into_iter().filter(|_| counts.groups > 1).take(10) {
            line("messages about", format!("{}: {messages}", shortened(group)))?;
        }
        Ok(())
    }
}

fn write_line(said: &Said<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (name, told) = match said.verdict {
        Verdict::Raised => ("RAISED", true),
        Verdict::Cleared { told } => ("over", told),
        _ => return Ok(()),
    };
    if !told {
        return Ok(());
    }
    let value = said.value.map_or_else(|| "-".to_owned(), short_number);
    writeln!(out, "{}  {name:<6}  {value:>10}  {}", said.at, shortened(said.group))?;
    if let Some(notice) = &said.notice {
        writeln!(out, "    {}", notice.title)?;
        for line in notice.text.lines() {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

fn shortened(group: &str) -> String {
    let group = if group.is_empty() { "(all)" } else { group };
    match group.char_indices().nth(GROUP_CHARS_MAX) {
        Some((cut, _)) => format!("{}…", &group[..cut]),
        None => group.to_owned(),
    }
}

fn spoken(count: u64) -> String {
    match count {
        0 => "never have spoken".to_owned(),
        1 => "have spoken once".to_owned(),
        count => format!("have spoken {count} times"),
    }
}

#[cfg(test)]
mod tests;
