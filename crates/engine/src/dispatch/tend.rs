//! Where a lane belongs after anything happened to it: in the turns, with the readers, or away.
//!
//! Invariants: what is taken out of memory without having been sent has a row on disk, or gets one
//! before anything that looks for it; a lane that is away has left nothing behind. Read `settle.rs` next.

use futures_util::FutureExt as _;
use vai_webhooks_wire::UnixMs;

use super::shard::{Shard, Stored};
use crate::key::{EventKey, WebhookNo, millis_later};
use crate::schedule::lane::Change;
use crate::store::Parked;
use crate::webhook::WebhookStatus;

/// Deliveries of a deleted webhook that are cancelled in one write.
const CANCEL_SLICE: u32 = 500;
/// A delivery that has been in memory alone for so long gets a row, in milliseconds: after a crash, only
/// events of the time since must be looked through.
const MEMORY_ALONE_MS: i64 = 2_000;

impl Shard {
    /// Something happened to a lane: it is put where it belongs before any attempt starts.
    pub(super) fn touch(&mut self, webhook: WebhookNo) {
        if let Some(lane) = self.lanes.get_mut(&webhook)
            && !lane.touched
        {
            lane.touched = true;
            self.touched.push(webhook);
        }
    }

    /// Puts all lanes where they belong that anything happened to.
    pub(super) fn tend_touched(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.drain(..).for_each(|webhook| self.tend(webhook));
        // Its memory is used again.
        self.touched = touched;
    }

    /// Puts a lane where it belongs.
    pub(super) fn tend(&mut self, webhook: WebhookNo) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        lane.touched = false;
        let now = self.now;
        let mut parked = Vec::new();
        match self.parts.registry.by_no(webhook).map(|live| live.stored.status) {
            Some(WebhookStatus::Active) => {
                if lane.wants_reading(now) && !lane.hungry {
                    lane.hungry = true;
                    self.hungry.push_back(webhook);
                }
            }
            Some(WebhookStatus::Paused | WebhookStatus::Disabled) => parked = lane.stop(),
            Some(WebhookStatus::Deleted) | None => {
                parked = lane.stop();
                if lane.is_quiet() && !lane.cancelling {
                    lane.cancelling = true;
                    self.park(webhook, parked);
                    self.cancel_slice(webhook);
                    self.join_or_rest(webhook, now);
                    return;
                }
            }
        }
        self.park(webhook, parked);
        self.join_or_rest(webhook, now);
    }

    /// Lets a lane take its turns as long as it may start attempts; forgets it when it has nothing to do.
    fn join_or_rest(&mut self, webhook: WebhookNo, now: UnixMs) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        lane.tell_room();
        let may_start = lane.may_start(now);
        if may_start && !lane.joined && !lane.starved {
            lane.joined = true;
            self.turn.join(lane.tenant, webhook);
        } else if !may_start && lane.joined {
            lane.joined = false;
            self.turn.rest(lane.tenant, webhook);
        }
        if lane.is_idle() && !lane.joined && !lane.starved && !lane.hungry && !lane.cancelling {
            let tenant = lane.tenant;
            self.lanes.remove(&webhook);
            self.turn.forget(tenant, webhook);
            self.parts.counters.lanes.take_away(1);
        }
    }

    /// Takes over what an attempt's end changes beyond its lane.
    pub(super) fn change(&mut self, webhook: WebhookNo, change: &Change) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        self.turn.charge(lane.tenant, webhook, change.cost_us);
        if let Some((before, now, count)) = lane.reclass() {
            let count = usize::try_from(count).unwrap_or_default();
            self.slots.give_back(before, count);
            self.slots.take(now, count);
        }
        if let Some(at) = lane.probe_at() {
            self.due.note(webhook, at);
        }
        if change.opened {
            let parked = lane.retreat();
            tracing::warn!(webhook = webhook.0, "a webhook keeps failing: it is probed until it answers");
            self.parts.counters.circuits_opened.add(1);
            self.park(webhook, parked);
        }
    }

    /// Gives rows to deliveries that are in memory alone.
    pub(super) fn park(&mut self, webhook: WebhookNo, events: Vec<EventKey>) {
        if events.is_empty() {
            return;
        }
        let parked = events.into_iter().map(|event| Parked { event, webhook, due: event.at() }).collect();
        let parked = self.parts.store.park(parked).map(|result| match result {
            Ok(()) => Stored::Parked,
            Err(error) => Stored::Failed(error),
        });
        self.storing.push(parked.boxed());
    }

    /// Gives rows to what has been in memory alone for long, and notices attempts that take long.
    pub(super) fn sweep_lanes(&mut self, now: UnixMs) {
        let since = self.parts.clock.elapsed();
        let old = EventKey(millis_later(EventKey::first_at(now).0, -MEMORY_ALONE_MS));
        let mut all = Vec::new();
        for (&webhook, lane) in &mut self.lanes {
            let mut parked = lane.sweep(old, since);
            lane.tell_room();
            if lane.probe_at().is_some() {
                parked.extend(lane.retreat());
            }
            if let Some((before, now, count)) = lane.reclass() {
                let count = usize::try_from(count).unwrap_or_default();
                self.slots.give_back(before, count);
                self.slots.take(now, count);
            }
            if !parked.is_empty() {
                all.push((webhook, parked));
            }
        }
        for (webhook, parked) in all {
            self.park(webhook, parked);
            self.tend(webhook);
        }
    }

    fn cancel_slice(&mut self, webhook: WebhookNo) {
        let cancel = self.parts.store.cancel(webhook, CANCEL_SLICE, self.now);
        let stored = move |result| match result {
            Ok(count) => Stored::Cancelled(webhook, count),
            Err(error) => Stored::Failed(error),
        };
        self.storing.push(cancel.map(stored).boxed());
    }

    /// A slice of a deleted webhook's deliveries was cancelled.
    pub(super) fn cancelled(&mut self, webhook: WebhookNo, count: u32) {
        if count == CANCEL_SLICE && !self.closing {
            self.cancel_slice(webhook);
        } else if let Some(lane) = self.lanes.get_mut(&webhook) {
            lane.cancelling = false;
            if lane.is_idle() {
                self.due.forget(webhook);
                self.join_or_rest(webhook, self.now);
            } else {
                self.tend(webhook);
            }
        }
    }
}
