//! Keys: shared secrets for HMAC, and Ed25519 pairs.
//!
//! A secret that we make is `whsec_` and the base64 of 32 random bytes; any other text is one too. The
//! legacy signature is keyed with the text as it was shown, `v1` with the decoded part after `whsec_`
//! or, without that prefix, with the text. Invariant: no `Debug` and no error shows a key. Source of the
//! prefixes: Standard Webhooks. Read `sign.rs` next.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;

use crate::sign::Keyed;

const SECRET_PREFIX: &str = "whsec_";
const SIGNING_PREFIX: &str = "whsk_";
const VERIFYING_PREFIX: &str = "whpk_";
const SECRET_CHARS_MAX: usize = 256;
const KEY_BYTES: usize = 32;

/// A text is no key of its kind. Does not show the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseSecretError(&'static str);

/// A shared secret.
#[derive(Clone)]
pub struct Secret {
    shown: Box<str>,
    /// HMAC states with the keys already in them: a signature starts from a copy.
    pub(crate) legacy: Hmac<Sha256>,
    pub(crate) v1: Hmac<Sha256>,
    /// The same for many at once.
    pub(crate) legacy_keyed: Keyed,
    pub(crate) v1_keyed: Keyed,
}

impl Secret {
    /// Reads a secret: 1 to 256 visible ASCII characters; after `whsec_`, base64.
    pub fn parse(text: &str) -> Result<Self, ParseSecretError> {
        let visible = text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.trim() == text;
        if text.is_empty() || text.len() > SECRET_CHARS_MAX || !visible {
            return Err(ParseSecretError(
                "a secret has 1 to 256 visible ASCII characters, and none of the first and last is a blank",
            ));
        }
        let decoded = match text.strip_prefix(SECRET_PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).ok().filter(|key| !key.is_empty()).ok_or(ParseSecretError(
                "a secret that begins with whsec_ must go on with base64 (with padding, as openssl writes it)",
            ))?,
            None => text.as_bytes().to_vec(),
        };
        let keyed = |key: &[u8]| Hmac::new_from_slice(key).map_err(|_| ParseSecretError("no key for HMAC"));
        Ok(Self {
            legacy: keyed(text.as_bytes())?,
            v1: keyed(&decoded)?,
            legacy_keyed: Keyed::new(text.as_bytes()),
            v1_keyed: Keyed::new(&decoded),
            shown: text.into(),
        })
    }

    /// The secret that 32 random bytes make.
    #[must_use]
    pub fn from_random(bytes: [u8; KEY_BYTES]) -> Self {
        let text = format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes));
        Self::parse(&text).expect("base64 of 32 bytes after the prefix is a secret")
    }

    /// The text, to show to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// An Ed25519 key that signs: `whsk_` and base64 of 64 bytes, the seed and the verifying key.
#[derive(Clone)]
pub struct SigningKey(pub(crate) ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key that 32 random bytes make.
    #[must_use]
    pub fn from_bytes(seed: &[u8; KEY_BYTES]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads `whsk_…`: the seed with its verifying key (64 bytes), or the seed alone (32 bytes).
    pub fn parse(text: &str) -> Result<Self, ParseSecretError> {
        const ERROR: ParseSecretError =
            ParseSecretError("a signing key is whsk_ and base64 of 32 or 64 bytes that belong together");
        let bytes = text.strip_prefix(SIGNING_PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        let bytes = bytes.ok_or(ERROR)?;
        let key = match bytes.len() {
            KEY_BYTES => bytes.as_slice().try_into().map(Self::from_bytes).map_err(|_| ERROR)?,
            64 => {
                let pair = bytes.as_slice().try_into().map_err(|_| ERROR)?;
                Self(ed25519_dalek::SigningKey::from_keypair_bytes(pair).map_err(|_| ERROR)?)
            }
            _ => return Err(ERROR),
        };
        Ok(key)
    }

    /// The text, to keep.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{SIGNING_PREFIX}{}", STANDARD.encode(self.0.to_keypair_bytes()))
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

/// An Ed25519 key that verifies, which anybody may know: `whpk_` and base64 of 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey(pub(crate) ed25519_dalek::VerifyingKey);

impl FromStr for VerifyingKey {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        const ERROR: ParseSecretError = ParseSecretError("a verifying key is whpk_ and base64 of 32 bytes");
        let bytes = text.strip_prefix(VERIFYING_PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        let bytes: [u8; KEY_BYTES] = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(ERROR)?;
        ed25519_dalek::VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| ERROR)
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERIFYING_PREFIX}{}", STANDARD.encode(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_any_visible_text_and_base64_after_the_prefix() {
        for good in ["x", "your-webhook-secret", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "a b"] {
            assert_eq!(Secret::parse(good).unwrap().expose(), good);
        }
        for bad in ["", " x", "x ", "x\n", "ă", "whsec_", "whsec_???", "whsec_abc", &"x".repeat(257)] {
            assert!(Secret::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_error_shows_the_text() {
        let error = Secret::parse("whsec_hunter2!").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn keys_do_not_show_in_debug() {
        let secret = Secret::from_random([7; 32]);
        let key = SigningKey::from_bytes(&[7; 32]);
        assert_eq!(format!("{secret:?} {key:?}"), "Secret([redacted]) SigningKey([redacted])");
        assert!(secret.expose().starts_with("whsec_BwcHBwcH"));
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = SigningKey::from_bytes(&[9; 32]);
        assert_eq!(SigningKey::parse(&key.expose()).unwrap().expose(), key.expose());
        let public = key.verifying_key();
        assert_eq!(public.to_string().parse::<VerifyingKey>().unwrap(), public);
        for bad in ["", "whsk_", "whsk_AAAA", &key.expose().replace("whsk_", "whpk_")] {
            assert!(SigningKey::parse(bad).is_err());
        }
    }
}
