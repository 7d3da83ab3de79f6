//! The decision on a request's bytes: is it signed by us, is it an event, which one is it?
//!
//! It exists apart from HTTP and the store, as a function of values. Order matters: nothing in the body
//! is looked at before a signature vouches for it.
//!
//! Which event it is: the id in the signed body; without one, the `webhook-id` header where the
//! signature covers it (`v1`, `v1a`); without that, the SHA-256 of the body. The legacy signature covers
//! the body alone, so under it no header may name the event: else a captured request with made-up ids
//! would be new each time. For the same reason a body without an id that comes with the legacy signature
//! alone is the same event as any stored one with these bytes, under whatever id that one came.
//!
//! What a legacy sender cannot have: protection against replay by time (nothing signed says when the
//! request was sent), and two different events of equal bytes (they count as one).
//! Read `intake/receive.rs` next.

use http::HeaderMap;
use sha2::{Digest, Sha256};
use vai_webhooks_wire::{Envelope, Scheme, UnixMs, Verifier};

use crate::refusal::Refusal;

/// The longest id that is taken, in bytes. Ids that we make have about 30.
const ID_BYTES_MAX: usize = 256;

/// A body that is signed and is an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// What makes it this event and no other.
    pub(crate) identity: String,
    /// SHA-256 of the body, where the body holds no id.
    pub(crate) body_sha256: Option<[u8; 32]>,
    /// Whether any stored event with these bytes is this one.
    pub(crate) same_body_is_same_event: bool,
    /// The type in the signed body.
    pub(crate) event_type: String,
    /// The signature that vouched for it.
    pub(crate) scheme: &'static str,
}

/// Decides on `body`, with `headers` as they came, at the time `now`.
pub(crate) fn accept(
    verifier: &Verifier,
    headers: &HeaderMap,
    body: &[u8],
    now: UnixMs,
) -> Result<Accepted, Refusal> {
    let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
    let verified = verifier.verify(header, body, now).map_err(Refusal::Unsigned)?;
    let envelope = Envelope::parse(body).map_err(|error| Refusal::NotAnEvent(error.to_string()))?;
    let all_are = |name: &str, text: &str| headers.get_all(name).iter().all(|value| value == text);
    if !all_are("x-vai-event", &envelope.event) {
        return Err(Refusal::EventDiffers);
    }
    let by_legacy = verified.scheme == Scheme::Legacy;
    let (identity, body_sha256) = match (&envelope.id, &verified.id) {
        (Some(id), _) if !all_are("webhook-id", id) => return Err(Refusal::IdDiffers),
        (Some(id), _) => (id.clone().into_owned(), None),
        (None, signed_id) => {
            let digest: [u8; 32] = Sha256::digest(body).into();
            let signed_id = signed_id.as_ref().filter(|_| !by_legacy);
            (signed_id.map_or_else(|| sha256_identity(&digest), |id| id.to_string()), Some(digest))
        }
    };
    if identity.is_empty() || identity.len() > ID_BYTES_MAX {
        return Err(Refusal::NotAnEvent(format!("its id must have 1 to {ID_BYTES_MAX} bytes")));
    }
    Ok(Accepted {
        identity,
        same_body_is_same_event: by_legacy && body_sha256.is_some(),
        body_sha256,
        event_type: envelope.event.to_string(),
        scheme: verified.scheme.name(),
    })
}

/// The identity of a body without an id.
pub(crate) fn sha256_identity(digest: &[u8; 32]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity("sha256:".len() + 2 * digest.len());
    text.push_str("sha256:");
    for byte in digest {
        write!(text, "{byte:02x}").expect("a String takes every text");
    }
    text
}
