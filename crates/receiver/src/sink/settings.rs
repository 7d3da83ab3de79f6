//! A sink's own settings: what stands in its `[[sink]]` beside the members that every sink has.
//!
//! It exists so that each kind reads its settings as one struct with `#[serde(deny_unknown_fields)]`, and so that
//! secrets need not stand in the file: `${NAME}` in a text is the environment's. Invariant: neither `Debug` nor an
//! error shows a value. Read `kinds.rs` next.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// What is wrong with a sink's settings, as a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

impl SettingsError {
    /// What is wrong with the member `name`, to be read after it: `is no URL`.
    pub(crate) fn of(name: &str, what: impl fmt::Display) -> Self {
        Self(format!("{name} {what}"))
    }
}

/// What a kind's `open` is given.
pub struct Settings {
    /// The sink's name.
    pub(crate) name: String,
    /// The receiver's data directory: paths are relative to the working directory, state of a sink lies here.
    pub(crate) data_dir: PathBuf,
    /// The members.
    pub(crate) table: toml::Table,
}

impl Settings {
    /// The settings of the sink `name`, whose own state lies in `data_dir`.
    #[must_use]
    pub fn new(name: &str, data_dir: &Path, table: toml::Table) -> Self {
        Self { name: name.to_owned(), data_dir: data_dir.to_owned(), table }
    }

    /// The sink's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A directory for what the kind itself must remember. It is there.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The members as `T`, which should refuse unknown ones.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, SettingsError> {
        let mut table = self.table;
        for value in table.iter_mut().map(|(_, value)| value) {
            expand_all(value, &|name| std::env::var(name).ok())?;
        }
        T::deserialize(toml::Value::Table(table)).map_err(|error| SettingsError(error.message().to_owned()))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<&String> = self.table.keys().collect();
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("members", &members)
            .finish_non_exhaustive()
    }
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

fn expand_all(value: &mut toml::Value, environment: Environment<'_>) -> Result<(), SettingsError> {
    match value {
        toml::Value::String(text) if text.contains("${") => *text = expand(text, environment)?,
        toml::Value::Array(values) => {
            for value in values {
                expand_all(value, environment)?;
            }
        }
        toml::Value::Table(table) => {
            for (_, value) in table.iter_mut() {
                expand_all(value, environment)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Puts the environment's values in place of `${NAME}`.
fn expand(text: &str, environment: Environment<'_>) -> Result<String, SettingsError> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after
            .split_once('}')
            .ok_or_else(|| SettingsError("a \"${\" has no \"}\" behind its name".to_owned()))?;
        let value = environment(name).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| {
            SettingsError(format!("the environment has no {name}: set it, or write the value in its place"))
        })?;
        whole.push_str(before);
        whole.push_str(&value);
        rest = behind;
    }
    whole.push_str(rest);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_take_what_the_environment_has_and_say_what_it_lacks() {
        let environment = |name: &str| (name == "KEY").then(|| "s3cret".to_owned());
        assert_eq!(expand("a ${KEY}b${KEY}", &environment).unwrap(), "a s3cretbs3cret");
        assert_eq!(expand("plain $KEY", &environment).unwrap(), "plain $KEY");
        let missing = expand("${OTHER}", &environment).unwrap_err().to_string();
        assert!(missing.contains("no OTHER"), "{missing}");
        assert!(expand("${KEY", &environment).is_err());
        let mut value: toml::Value =
            toml::from_str::<toml::Table>("a = [\"${KEY}\"]\n[b]\nc = \"${KEY}\"").unwrap().into();
        expand_all(&mut value, &environment).unwrap();
        assert_eq!(value["a"][0].as_str(), Some("s3cret"));
        assert_eq!(value["b"]["c"].as_str(), Some("s3cret"));
    }

    #[test]
    fn debug_shows_no_value() {
        let table = toml::from_str("password = \"s3cret\"").unwrap();
        let shown = format!("{:?}", Settings { name: "a".to_owned(), data_dir: PathBuf::new(), table });
        assert!(shown.contains("password") && !shown.contains("s3cret"), "{shown}");
    }
}
