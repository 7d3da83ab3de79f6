//! The receiver's configuration file: its `[[sink]]`s and `[[rule]]`s, and how long events stay.
//!
//! It exists so that the service and `--check` read one thing. Invariants: a member that nobody knows is an error;
//! what is wrong is said with the sink's name; no value of a sink's settings is ever shown. Read `sink/kinds.rs` next.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::inbox::{Fed, Start, Wanted};
use crate::route::Filter;
use crate::rule::condition::Condition;
use crate::rule::{Rule, RuleConfig, RuleError};
use crate::sink::{Settings, SettingsError, Sink, kinds};

/// The most sinks of one receiver.
const SINKS_MAX: usize = 64;
/// The most rules of one receiver.
const RULES_MAX: usize = 256;
/// The longest name of a sink.
const NAME_BYTES_MAX: usize = 64;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is no TOML, or has members that nobody knows.
    #[error("the configuration cannot be read: {0}")]
    Toml(String),
    /// One of the sinks is wrong.
    #[error("sink {name:?}: {what}")]
    Sink {
        /// The sink's name, or `number 3` where it has none.
        name: String,
        /// What is wrong with it. The message has it, so it is no source: a chain would say it twice.
        what: SettingsError,
    },
    /// One of the rules is wrong.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// Several are.
    #[error("{} things are wrong:{}", .0.len(), .0.iter().map(|one| format!("\n  {one}")).collect::<String>())]
    Several(Vec<ConfigError>),
}

/// The file.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where stored events go.
    pub sinks: Vec<SinkConfig>,
    /// What is worth a message, and to which of the sinks.
    pub rules: Vec<Rule>,
    /// How long an event stays after the last sink is done with it, in days; `None`: as long as the default says.
    pub retain_days: Option<u32>,
}

/// One `[[sink]]`: what every sink has, and the settings of its kind.
#[derive(Clone)]
pub struct SinkConfig {
    /// Its name: letters, digits, `-` and `_`. Its place in the inbox is kept under it.
    pub name: String,
    /// One of the kinds in `sink/kinds.rs`.
    pub kind: String,
    /// Names, `prefix.*`, `*`; none for a sink that only takes messages.
    pub events: Vec<String>,
    /// It must hold.
    pub condition: Option<Condition>,
    /// Where a sink begins that was not there before.
    pub start: Start,
    /// The rest.
    pub settings: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    retain_days: Option<u32>,
    #[serde(default)]
    sink: Vec<toml::Table>,
    #[serde(default)]
    rule: Vec<RuleConfig>,
}

/// What every sink has.
#[derive(Deserialize)]
struct Members {
    name: String,
    kind: String,
    #[serde(default = "every_event")]
    events: Vec<String>,
    #[serde(rename = "where")]
    condition: Option<String>,
    #[serde(default)]
    start: Start,
}

const MEMBERS: [&str; 5] = ["name", "kind", "events", "where", "start"];

fn every_event() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Config {
    /// Reads the text of a file, or says everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| ConfigError::Toml(error.to_string()))?;
        let mut wrong = Vec::new();
        if file.retain_days == Some(0) {
            wrong.push(ConfigError::Toml("retain_days must be at least 1".to_owned()));
        }
        let mut config = Self { sinks: Vec::new(), rules: Vec::new(), retain_days: file.retain_days };
        let sinks = file.sink.len();
        for (at, table) in file.sink.into_iter().enumerate() {
            let name = table.get("name").and_then(toml::Value::as_str);
            let name = name.map_or_else(|| format!("number {}", at + 1), str::to_owned);
            match sink(table, &config.sinks) {
                Ok(sink) => config.sinks.push(sink),
                Err(what) => wrong.push(ConfigError::Sink { name, what }),
            }
        }
        for rule in file.rule {
            // The target of a rule may be one of the sinks that are wrong.
            let allowed = rule.build().and_then(|rule| match config.allows(&rule) {
                Err((key, what)) if config.sinks.len() == sinks => Err(rule.error(key, what)),
                _ => Ok(rule),
            });
            match allowed {
                Ok(rule) => config.rules.push(rule),
                Err(error) => wrong.push(error.into()),
            }
        }
        match wrong.len() {
            0 => Ok(config),
            1 => Err(wrong.remove(0)),
            _ => Err(ConfigError::Several(wrong)),
        }
    }

    /// Whether a rule fits what stands before it.
    fn allows(&self, rule: &Rule) -> Result<(), (&'static str, String)> {
        if self.rules.iter().any(|other| other.name() == rule.name()) {
            return Err(("name", "stands twice: give each rule its own".to_owned()));
        }
        if self.rules.len() >= RULES_MAX {
            return Err(("name", format!("there may be {RULES_MAX} rules")));
        }
        if rule.targets().is_empty() {
            return Err(("target", "is missing: name the sinks that its messages go to".to_owned()));
        }
        for target in rule.targets() {
            let Some(sink) = self.sinks.iter().find(|sink| sink.name == *target) else {
                return Err(("target", format!("no sink is named {target:?}")));
            };
            if kinds::takes_messages(&sink.kind) == Some(false) {
                let messengers = kinds::messengers().join(", ");
                return Err((
                    "target",
                    format!("a sink of the kind {:?} takes no messages: {messengers} do", sink.kind),
                ));
            }
        }
        Ok(())
    }
}

fn sink(mut table: toml::Table, others: &[SinkConfig]) -> Result<SinkConfig, SettingsError> {
    let settings: toml::Table =
        table.clone().into_iter().filter(|(name, _)| !MEMBERS.contains(&name.as_str())).collect();
    table.retain(|name, _| MEMBERS.contains(&name));
    let members = Members::deserialize(toml::Value::Table(table))
        .map_err(|error| SettingsError(error.message().to_owned()))?;
    let good = |at: u8| at.is_ascii_alphanumeric() || at == b'-' || at == b'_';
    let refuse = |what: String| Err(SettingsError(what));
    if members.name.is_empty() || members.name.len() > NAME_BYTES_MAX || !members.name.bytes().all(good) {
        return refuse(format!("a name has 1 to {NAME_BYTES_MAX} letters, digits, \"-\" and \"_\""));
    }
    if others.iter().any(|other| other.name == members.name) {
        return refuse("another sink has this name: give each its own".to_owned());
    }
    if others.len() >= SINKS_MAX {
        return refuse(format!("there may be {SINKS_MAX} sinks"));
    }
    for filter in &members.events {
        if Filter::parse(filter).is_none() {
            return refuse(format!(
                "{filter:?} is no filter for events: give a name as \"message.sent\", a \"prefix.*\", or \"*\""
            ));
        }
    }
    let condition = members.condition.as_deref().map(Condition::parse).transpose();
    Ok(SinkConfig {
        name: members.name,
        kind: members.kind,
        events: members.events,
        condition: condition.map_err(|error| SettingsError(format!("where: {error}")))?,
        start: members.start,
        settings,
    })
}

impl SinkConfig {
    /// Opens the sink itself. `data_dir` must be there.
    pub fn open(&self, data_dir: &Path) -> Result<Box<dyn Sink>, ConfigError> {
        let settings =
            Settings { name: self.name.clone(), data_dir: data_dir.to_owned(), table: self.settings.clone() };
        kinds::open(&self.kind, settings).map_err(|what| ConfigError::Sink { name: self.name.clone(), what })
    }

    /// Opens the sink, for the inbox to feed.
    pub(crate) fn fed(&self, data_dir: &Path) -> Result<Fed, ConfigError> {
        let filters = self.events.iter().filter_map(|text| Filter::parse(text)).collect();
        Ok(Fed {
            name: self.name.as_str().into(),
            kind: self.kind.clone(),
            wanted: Wanted { filters, condition: self.condition.clone() },
            start: self.start,
            sink: self.open(data_dir)?,
        })
    }
}

impl fmt::Debug for SinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkConfig")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("events", &self.events)
            .field("condition", &self.condition)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_has_its_filter_and_its_kinds_settings() {
        let config = Config::parse(
            "[[sink]]\nname = \"a\"\nkind = \"jsonl\"\npath = \"x\"\n
             [[sink]]\nname = \"b\"\nkind = \"jsonl\"\nevents = [\"message.*\"]\nwhere = \"data.a < 1\"\nstart = \"oldest\"\npath = \"y\"",
        )
        .unwrap();
        assert_eq!(config.sinks[0].events, ["*"]);
        assert_eq!((config.sinks[0].start, config.sinks[1].start), (Start::Now, Start::Oldest));
        assert!(config.sinks[0].condition.is_none() && config.sinks[1].condition.is_some());
        assert_eq!(config.sinks[1].settings.keys().collect::<Vec<_>>(), ["path"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_sinks_name() {
        let good = "[[sink]]\nname = \"a\"\nkind = \"jsonl\"\n";
        for (text, said) in [
            ("[[sinks]]", "unknown field"),
            ("retain_days = 0", "at least 1"),
            ("[[sink]]\nkind = \"jsonl\"", "number 1"),
            ("[[sink]]\nname = \"a b\"\nkind = \"jsonl\"", "letters, digits"),
            ("[[sink]]\nname = \"a\"", "missing field `kind`"),
            (&format!("{good}{good}"), "another sink has this name"),
            (&format!("{good}events = [\"*.x\"]"), "no filter for events"),
            (&format!("{good}where = \"data.a <\""), "where: column"),
            (&format!("{good}start = \"then\""), "then"),
        ] {
            let error = Config::parse(text).expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        let all = "retain_days = 0\n[[sink]]\nname = \"a\"\n[[sink]]\nname = \"b\"\nkind = \"jsonl\"\nstart = \"then\"\n
                   [[rule]]\nuse = \"low-satisfaction\"\ntarget = \"a\"\n[[rule]]\nuse = \"none\"\ntarget = \"a\"";
        let error = Config::parse(all).unwrap_err().to_string();
        assert!(error.starts_with("4 things are wrong:\n"), "{error}");
        for said in ["retain_days", "sink \"a\"", "sink \"b\"", "\"none\""] {
            assert!(error.contains(said), "{said}: {error}");
        }
    }

    #[test]
    fn a_kinds_own_members_are_checked_when_it_is_opened() {
        let open = |text: &str| {
            let config = Config::parse(&format!("[[sink]]\nname = \"a\"\n{text}")).unwrap();
            config.sinks[0].open(Path::new("/nowhere")).err().expect(text).to_string()
        };
        assert!(open("kind = \"nothing\"").contains("the kinds are "));
        assert!(open("kind = \"jsonl\"").contains("missing field `path`"));
        assert!(open("kind = \"jsonl\"\npath = \"x\"\npaht = \"x\"").contains("paht"));
        let unset = open("kind = \"jsonl\"\npath = \"${VAI_NOT_SET_ANYWHERE}\"");
        assert!(unset.contains("sink \"a\"") && unset.contains("VAI_NOT_SET_ANYWHERE"), "{unset}");
    }
}
