//! The format in which a webhook gets events, and what fixes a delivery's bytes beside the event.
//!
//! Invariant: a delivery keeps the [`Form`] that its webhook had when the event was accepted, so that every
//! attempt has the same bytes, whatever the webhook is told meanwhile. Read `../dispatch/format.rs` next.

use serde::{Deserialize, Serialize};

use super::WebhookConfig;

/// How an event is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The envelope: `{"id","event","timestamp","data"}`.
    #[default]
    Vai,
    /// `{"type","timestamp","data"}`, as the Standard Webhooks specification writes a payload.
    Standard,
    /// A CloudEvents 1.0 event in the JSON format ("structured mode" of its HTTP binding).
    Cloudevents,
    /// The data as the body, and the attributes of a CloudEvents 1.0 event as headers ("binary mode").
    CloudeventsBinary,
    /// The data alone.
    Raw,
    /// `{"id","event","timestamp","url"}`: the data is behind a signed link that expires.
    Thin,
}

impl Format {
    /// All there are. The place is the number in the store: new ones go to the end.
    pub(super) const ALL: [Self; 6] =
        [Self::Vai, Self::Standard, Self::Cloudevents, Self::CloudeventsBinary, Self::Raw, Self::Thin];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vai => "vai",
            Self::Standard => "standard",
            Self::Cloudevents => "cloudevents",
            Self::CloudeventsBinary => "cloudevents-binary",
            Self::Raw => "raw",
            Self::Thin => "thin",
        }
    }

    fn number(self) -> u32 {
        Self::ALL.into_iter().zip(0..).find(|(it, _)| *it == self).map_or(0, |(_, number)| number)
    }

    /// Whether it is the default, which is not written down.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What makes a delivery's bytes of its event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Form {
    /// How it is written.
    pub format: Format,
    /// The version of the webhook's transformation that makes its data; 0: none does.
    pub script: u32,
}

impl Form {
    /// Bits of a stored form that are its script's version.
    const SCRIPT_BITS: u32 = 24;

    /// The form of deliveries of a webhook; `None` where they go out as they were accepted.
    #[must_use]
    pub(crate) fn of(config: &WebhookConfig) -> Option<Self> {
        let script = config.transform.as_ref().map_or(0, |it| it.version);
        let form = Self { format: config.format, script };
        (form != Self::default()).then_some(form)
    }

    /// As the store keeps it: the script's version, and the format above it.
    #[must_use]
    pub(crate) fn number(self) -> u32 {
        self.format.number() << Self::SCRIPT_BITS | self.script
    }

    /// What the store keeps as this number.
    #[must_use]
    pub(crate) fn of_number(number: u32) -> Option<Self> {
        let format = usize::try_from(number >> Self::SCRIPT_BITS).ok()?;
        let script = number & ((1 << Self::SCRIPT_BITS) - 1);
        Format::ALL.get(format).map(|&format| Self { format, script })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_form_is_read_back_and_versions_of_older_stores_are_forms() {
        for format in Format::ALL {
            for script in [0, 1, 1_000] {
                let form = Form { format, script };
                assert_eq!(Form::of_number(form.number()), Some(form));
            }
        }
        assert_eq!(Form::of_number(7), Some(Form { format: Format::Vai, script: 7 }));
        assert_eq!(Form::of_number(u32::MAX), None);
    }

    #[test]
    fn the_name_in_the_api_is_the_name_in_the_store() {
        for format in Format::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
        }
    }
}
