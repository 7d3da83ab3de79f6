//! A stored event, as handlers get it.
//!
//! It exists so that a handler never sees HTTP. Invariant: `body` is byte for byte what was signed,
//! stored and answered 200. Read `route.rs` next.

use bytes::Bytes;
use vai_webhooks_wire::{Envelope, EnvelopeError, UnixMs};

/// One event that was verified and is on disk.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its identity: the event id, or `sha256:<hex>` of the body where the sender gave no id.
    pub id: String,
    /// The event type that the signed body names, as `message.received`.
    pub event_type: String,
    /// `X-VAI-Webhook-ID`, where it was sent. No signature covers it.
    pub webhook_id: Option<String>,
    /// The signature that vouched for it: `legacy`, `v1` or `v1a`.
    pub scheme: String,
    /// When it arrived here first.
    pub received_at: UnixMs,
    /// The body: UTF-8 JSON with `event`, `timestamp`, `data` and mostly `id`.
    pub body: Bytes,
}

impl Event {
    /// The body's parts, borrowed from it. It was parsed once before it was stored, so that an error
    /// here means that the store's file was changed by somebody else.
    pub fn envelope(&self) -> Result<Envelope<'_>, EnvelopeError> {
        Envelope::parse_again(&self.body)
    }
}
