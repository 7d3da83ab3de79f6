//! What happened since the start, counted: for `/metrics`.
//!
//! Plain counters, never decisions. Counts that must survive a restart are the store's.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::dispatch::transport::FailureKind;
use crate::intake::admission::Shed;

/// Counted since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) events_accepted: Count,
    pub(crate) events_repeated: Count,
    pub(crate) events_refused: Count,
    pub(crate) schema_warned: Count,
    pub(crate) schema_refused: Count,
    pub(crate) events_shed: [Count; Shed::ALL.len()],
    pub(crate) delivered: Count,
    pub(crate) retried: Count,
    pub(crate) exhausted: Count,
    pub(crate) rejected: Count,
    pub(crate) answered_2xx: Count,
    pub(crate) answered_other: Count,
    pub(crate) failed: [Count; FailureKind::ALL.len()],
    pub(crate) in_flight: Count,
    pub(crate) lanes: Count,
    pub(crate) circuits_opened: Count,
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn take_away(&self, fewer: u64) {
        self.0.fetch_sub(fewer, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn failure(&self, kind: FailureKind) {
        if let Some(at) = FailureKind::ALL.iter().position(|known| *known == kind) {
            self.failed[at].add(1);
        }
    }

    pub(crate) fn shed(&self, reason: Shed, events: usize) {
        if let Some(at) = Shed::ALL.iter().position(|known| *known == reason) {
            self.events_shed[at].add(u64::try_from(events).unwrap_or_default());
        }
    }

    pub(crate) fn snapshot(&self) -> Counts {
        Counts {
            events_accepted: self.events_accepted.get(),
            events_repeated: self.events_repeated.get(),
            events_refused: self.events_refused.get(),
            schema_warned: self.schema_warned.get(),
            schema_refused: self.schema_refused.get(),
            events_shed: std::array::from_fn(|at| (Shed::ALL[at], self.events_shed[at].get())),
            delivered: self.delivered.get(),
            retried: self.retried.get(),
            exhausted: self.exhausted.get(),
            rejected: self.rejected.get(),
            answered_2xx: self.answered_2xx.get(),
            answered_other: self.answered_other.get(),
            failed: std::array::from_fn(|at| (FailureKind::ALL[at], self.failed[at].get())),
            in_flight: self.in_flight.get(),
            lanes: self.lanes.get(),
            circuits_opened: self.circuits_opened.get(),
        }
    }
}

/// A reading of all counters.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Events that were accepted as new.
    pub events_accepted: u64,
    /// Events that were accepted before and posted again.
    pub events_repeated: u64,
    /// Events that were refused for what they were.
    pub events_refused: u64,
    /// Events that were not as their schema has them, and were accepted.
    pub schema_warned: u64,
    /// Events that were refused for that.
    pub schema_refused: u64,
    /// Events that were not taken although nothing was wrong with them, by reason.
    pub events_shed: [(Shed, u64); Shed::ALL.len()],
    /// Deliveries that were taken.
    pub delivered: u64,
    /// Attempts after which another one follows.
    pub retried: u64,
    /// Deliveries that ran out of attempts.
    pub exhausted: u64,
    /// Deliveries that were answered 410.
    pub rejected: u64,
    /// Attempts answered 2xx.
    pub answered_2xx: u64,
    /// Attempts answered otherwise.
    pub answered_other: u64,
    /// Attempts without a complete answer, by kind.
    pub failed: [(FailureKind, u64); FailureKind::ALL.len()],
    /// Attempts that run now.
    pub in_flight: u64,
    /// Webhooks that have something in memory now.
    pub lanes: u64,
    /// How often a webhook that kept failing was set to being probed.
    pub circuits_opened: u64,
}
