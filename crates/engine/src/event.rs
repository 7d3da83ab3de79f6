//! Events and deliveries, as they are posted and read.
//!
//! It exists so that the store, the engine's calls and the API speak of one thing. Read
//! `intake/mod.rs` next.

use bytes::Bytes;
use vai_webhooks_wire::{DeliveryId, EventId, UnixMs, WebhookId};

use crate::attempt::Attempt;
use crate::error::FieldProblem;
use crate::key::EventKey;
use crate::webhook::Format;

/// An event as a producer gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The type: a dotted name, as `message.received`.
    pub event_type: String,
    /// The data: one JSON value, kept byte for byte as it is spelled.
    pub data: String,
    /// The producer's own id, which makes repeating safe; without it, the engine makes one.
    pub id: Option<EventId>,
    /// When it happened; without it, now.
    pub timestamp: Option<UnixMs>,
    /// Not to be sent before this time.
    pub deliver_at: Option<UnixMs>,
    /// Where it goes: webhooks without channels, and those that have one of these. Empty: no restriction.
    pub channels: Vec<String>,
}

impl NewEvent {
    /// An event of a type, with its data as JSON text.
    #[must_use]
    pub fn new(event_type: impl Into<String>, data: impl Into<String>) -> Self {
        Self {
            event_type: event_type.into(),
            data: data.into(),
            id: None,
            timestamp: None,
            deliver_at: None,
            channels: Vec::new(),
        }
    }
}

/// What accepting an event is answered with, once it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The event's id: the producer's own, or the one that was made.
    pub id: EventId,
    /// Whether it had been accepted before: then nothing was written or sent.
    pub duplicate: bool,
    /// Where its data is not as the schema of its type has it, and was accepted all the same.
    pub violations: Vec<FieldProblem>,
}

/// Why an event went to no webhook, as found when it was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nowhere {
    /// The tenant has no webhook.
    NoWebhooks,
    /// No webhook subscribes to this type.
    NoneSubscribed,
    /// Those that subscribe to this type are of other channels.
    OtherChannels,
    /// Those that subscribe are disabled.
    Disabled,
}

impl Nowhere {
    /// The name in the API and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoWebhooks => "no_webhooks",
            Self::NoneSubscribed => "none_subscribed",
            Self::OtherChannels => "other_channels",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) const ALL: [Self; 4] =
        [Self::NoWebhooks, Self::NoneSubscribed, Self::OtherChannels, Self::Disabled];

    /// The reason of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// An accepted event, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSummary {
    /// Its number, by which lists are ordered.
    pub position: EventKey,
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub event_type: String,
    /// When it happened.
    pub timestamp: UnixMs,
    /// When it was accepted.
    pub accepted_at: UnixMs,
    /// Not to be sent before this time, where the producer said so.
    pub deliver_at: Option<UnixMs>,
    /// Why it went to no webhook, where it did not.
    pub nowhere: Option<Nowhere>,
    /// How many of its deliveries are in each state.
    pub deliveries: DeliveryCounts,
}

/// Deliveries by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Not final yet.
    pub pending: u32,
    /// Taken by their webhooks.
    pub delivered: u32,
    /// Ended without being taken: exhausted or rejected.
    pub failed: u32,
    /// Given up because their webhooks were deleted.
    pub cancelled: u32,
    /// Dropped by their webhooks' transformations.
    pub dropped: u32,
}

/// An accepted event with its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// All but the body.
    pub summary: EventSummary,
    /// The envelope as it is signed and sent: `{"id":…,"event":…,"timestamp":…,"data":…}`.
    pub body: Bytes,
}

/// The one state a delivery is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// An attempt is due, now or later.
    Pending,
    /// The webhook answered 2xx. Final.
    Delivered,
    /// All attempts are used up. Final; may be sent again by hand.
    Exhausted,
    /// The webhook was deleted. Final.
    Cancelled,
    /// The webhook answered 410. Final; may be sent again by hand.
    Rejected,
    /// The webhook's transformation returned `null`. Final.
    Dropped,
}

impl DeliveryState {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Exhausted => "exhausted",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Dropped => "dropped",
        }
    }
}

/// What became of one event at one webhook.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The event.
    pub event_id: EventId,
    /// The webhook; it may have been deleted since.
    pub webhook_id: WebhookId,
    /// Where it stands.
    pub state: DeliveryState,
    /// When the next attempt is due, while it is pending and not held.
    pub next_attempt_at: Option<UnixMs>,
    /// Whether it waits for its webhook's transformation to be mended.
    pub held: bool,
    /// Why it is held, or was dropped.
    pub reason: Option<String>,
    /// How it is written.
    pub format: Format,
    /// The version of the webhook's transformation that shapes it; `None` where none does.
    pub transform_version: Option<u32>,
    /// Its attempts so far, oldest first.
    pub attempts: Vec<Attempt>,
}
