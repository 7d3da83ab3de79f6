//! Signing, in the three schemes that a request carries.
//!
//! Legacy is the VAI Portal page's: hex HMAC-SHA256 of the raw body. `v1` and `v1a` are Standard
//! Webhooks': HMAC-SHA256 and Ed25519 of `<id>.<timestamp>.<body>`. One is made here with a library; many at once are
//! made in `batch.rs`. Read `verify.rs` next.

mod batch;
mod lanes;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

pub(crate) use batch::Keyed;
pub use batch::{Batch, Mac};

use crate::secret::{Secret, SigningKey};

/// `X-VAI-Signature`: 64 lowercase hexadecimal characters.
#[must_use]
pub fn legacy(secret: &Secret, body: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    push_legacy(&mut text, &legacy_bytes(secret, body));
    text
}

/// Spells it behind `text`, from its bytes.
pub fn push_legacy(text: &mut String, mac: &Mac) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = mac.map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    text.push_str(std::str::from_utf8(digits.as_flattened()).expect("digits are text"));
}

/// One entry of `webhook-signature`: `v1,<base64>`.
#[must_use]
pub fn v1(secret: &Secret, id: &str, timestamp_secs: i64, body: &[u8]) -> String {
    let mut text = String::with_capacity(47);
    push_v1(&mut text, &v1_bytes(secret, id.as_bytes(), &timestamp_secs.to_string(), body));
    text
}

/// Spells it behind `text`, from its bytes.
pub fn push_v1(text: &mut String, mac: &Mac) {
    text.push_str("v1,");
    STANDARD.encode_string(mac, text);
}

/// One entry of `webhook-signature`: `v1a,<base64>`.
#[must_use]
pub fn v1a(key: &SigningKey, id: &str, timestamp_secs: i64, body: &[u8]) -> String {
    let message = message(id.as_bytes(), &timestamp_secs.to_string(), body);
    format!("v1a,{}", STANDARD.encode(key.0.sign(&message).to_bytes()))
}

pub(crate) fn legacy_bytes(secret: &Secret, body: &[u8]) -> Mac {
    finish(secret.legacy.clone().chain_update(body))
}

pub(crate) fn v1_bytes(secret: &Secret, id: &[u8], timestamp: &str, body: &[u8]) -> Mac {
    let keyed = secret.v1.clone();
    finish(
        keyed
            .chain_update(id)
            .chain_update(b".")
            .chain_update(timestamp)
            .chain_update(b".")
            .chain_update(body),
    )
}

fn finish(mac: Hmac<Sha256>) -> Mac {
    mac.finalize().into_bytes().into()
}

/// What Standard Webhooks signs.
pub(crate) fn message(id: &[u8], timestamp: &str, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(id.len() + timestamp.len() + body.len() + 2);
    message.extend_from_slice(id);
    message.push(b'.');
    message.extend_from_slice(timestamp.as_bytes());
    message.push(b'.');
    message.extend_from_slice(body);
    message
}
