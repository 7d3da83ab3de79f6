//! From an attempt's result to the disk, and from there back to the lane.
//!
//! What a result means is decided in `outcome.rs`; here it becomes a row. All results of a round are one
//! write. Read `store/mod.rs` next.

use futures_util::FutureExt as _;

use super::attempt::Made;
use super::shape::Unsent;
use super::shard::{Settled, Shard, Stored};
use crate::attempt::Exchanged;
use crate::counters::Counters;
use crate::event::DeliveryState;
use crate::key::WebhookNo;
use crate::outcome::{Outcome, outcome};
use crate::parts::Parts;
use crate::store::{Ready, Settlement};

/// After an attempt whose transformation could not be run, the next one waits so long, in milliseconds.
const SHAPE_AGAIN_MS: i64 = 30_000;

/// What an attempt means for its delivery.
pub(super) fn settlement(parts: &Parts, webhook: WebhookNo, ready: &Ready, made: Made) -> Settlement {
    let Made { live, started_at, took, result } = made;
    let number = ready.attempts + 1;
    let ended_at = match result {
        Ok(_) => started_at.saturating_add(i64::try_from(took.as_millis()).unwrap_or(i64::MAX)),
        Err(_) => parts.clock.now(),
    };
    let gone = parts.registry.by_no(webhook).is_none();
    let mut note = None;
    let (state, due, exchanged) = match result {
        Ok(exchange) => {
            let of_round = number - ready.attempts_before;
            let retry = &live.stored.config.retry;
            let outcome = outcome(&exchange, retry, of_round, ended_at, |max| parts.rng.up_to(max));
            let exchanged = Exchanged::new(exchange, took);
            count(&parts.counters, outcome, &exchanged);
            let (state, due) = match outcome {
                Outcome::Delivered => (DeliveryState::Delivered, None),
                Outcome::Exhausted => (DeliveryState::Exhausted, None),
                Outcome::Rejected => (DeliveryState::Rejected, None),
                // The webhook was deleted while this was under way: nothing follows.
                Outcome::Retry { .. } if gone => (DeliveryState::Cancelled, None),
                Outcome::Retry { due } => (DeliveryState::Pending, Some(due)),
            };
            (state, due, exchanged)
        }
        Err(why) => {
            let exchanged = why.exchanged();
            if let Some(kind) = exchanged.failure {
                parts.counters.failure(kind);
            }
            note.clone_from(&exchanged.detail);
            let (state, due) = match why {
                Unsent::Dropped(_) => (DeliveryState::Dropped, None),
                _ if gone => (DeliveryState::Cancelled, None),
                Unsent::Failed(_) => (DeliveryState::Pending, None),
                Unsent::Later(_) => (DeliveryState::Pending, Some(ended_at.saturating_add(SHAPE_AGAIN_MS))),
            };
            (state, due, exchanged)
        }
    };
    Settlement {
        event: ready.event.key,
        webhook,
        attempt: parts.keys.attempt(started_at),
        number,
        started_at,
        ended_at,
        exchanged,
        state,
        due,
        disables: state == DeliveryState::Rejected,
        note,
        form: ready.form,
    }
}

fn count(counters: &Counters, outcome: Outcome, exchanged: &Exchanged) {
    match outcome {
        Outcome::Delivered => counters.delivered.add(1),
        Outcome::Retry { .. } => counters.retried.add(1),
        Outcome::Exhausted => counters.exhausted.add(1),
        Outcome::Rejected => counters.rejected.add(1),
    }
    match exchanged.failure {
        Some(kind) => counters.failure(kind),
        None if exchanged.delivered() => counters.answered_2xx.add(1),
        None => counters.answered_other.add(1),
    }
}

impl Shard {
    /// Hands the results of this round to the store.
    pub(super) fn begin_settling(&mut self) {
        if self.results.is_empty() {
            return;
        }
        let settlements = std::mem::take(&mut self.results);
        let settled = |it: &Settlement| Settled { event: it.event, webhook: it.webhook, due: it.due };
        let settled: Vec<Settled> = settlements.iter().map(settled).collect();
        let write = self.parts.store.settle(settlements);
        let stored = move |result: Result<(), _>| match result {
            Ok(()) => Stored::Settled(settled),
            Err(error) => Stored::Failed(error),
        };
        self.storing.push(write.map(stored).boxed());
    }

    /// A result is on disk.
    pub(super) fn settled(&mut self, settled: &Settled) {
        if let Some(lane) = self.lanes.get_mut(&settled.webhook) {
            lane.settled(settled.event);
        }
        if let Some(due) = settled.due {
            self.due.note(settled.webhook, due);
        }
        self.touch(settled.webhook);
    }
}
