//! A value of which the latest counts.
//!
//! It exists because a conversation's agent or its satisfaction may be told several times, and the events
//! may come in any order. Invariant: of all that was offered, the one with the greatest time stays, and of
//! those with equal times the one with the greatest event id. Read `conversation.rs` next.

use serde::{Deserialize, Serialize};
use vai_webhooks_wire::UnixMs;

/// A value, and the event that told it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latest<T> {
    at_ms: i64,
    id: String,
    value: T,
}

impl<T> Latest<T> {
    /// Puts `value`, where there is one, into `slot`, where nothing later is there.
    pub(super) fn offer(slot: &mut Option<Self>, at: UnixMs, id: &str, value: Option<T>) {
        let Some(value) = value else { return };
        let later = slot.as_ref().is_none_or(|known| (known.at_ms, known.id.as_str()) < (at.0, id));
        if later {
            *slot = Some(Self { at_ms: at.0, id: id.to_owned(), value });
        }
    }

    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// When the event that told it happened.
    pub fn at(&self) -> UnixMs {
        UnixMs(self.at_ms)
    }
}
