//! Verifying: does a signature vouch for these bytes, at this time?
//!
//! Where `webhook-signature` is there, it decides, and the legacy signature is not looked at: else
//! whoever can take a header away could take the timestamp's protection away. Comparisons take the same
//! time whatever differs, at any length. Read `lib.rs` again.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use crate::secret::{Secret, VerifyingKey};
use crate::sign;
use crate::time::UnixMs;

/// How far a timestamp may be from now, in seconds, where nothing else is set: five minutes.
pub const TOLERANCE_SECS: i64 = 300;
/// Entries of one `webhook-signature` that are looked at. A sender that rotates sends two or three.
const ENTRIES_MAX: usize = 16;
/// Of these, how many are verified with keys, which is dear.
const KEY_ENTRIES_MAX: usize = 3;

/// A way to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `X-VAI-Signature`: covers the body alone.
    Legacy,
    /// HMAC-SHA256 of Standard Webhooks: covers id, time and body.
    V1,
    /// Ed25519 of Standard Webhooks: covers id, time and body.
    V1a,
}

impl Scheme {
    /// The name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::V1 => "v1",
            Self::V1a => "v1a",
        }
    }
}

/// What a signature vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The scheme that matched.
    pub scheme: Scheme,
    /// `webhook-id`; under [`Scheme::Legacy`] no signature covers it, and it is `None`.
    pub id: Option<String>,
    /// `webhook-timestamp`; `None` under [`Scheme::Legacy`].
    pub timestamp_secs: Option<i64>,
}

/// Which check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// No signature at all.
    #[error("there is no signature: neither webhook-signature nor X-VAI-Signature")]
    NoSignature,
    /// Only a legacy signature, which is not accepted here.
    #[error("there is only the legacy X-VAI-Signature, which is not accepted here")]
    LegacyNotAccepted,
    /// `webhook-id` is not there, or is no text of its form.
    #[error("webhook-id is missing or malformed")]
    BadId,
    /// `webhook-timestamp` is not there, or is no number.
    #[error("webhook-timestamp is missing or is no number of seconds")]
    BadTimestamp,
    /// The timestamp is too far in the past.
    #[error("webhook-timestamp is too old")]
    TooOld,
    /// The timestamp is too far in the future.
    #[error("webhook-timestamp is in the future")]
    TooNew,
    /// `webhook-signature` holds no entry of a scheme that could be checked with the keys there are.
    #[error("webhook-signature holds no v1 or v1a signature that could be checked with these keys")]
    NothingToCheck,
    /// The legacy signature is not 64 lowercase hexadecimal characters.
    #[error("X-VAI-Signature is malformed: 64 lowercase hexadecimal characters are expected")]
    MalformedLegacy,
    /// No secret or key made the signature over these bytes.
    #[error("the signature does not match: another secret, or another body, id or time")]
    Mismatch,
}

impl VerifyError {
    /// A stable name, for logs and counts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoSignature => "no_signature",
            Self::LegacyNotAccepted => "legacy_not_accepted",
            Self::BadId => "bad_webhook_id",
            Self::BadTimestamp => "bad_timestamp",
            Self::TooOld => "timestamp_too_old",
            Self::TooNew => "timestamp_too_new",
            Self::NothingToCheck => "nothing_to_check",
            Self::MalformedLegacy => "malformed_legacy_signature",
            Self::Mismatch => "signature_mismatch",
        }
    }
}

/// Verifies requests with any of several secrets and keys.
#[derive(Debug, Clone)]
pub struct Verifier {
    secrets: Vec<Secret>,
    keys: Vec<VerifyingKey>,
    tolerance_secs: i64,
    accept_legacy: bool,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Verifier {
    /// A verifier without keys, which accepts nothing yet. Legacy signatures are accepted.
    #[must_use]
    pub fn new() -> Self {
        Self { secrets: Vec::new(), keys: Vec::new(), tolerance_secs: TOLERANCE_SECS, accept_legacy: true }
    }

    /// One more secret that may have signed.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// One more key that may verify.
    #[must_use]
    pub fn verifying_key(mut self, key: VerifyingKey) -> Self {
        self.keys.push(key);
        self
    }

    /// How far `webhook-timestamp` may be from now, to the second.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance_secs = i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX);
        self
    }

    /// Whether a request that carries only the legacy signature is accepted. It has no protection
    /// against replay: nothing signed says when it was sent.
    #[must_use]
    pub fn accept_legacy(mut self, accept: bool) -> Self {
        self.accept_legacy = accept;
        self
    }

    /// Verifies `body`. `header` gives a header's value by its lowercase name.
    pub fn verify<'a>(
        &self,
        header: impl Fn(&str) -> Option<&'a [u8]>,
        body: &[u8],
        now: UnixMs,
    ) -> Result<Verified, VerifyError> {
        match (header("webhook-signature"), header("x-vai-signature")) {
            (Some(signatures), _) => self.standard(header, signatures, body, now),
            (None, Some(signature)) if self.accept_legacy => self.legacy(signature, body),
            (None, Some(_)) => Err(VerifyError::LegacyNotAccepted),
            (None, None) => Err(VerifyError::NoSignature),
        }
    }

    fn legacy(&self, signature: &[u8], body: &[u8]) -> Result<Verified, VerifyError> {
        let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        if signature.len() != 64 || !signature.iter().all(hex) {
            return Err(VerifyError::MalformedLegacy);
        }
        for secret in &self.secrets {
            if bool::from(sign::legacy(secret, body).as_bytes().ct_eq(signature)) {
                return Ok(Verified { scheme: Scheme::Legacy, id: None, timestamp_secs: None });
            }
        }
        Err(VerifyError::Mismatch)
    }

    fn standard<'a>(
        &self,
        header: impl Fn(&str) -> Option<&'a [u8]>,
        signatures: &[u8],
        body: &[u8],
        now: UnixMs,
    ) -> Result<Verified, VerifyError> {
        let id = header("webhook-id").and_then(id_text).ok_or(VerifyError::BadId)?;
        let (timestamp, secs) =
            header("webhook-timestamp").and_then(seconds).ok_or(VerifyError::BadTimestamp)?;
        let scheme = self.matching(signatures, id, timestamp, body)?;
        // The time is looked at after the signature: a forged time tells its sender nothing.
        let age_secs = now.as_secs().saturating_sub(secs);
        let tolerance_secs = self.tolerance_secs;
        if age_secs > tolerance_secs {
            return Err(VerifyError::TooOld);
        }
        if age_secs < -tolerance_secs {
            return Err(VerifyError::TooNew);
        }
        Ok(Verified { scheme, id: Some(id.to_owned()), timestamp_secs: Some(secs) })
    }

    fn matching(
        &self,
        signatures: &[u8],
        id: &str,
        timestamp: &str,
        body: &[u8],
    ) -> Result<Scheme, VerifyError> {
        let mut checked = false;
        // Once for each secret, however many entries a request brings: whoever sends it is not known yet.
        let mut expected: Option<Vec<String>> = None;
        let mut by_key = 0;
        for entry in signatures.split(|byte| *byte == b' ').take(ENTRIES_MAX) {
            if let Some(encoded) = entry.strip_prefix(b"v1,") {
                checked |= !self.secrets.is_empty();
                let of = |secret| STANDARD.encode(sign::v1_bytes(secret, id.as_bytes(), timestamp, body));
                let expected = expected.get_or_insert_with(|| self.secrets.iter().map(of).collect());
                if expected.iter().any(|expected| bool::from(expected.as_bytes().ct_eq(encoded))) {
                    return Ok(Scheme::V1);
                }
            } else if let Some(encoded) = entry.strip_prefix(b"v1a,")
                && by_key < KEY_ENTRIES_MAX
            {
                by_key += 1;
                checked |= !self.keys.is_empty();
                let Ok(signature) = STANDARD.decode(encoded) else { continue };
                let Ok(signature) = ed25519_dalek::Signature::from_slice(&signature) else { continue };
                let message = sign::message(id.as_bytes(), timestamp, body);
                if self.keys.iter().any(|key| key.0.verify_strict(&message, &signature).is_ok()) {
                    return Ok(Scheme::V1a);
                }
            }
        }
        Err(if checked { VerifyError::Mismatch } else { VerifyError::NothingToCheck })
    }
}

/// The longest `webhook-id` that is looked at, in bytes.
const ID_BYTES_MAX: usize = 256;

fn id_text(bytes: &[u8]) -> Option<&str> {
    let good = !bytes.is_empty()
        && bytes.len() <= ID_BYTES_MAX
        && bytes.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.');
    if good { std::str::from_utf8(bytes).ok() } else { None }
}

fn seconds(bytes: &[u8]) -> Option<(&str, i64)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { Some((text, text.parse().ok()?)) } else { None }
}
