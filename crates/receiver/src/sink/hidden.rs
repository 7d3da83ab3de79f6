//! A setting that nobody may read by accident: a webhook's URL, a password, a connection string.
//!
//! It exists so that what a kind read can be printed and logged whole. Invariant: neither `Debug` nor an error shows
//! the text. Read `slack.rs` next for one in use.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A text that does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(String);

impl Hidden {
    /// The text itself: for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

/// Not a derived reader: its errors could show the text.
struct Visitor;

impl Visitor {
    fn refused<E: de::Error>() -> Result<Hidden, E> {
        Err(E::custom("a secret must be a text"))
    }
}

impl de::Visitor<'_> for Visitor {
    type Value = Hidden;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Hidden, E> {
        if text.is_empty() {
            Err(E::custom("a secret must not be empty"))
        } else {
            Ok(Hidden(text.to_owned()))
        }
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Hidden, E> {
        Self::refused()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Hidden, E> {
        Self::refused()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Hidden, E> {
        Self::refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret: Hidden = serde_json::from_str(r#""hunter2""#).unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        for bad in ["77123", r#"["hunter2"]"#, r#""""#] {
            let error = serde_json::from_str::<Hidden>(bad).unwrap_err().to_string();
            assert!(!error.contains("77123") && !error.contains("hunter2"), "{error}");
        }
    }
}
