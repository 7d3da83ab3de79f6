//! Ids: time-ordered texts with a prefix that says what they name.
//!
//! Those that we make are a number that grows with time and a number of the installation, in Crockford's
//! base 32, so that they sort by time as text. Producers may bring event ids of their own, and owners
//! webhook ids. Read `event.rs` next.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text is no id of its kind; says what one is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no {kind} id: {allowed}")]
pub struct ParseIdError {
    kind: &'static str,
    allowed: &'static str,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of a 96-bit and of a 128-bit number.
const SHORT_CHARS: usize = 20;
const LONG_CHARS: usize = 26;

/// The number in `chars` characters, most significant first.
fn encode(prefix: &str, number: u128, chars: usize) -> Box<str> {
    let mut digits = [0; LONG_CHARS];
    let mut rest = number;
    for digit in digits[..chars].iter_mut().rev() {
        *digit = ALPHABET[usize::from(rest.to_le_bytes()[0] & 31)];
        rest >>= 5;
    }
    let mut text = String::with_capacity(prefix.len() + chars);
    text.push_str(prefix);
    // The alphabet is ASCII.
    text.push_str(str::from_utf8(&digits[..chars]).unwrap_or_default());
    text.into_boxed_str()
}

/// The number that [`encode`] wrote so, and nothing else.
fn decode(prefix: &str, text: &str, chars: usize) -> Option<u128> {
    let digits = text.strip_prefix(prefix).filter(|digits| digits.len() == chars)?;
    let mut number = 0_u128;
    for byte in digits.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == byte)?;
        number = number.checked_mul(32)?.checked_add(u128::try_from(digit).ok()?)?;
    }
    (encode(prefix, number, chars).as_ref() == text).then_some(number)
}

fn join(key: u64, realm: u32) -> u128 {
    (u128::from(key) << 32) | u128::from(realm)
}

fn split(number: u128) -> Option<(u64, u32)> {
    let realm = u32::try_from(number & u128::from(u32::MAX)).ok()?;
    Some((u64::try_from(number >> 32).ok()?, realm))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $allowed:literal, $is:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let is: fn(&str) -> bool = $is;
                if is(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(ParseIdError { kind: $kind, allowed: $allowed })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// An event's id: `evt_…` where we made it, the producer's own otherwise. No dot is in it, since
    /// Standard Webhooks signs `<id>.<timestamp>.<body>`.
    EventId,
    "event",
    "1 to 128 letters, digits, '_', '-' and ':'",
    |text| (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte))
);
id!(
    /// A webhook's id: `wh_…` where we made it, the owner's own otherwise.
    WebhookId,
    "webhook",
    "1 to 64 letters, digits, '_' and '-', the first a letter or digit",
    |text| (1..=64).contains(&text.len())
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
);
id!(
    /// A delivery's id: `dlv_…`.
    DeliveryId,
    "delivery",
    "dlv_ and 26 characters, as the API gave it",
    |text| decode("dlv_", text, LONG_CHARS).is_some()
);
id!(
    /// An attempt's id: `att_…`.
    AttemptId,
    "attempt",
    "att_ and 20 characters, as the API gave it",
    |text| decode("att_", text, SHORT_CHARS).and_then(split).is_some()
);

impl EventId {
    /// The id of the event `key` (which grows with time) of the installation `realm`.
    #[must_use]
    pub fn from_parts(key: u64, realm: u32) -> Self {
        Self(encode("evt_", join(key, realm), SHORT_CHARS))
    }

    /// The numbers in an id that [`EventId::from_parts`] made; `None` for any other.
    #[must_use]
    pub fn parts(&self) -> Option<(u64, u32)> {
        split(decode("evt_", &self.0, SHORT_CHARS)?)
    }
}

impl WebhookId {
    /// The id of the webhook `key` of the installation `realm`.
    #[must_use]
    pub fn from_parts(key: u64, realm: u32) -> Self {
        Self(encode("wh_", join(key, realm), SHORT_CHARS))
    }
}

impl AttemptId {
    /// The id of the attempt `key` (which grows with time) of the installation `realm`.
    #[must_use]
    pub fn from_parts(key: u64, realm: u32) -> Self {
        Self(encode("att_", join(key, realm), SHORT_CHARS))
    }

    /// The numbers in it.
    #[must_use]
    pub fn parts(&self) -> Option<(u64, u32)> {
        split(decode("att_", &self.0, SHORT_CHARS)?)
    }
}

impl DeliveryId {
    /// The id of the delivery of an event to a webhook, of the installation `realm`.
    #[must_use]
    pub fn from_parts(event_key: u64, webhook_no: u32, realm: u32) -> Self {
        let number = (u128::from(event_key) << 64) | (u128::from(webhook_no) << 32) | u128::from(realm);
        Self(encode("dlv_", number, LONG_CHARS))
    }

    /// The numbers in it: event, webhook, realm.
    #[must_use]
    pub fn parts(&self) -> Option<(u64, u32, u32)> {
        let number = decode("dlv_", &self.0, LONG_CHARS)?;
        let (rest, realm) = (number >> 32, u32::try_from(number & u128::from(u32::MAX)).ok()?);
        let (event_key, webhook_no) = split(rest)?;
        Some((event_key, webhook_no, realm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_lead_back_to_their_numbers_and_sort_as_they_do(a: u64, b: u64, no: u32, realm: u32) {
            let (x, y) = (EventId::from_parts(a, realm), EventId::from_parts(b, realm));
            prop_assert_eq!(x.parts(), Some((a, realm)));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.as_str().parse::<EventId>().unwrap(), x);
            let delivery = DeliveryId::from_parts(a, no, realm);
            prop_assert_eq!(delivery.parts(), Some((a, no, realm)));
            prop_assert_eq!(delivery.as_str().parse::<DeliveryId>().unwrap(), delivery);
            let attempt = AttemptId::from_parts(a, realm);
            prop_assert_eq!(attempt.parts(), Some((a, realm)));
            prop_assert!(WebhookId::from_parts(a, realm).as_str().parse::<WebhookId>().is_ok());
        }

        #[test]
        fn any_text_is_an_id_or_an_error(text: String) {
            for short in [&text, &format!("evt_{text}"), &format!("dlv_{text}")] {
                if let Ok(id) = short.parse::<EventId>() {
                    prop_assert_eq!(id.as_str(), short.as_str());
                }
                let _parsed = short.parse::<DeliveryId>();
            }
        }
    }

    #[test]
    fn only_our_own_spelling_is_our_own() {
        let id = EventId::from_parts(5, 7);
        let upper: EventId = format!("evt_{}", id.as_str()[4..].to_uppercase()).parse().unwrap();
        assert_eq!(upper.parts(), None);
        assert_eq!("evt_1".parse::<EventId>().unwrap().parts(), None);
    }

    #[test]
    fn what_is_no_id_says_what_is() {
        for bad in ["", "a.b", "a b", "ă", &"x".repeat(129)] {
            assert!(bad.parse::<EventId>().is_err(), "{bad:?}");
        }
        assert!("att_zzzzzzzzzzzzzzzzzzzz".parse::<AttemptId>().is_err(), "more bits than an id has");
        for bad in ["", "-a", "_a", "a:b", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<WebhookId>().is_err(), "{bad:?}");
        }
        let error = "x".parse::<DeliveryId>().unwrap_err().to_string();
        assert_eq!(error, "is no delivery id: dlv_ and 26 characters, as the API gave it");
    }
}
