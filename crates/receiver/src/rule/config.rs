//! A rule as configuration spells it, checked and made into one that can run.
//!
//! It exists so that a rule which could never say anything is refused at the start, with the key that is
//! wrong. Invariants: a key that means nothing for the kind of rule is refused and not ignored; a rule
//! that uses a shipped one differs from it in the keys that are given and in nothing else.
//! Read `mod.rs` for the rule, `shipped.toml` for those that are shipped.

use serde::Deserialize;

use super::condition::{Condition, ConditionError, Path, PathError};
use super::template::{Template, TemplateError};
use super::{GROUP_FIELDS_MAX, Kind, Measure, Rule};
use crate::route::Filter;

const SHIPPED: &str = include_str!("shipped.toml");
/// The longest time that a rule may look back or wait: a week.
const SPAN_S_MAX: u64 = 7 * 24 * 3_600;
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// One `[[rule]]`. A rule without `use` needs `name`, `events`,
/// `message`, and `when` or `silence_s`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleConfig {
    /// The rule's name; without it, that of the rule it uses.
    pub name: Option<String>,
    /// The shipped rule that it begins from.
    pub r#use: Option<String>,
    /// The events it looks at: names, `prefix.*`, `*`.
    pub events: Option<Vec<String>>,
    /// What such an event must be like to be looked at.
    pub r#where: Option<String>,
    /// The fields by whose values events are kept apart.
    pub group_by: Option<OneOrMore>,
    /// The field that is watched.
    pub value: Option<String>,
    /// What is made of the values in the window.
    pub aggregate: Option<super::Aggregate>,
    /// For `aggregate = "rate"`: the condition whose share is meant.
    pub rate_of: Option<String>,
    /// How far back an aggregate looks, in seconds.
    pub window_s: Option<u64>,
    /// How many samples an aggregate needs before it says anything.
    pub sample_min: Option<u64>,
    /// When the rule says something.
    pub when: Option<String>,
    /// When it is over, so that the rule may say something again.
    pub clear: Option<String>,
    /// For a rule about silence: how long nothing must have come, in seconds.
    pub silence_s: Option<u64>,
    /// How long after a message there is no other of the same group, in seconds.
    pub cooldown_s: Option<u64>,
    /// The first line of its message.
    pub title: Option<String>,
    /// The message.
    pub message: Option<String>,
    /// The message when it is over; without it there is none.
    pub message_cleared: Option<String>,
    /// The sinks that messages go to.
    pub target: Option<OneOrMore>,
}

/// A text, or a list of texts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl OneOrMore {
    fn list(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::More(list) => list,
        }
    }
}

/// Why a `[[rule]]` cannot run.
#[derive(Debug, thiserror::Error)]
#[error("rule {rule:?}: {key}: {wrong}")]
pub struct RuleError {
    /// The rule's name.
    pub rule: String,
    /// The key that is wrong.
    pub key: &'static str,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// It is no condition.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// It is no field.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It is no text for a message.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

fn other(what: impl Into<String>) -> Wrong {
    Wrong::Other(what.into())
}

#[derive(Deserialize)]
struct Shipped {
    rule: Vec<RuleConfig>,
}

/// The rules that are shipped, in the order of `shipped.toml`.
pub fn shipped() -> Vec<RuleConfig> {
    let shipped: Shipped = toml::from_str(SHIPPED).expect("a test reads it");
    shipped.rule
}

impl RuleConfig {
    /// The rule, or what is wrong with it.
    pub fn build(&self) -> Result<Rule, RuleError> {
        let name = self.name.as_ref().or(self.r#use.as_ref());
        let name = name.map_or("(without a name)", String::as_str);
        let fail = |(key, wrong)| RuleError { rule: name.to_owned(), key, wrong };
        let good = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
        if self.name.is_none() && self.r#use.is_none() {
            return Err(fail(("name", other("is missing"))));
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(good) {
            let what = format!("must have 1 to {NAME_BYTES_MAX} letters, digits, - _ or .");
            return Err(fail(("name", other(what))));
        }
        let merged = match &self.r#use {
            None => self.clone(),
            Some(used) => {
                let all = shipped();
                let names: Vec<String> = all.iter().filter_map(|rule| rule.name.clone()).collect();
                let base = all.into_iter().find(|rule| rule.name.as_ref() == Some(used));
                let unknown = || other(format!("{used:?} is not shipped; there are {}", names.join(", ")));
                self.clone().over(base.ok_or_else(|| fail(("use", unknown())))?)
            }
        };
        merged.checked(name).map_err(fail)
    }

    /// This one's keys where they are given, else those of `base`.
    fn over(self, base: Self) -> Self {
        Self {
            name: self.name,
            r#use: self.r#use,
            events: self.events.or(base.events),
            r#where: self.r#where.or(base.r#where),
            group_by: self.group_by.or(base.group_by),
            value: self.value.or(base.value),
            aggregate: self.aggregate.or(base.aggregate),
            rate_of: self.rate_of.or(base.rate_of),
            window_s: self.window_s.or(base.window_s),
            sample_min: self.sample_min.or(base.sample_min),
            when: self.when.or(base.when),
            clear: self.clear.or(base.clear),
            silence_s: self.silence_s.or(base.silence_s),
            cooldown_s: self.cooldown_s.or(base.cooldown_s),
            title: self.title.or(base.title),
            message: self.message.or(base.message),
            message_cleared: self.message_cleared.or(base.message_cleared),
            target: self.target.or(base.target),
        }
    }

    fn checked(self, name: &str) -> Result<Rule, (&'static str, Wrong)> {
        let kind = self.kind()?;
        let condition = |key, text: &Option<String>| {
            let read = text.as_deref().map(Condition::parse).transpose();
            read.map_err(|error| (key, Wrong::from(error)))
        };
        let wanted = condition("where", &self.r#where)?;
        if wanted.as_ref().is_some_and(|wanted| wanted.names(&Path::Value)) {
            return Err(("where", other("decides before there is a value: name the field itself")));
        }
        let template = |key, text: &Option<String>| {
            let read = text.as_deref().map(Template::parse).transpose();
            read.map_err(|error| (key, Wrong::from(error)))
        };
        let rule = Rule {
            name: name.to_owned(),
            events: self.filters()?,
            wanted,
            group_by: self.groups()?,
            kind,
            cooldown_ms: seconds("cooldown_s", self.cooldown_s.unwrap_or(0), 0)?,
            title: template("title", &self.title)?
                .unwrap_or(Template::parse("{rule}: {group}").expect("good")),
            message: template("message", &self.message)?
                .ok_or(("message", other("is missing: say what people are to read")))?,
            message_cleared: template("message_cleared", &self.message_cleared)?,
            targets: self.targets()?,
            definition: self.definition(),
        };
        rule.fits().map_err(|(key, what)| (key, other(what)))?;
        Ok(rule)
    }

    /// All but its texts and targets, which can change without its states losing their meaning.
    fn definition(&self) -> String {
        let texts = Self { title: None, message: None, message_cleared: None, ..self.clone() };
        format!("{:?}", Self { target: None, ..texts })
    }

    fn kind(&self) -> Result<Kind, (&'static str, Wrong)> {
        let condition = |key, text: &Option<String>| {
            let read = text.as_deref().map(Condition::parse).transpose();
            read.map_err(|error| (key, Wrong::from(error)))
        };
        let not_with = |key, given: bool, what: &str| match given {
            true => Err((key, other(format!("means nothing {what}")))),
            false => Ok(()),
        };
        if let Some(silence_s) = self.silence_s {
            let what = "for a rule about silence (silence_s)";
            not_with("when", self.when.is_some(), what)?;
            not_with("clear", self.clear.is_some(), what)?;
            not_with("value", self.value.is_some(), what)?;
            not_with("aggregate", self.aggregate.is_some(), what)?;
            not_with("rate_of", self.rate_of.is_some(), what)?;
            not_with("window_s", self.window_s.is_some(), what)?;
            not_with("sample_min", self.sample_min.is_some(), what)?;
            return Ok(Kind::Silence { silence_ms: seconds("silence_s", silence_s, 1)? });
        }
        let value = self.value.as_deref().map(Path::parse).transpose();
        let value = value.map_err(|error| ("value", Wrong::from(error)))?;
        if value == Some(Path::Value) {
            return Err(("value", other("must be a field of the event")));
        }
        let when = condition("when", &self.when)?;
        let when = when.ok_or(("when", other("is missing (or silence_s, for a rule about silence)")))?;
        let clear = condition("clear", &self.clear)?;
        let rate_of = condition("rate_of", &self.rate_of)?;
        if rate_of.as_ref().is_some_and(|rate_of| rate_of.names(&Path::Value)) {
            return Err(("rate_of", other("decides before there is a value: name the field itself")));
        }
        let Some(aggregate) = self.aggregate else {
            let what = "without an aggregate";
            not_with("rate_of", rate_of.is_some(), what)?;
            not_with("window_s", self.window_s.is_some(), what)?;
            not_with("sample_min", self.sample_min.is_some(), what)?;
            let cleared = self.message_cleared.is_some() && clear.is_none();
            not_with("message_cleared", cleared, "without `clear`")?;
            return Ok(Kind::Each { value, when, clear });
        };
        let window_s = self.window_s.ok_or(("window_s", other("is missing: an aggregate needs it")))?;
        let measure = Measure::new(aggregate, value, rate_of).map_err(|(key, what)| (key, other(what)))?;
        Ok(Kind::Window {
            measure,
            window_ms: seconds("window_s", window_s, 1)?,
            sample_min: self.sample_min.unwrap_or(1).max(1),
            when,
            clear,
        })
    }

    fn filters(&self) -> Result<Vec<Filter>, (&'static str, Wrong)> {
        let events = self.events.as_deref().unwrap_or_default();
        if events.is_empty() {
            return Err(("events", other("is missing: name the events that the rule looks at")));
        }
        let wrong = |text: &String| {
            (
                "events",
                other(format!("{text:?} is no name as \"message.sent\", no \"prefix.*\" and not \"*\"")),
            )
        };
        events.iter().map(|text| Filter::parse(text).ok_or_else(|| wrong(text))).collect()
    }

    fn groups(&self) -> Result<Vec<Path>, (&'static str, Wrong)> {
        let fields = self.group_by.as_ref().map_or(&[][..], OneOrMore::list);
        if fields.len() > GROUP_FIELDS_MAX {
            return Err(("group_by", other(format!("takes {GROUP_FIELDS_MAX} fields at most"))));
        }
        let read = |text: &String| match Path::parse(text) {
            Ok(Path::Value) => Err(("group_by", other("a group is made before there is a value"))),
            Ok(path) => Ok(path),
            Err(error) => Err(("group_by", Wrong::from(error))),
        };
        fields.iter().map(read).collect()
    }

    fn targets(&self) -> Result<Vec<String>, (&'static str, Wrong)> {
        let targets = self.target.as_ref().map_or(&[][..], OneOrMore::list);
        let mut seen = std::collections::BTreeSet::new();
        match targets.iter().find(|target| !seen.insert(target.as_str())) {
            Some(twice) => Err(("target", other(format!("names {twice:?} twice")))),
            None => Ok(targets.to_vec()),
        }
    }
}

fn seconds(key: &'static str, seconds: u64, min: u64) -> Result<i64, (&'static str, Wrong)> {
    if !(min..=SPAN_S_MAX).contains(&seconds) {
        return Err((key, other(format!("must be {min} to {SPAN_S_MAX} seconds"))));
    }
    i64::try_from(seconds * 1_000).map_err(|_| (key, other("is too long")))
}

#[cfg(test)]
mod tests;
