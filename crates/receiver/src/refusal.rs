//! Why a request was not taken: one value for the answer, the log, the counts and the observer.
//!
//! It exists so that these four never disagree. Invariants: nothing that a sender can put into a
//! request leads to a 5xx; what is not signed by us always gets the same answer, whichever check
//! failed, and only the log says which. Read `accept.rs` next.

use http::StatusCode;
use vai_webhooks_wire::VerifyError;

use crate::store::StoreError;

/// Why a request to `POST /webhooks/vai` was answered anything but 200.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// No signature that we accept vouches for this body at this time.
    #[error("not signed by the sender: {0}")]
    Unsigned(VerifyError),
    /// Signed, but the body is no event.
    #[error("the body is no event: {0}")]
    NotAnEvent(String),
    /// Signed, but `X-VAI-Event` names another type than the signed body.
    #[error("X-VAI-Event differs from the event type in the signed body")]
    EventDiffers,
    /// Signed, but `webhook-id` is another id than the signed body's.
    #[error("webhook-id differs from the id in the signed body")]
    IdDiffers,
    /// The body is over the limit.
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
    /// The body did not arrive in time.
    #[error("the body did not arrive within {0} ms")]
    TooSlow(u64),
    /// The connection broke, or broke HTTP's framing, inside the body.
    #[error("the body ended before its end")]
    Incomplete,
    /// The bodies in memory are at their limit.
    #[error("too many bodies are being read at once")]
    NoMemory,
    /// The event could not be stored.
    #[error("not stored: {0}")]
    NotStored(#[from] StoreError),
}

impl Refusal {
    /// A stable name for logs, counts and the observer.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unsigned(error) => error.code(),
            Self::NotAnEvent(_) => "not_an_event",
            Self::EventDiffers => "event_header_differs",
            Self::IdDiffers => "webhook_id_differs",
            Self::TooLarge(_) => "body_too_large",
            Self::TooSlow(_) => "body_too_slow",
            Self::Incomplete => "body_incomplete",
            Self::NoMemory => "too_many_bodies",
            Self::NotStored(StoreError::Full) => "store_queue_full",
            Self::NotStored(StoreError::Late) => "store_late",
            Self::NotStored(StoreError::Temporary) => "store_cannot_write",
            Self::NotStored(StoreError::Down) => "store_down",
        }
    }

    /// The status it is answered with.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unsigned(_) => StatusCode::UNAUTHORIZED,
            Self::NotAnEvent(_) | Self::EventDiffers | Self::IdDiffers | Self::Incomplete => {
                StatusCode::BAD_REQUEST
            }
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::NoMemory | Self::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the sender is told.
    pub(crate) fn public_text(&self) -> String {
        match self {
            Self::Unsigned(_) => "Invalid signature".to_owned(),
            Self::NoMemory | Self::NotStored(_) => "Service unavailable, try again".to_owned(),
            _ => self.to_string(),
        }
    }
}
