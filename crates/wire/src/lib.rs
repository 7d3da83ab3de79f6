//! The wire contract of VAI Webhooks: what goes from a sender to a receiver, and how it is signed.
//!
//! No I/O and few dependencies, so that both sides can use it. What is fixed by whom: the body, the
//! `X-VAI-*` headers and the legacy signature by the VAI Portal page; `webhook-id`, `webhook-timestamp`
//! and `webhook-signature` by Standard Webhooks.
//!
//! ```
//! use vai_webhooks_wire::{Secret, UnixMs, Verifier, envelope, sign};
//!
//! let secret = Secret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")?;
//! let sent_at = UnixMs(1_767_225_600_000);
//! let body = envelope::write("evt_1", "message.sent", sent_at, r#"{"sessionId":"s-1"}"#);
//! let signature = sign::v1(&secret, "evt_1", sent_at.as_secs(), &body);
//!
//! let header = |name: &str| match name {
//!     "webhook-id" => Some(b"evt_1".as_slice()),
//!     "webhook-timestamp" => Some(b"1767225600".as_slice()),
//!     "webhook-signature" => Some(signature.as_bytes()),
//!     _ => None,
//! };
//! let verified = Verifier::new().secret(secret).verify(header, &body, sent_at)?;
//! assert_eq!(verified.id.as_deref(), Some("evt_1"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The rooms: `time` and `id` are the values, `event` and `envelope` the body, `json` and `defaults`
//! what is done to posted data, `secret`, `sign` and `verify` the signatures.

pub mod defaults;
pub mod envelope;
mod event;
mod id;
pub mod json;
mod secret;
pub mod sign;
mod time;
mod typed;
mod verify;

pub use envelope::{Envelope, EnvelopeError};
pub use event::{EVENT_TYPE_CHARS_MAX, is_event_type, types};
pub use id::{AttemptId, DeliveryId, EventId, ParseIdError, WebhookId};
pub use secret::{ParseSecretError, Secret, SigningKey, VerifyingKey};
pub use time::{ParseTimeError, UnixMs};
pub use typed::{
    AgentMetrics, AnyEvent, ConversationEnded, ConversationStarted, Message, MessageReceived, MessageSent,
    Metrics, ParseDataError, TypedEvent, WebhookTest,
};
pub use verify::{Scheme, TOLERANCE_SECS, Verified, Verifier, VerifyError};
