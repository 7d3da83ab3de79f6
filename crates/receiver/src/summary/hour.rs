//! What happened in one hour of one conversation, for one agent.
//!
//! It exists so that an agent's hours can be added up whenever they are asked for. Invariant: only what an
//! event itself says decides where it is counted: the hour by its own time, the agent by its own `agentId`;
//! without one it belongs to whoever has the conversation. Read `store/derived/summary.rs` next.

use vai_webhooks_wire::UnixMs;

use super::{Mean, Note, Said};

/// An hour.
pub const HOUR_MS: i64 = 3_600_000;

/// Counts of one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hour {
    /// Conversations that began.
    pub started: i64,
    /// Messages of the user.
    pub received: i64,
    /// Messages of the agent.
    pub sent: i64,
    /// How sure the agent was.
    pub confidence: Mean,
    /// How long its answers took, in milliseconds.
    pub processing_ms: Mean,
}

impl Hour {
    /// The beginning of the hour that a time is in.
    pub fn of(at: UnixMs) -> i64 {
        at.0.div_euclid(HOUR_MS).saturating_mul(HOUR_MS)
    }

    /// Adds another hour's counts.
    pub fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.received += other.received;
        self.sent += other.sent;
        self.confidence.add_all(other.confidence);
        self.processing_ms.add_all(other.processing_ms);
    }

    /// What one event adds to its hour; `None` where that is nothing.
    pub fn from_note(note: &Note) -> Option<Self> {
        let mut hour = Self::default();
        match &note.said {
            Said::Started => hour.started = 1,
            Said::Received { .. } => hour.received = 1,
            Said::Sent { confidence_e6, processing_ms_e6 } => {
                hour.sent = 1;
                hour.confidence.add(*confidence_e6);
                hour.processing_ms.add(*processing_ms_e6);
            }
            Said::Ended { .. } | Said::Other => return None,
        }
        Some(hour)
    }
}
