//! A shard: one future that drives every attempt of its webhooks.
//!
//! A round: take what came in, see what is due, read back what lanes have room for, start attempts in
//! turn, hand results to the store, then wait for any of it. Invariants: lanes take turns, one attempt
//! each; an attempt starts only within the limits; a result frees its delivery only when it is on disk;
//! a shard that is closing starts nothing and ends when everything that ran is settled.
//! Read `feed.rs` and `settle.rs` next.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, poll_fn};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use vai_webhooks_wire::UnixMs;

use super::attempt::{Ended, attempt};
use super::inbox::Inbox;
use crate::key::{EventKey, WebhookNo};
use crate::outcome::{Strain, strain};
use crate::parts::Parts;
use crate::schedule::due::DueTimes;
use crate::schedule::lane::Lane;
use crate::store::{Due, Settlement, StoreError};
use crate::webhook::WebhookStatus;

/// Attempts that one shard runs at once.
const IN_FLIGHT_MAX: usize = 1_024;
/// Lanes that wait for a read, before more webhooks are woken.
pub(super) const HUNGRY_MAX: usize = 1_024;
/// Results of one kind that are taken in one round, so that no kind holds up another.
const ROUND_MAX: usize = 256;
/// Deliveries of a deleted webhook that are cancelled in one write.
const CANCEL_SLICE: u32 = 500;

/// What has come back from the store.
pub(super) enum Stored {
    /// Results that are on disk.
    Settled(Vec<Settled>),
    /// So many of a deleted webhook's deliveries were cancelled.
    Cancelled(WebhookNo, u32),
    /// The store failed.
    Failed(StoreError),
}

/// A delivery whose result is on disk, and when its next attempt is due.
pub(super) struct Settled {
    pub(super) event: EventKey,
    pub(super) webhook: WebhookNo,
    pub(super) due: Option<UnixMs>,
}

/// A read under way.
pub(super) type Reading = BoxFuture<'static, (WebhookNo, Result<Due, StoreError>)>;

/// One shard.
pub(crate) struct Shard {
    pub(super) parts: Arc<Parts>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) lanes: HashMap<WebhookNo, Lane>,
    /// Lanes that may start an attempt, in turn.
    turn: VecDeque<WebhookNo>,
    /// Lanes that have room for deliveries that are on disk.
    pub(super) hungry: VecDeque<WebhookNo>,
    pub(super) due: DueTimes,
    attempts: FuturesUnordered<BoxFuture<'static, Ended>>,
    pub(super) reading: FuturesUnordered<Reading>,
    pub(super) storing: FuturesUnordered<BoxFuture<'static, Stored>>,
    /// Results for the next write.
    pub(super) results: Vec<Settlement>,
    timer: Option<(UnixMs, BoxFuture<'static, ()>)>,
    pub(super) closing: bool,
    pub(super) aborted: bool,
}

impl Shard {
    /// A shard that reads from `inbox` and has this to do when it starts.
    pub(crate) fn new(parts: Arc<Parts>, inbox: Arc<Inbox>, due: Vec<(WebhookNo, UnixMs)>) -> Self {
        let mut shard = Self {
            parts,
            inbox,
            lanes: HashMap::new(),
            turn: VecDeque::new(),
            hungry: VecDeque::new(),
            due: DueTimes::default(),
            attempts: FuturesUnordered::new(),
            reading: FuturesUnordered::new(),
            storing: FuturesUnordered::new(),
            results: Vec::new(),
            timer: None,
            closing: false,
            aborted: false,
        };
        for (webhook, at) in due {
            shard.due.note(webhook, at);
        }
        shard
    }

    /// Runs until the inbox says to end, or the store has failed.
    pub(crate) async fn run(mut self) {
        loop {
            self.take_letters();
            if !self.closing {
                self.wake_due();
                self.begin_reading();
                self.start_attempts();
            }
            self.begin_settling();
            let done = self.attempts.is_empty() && self.storing.is_empty();
            if self.aborted || (self.closing && done) {
                break;
            }
            self.set_timer();
            poll_fn(|context| self.poll_anything(context)).await;
        }
        let counters = &self.parts.counters;
        counters.lanes.take_away(u64::try_from(self.lanes.len()).unwrap_or_default());
        counters.in_flight.take_away(u64::try_from(self.attempts.len()).unwrap_or_default());
    }

    /// Waits for anything to happen, and deals with all that has.
    fn poll_anything(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut happened = false;
        for _ in 0..ROUND_MAX {
            let Poll::Ready(Some(ended)) = self.attempts.poll_next_unpin(context) else { break };
            self.ended(ended);
            happened = true;
        }
        for _ in 0..ROUND_MAX {
            let Poll::Ready(Some(stored)) = self.storing.poll_next_unpin(context) else { break };
            self.stored(stored);
            happened = true;
        }
        for _ in 0..ROUND_MAX {
            let Poll::Ready(Some((webhook, due))) = self.reading.poll_next_unpin(context) else { break };
            self.read_back(webhook, due);
            happened = true;
        }
        if let Some((_, sleep)) = &mut self.timer
            && Pin::new(sleep).poll(context).is_ready()
        {
            self.timer = None;
            happened = true;
        }
        happened |= self.inbox.poll_letters(context, self.closing).is_ready();
        if happened { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Puts a lane where it belongs after anything happened to it: into the turn, to the readers, or away.
    pub(super) fn tend(&mut self, webhook: WebhookNo) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        match self.parts.registry.by_no(webhook).map(|live| live.stored.status) {
            Some(WebhookStatus::Active) => {
                if lane.may_start() && !lane.queued {
                    lane.queued = true;
                    self.turn.push_back(webhook);
                }
                if lane.wants_reading() && !lane.hungry {
                    lane.hungry = true;
                    self.hungry.push_back(webhook);
                }
            }
            Some(WebhookStatus::Paused | WebhookStatus::Disabled) => lane.clear(),
            Some(WebhookStatus::Deleted) | None => {
                lane.clear();
                if lane.is_quiet() && !lane.cancelling {
                    lane.cancelling = true;
                    self.cancel_slice(webhook);
                    return;
                }
            }
        }
        if lane.is_idle() && !lane.queued && !lane.hungry && !lane.cancelling {
            self.lanes.remove(&webhook);
            self.parts.counters.lanes.take_away(1);
        }
    }

    fn start_attempts(&mut self) {
        while self.attempts.len() < IN_FLIGHT_MAX
            && let Some(webhook) = self.turn.pop_front()
        {
            let Some(lane) = self.lanes.get_mut(&webhook) else { continue };
            lane.queued = false;
            if let Some(ready) = lane.start() {
                self.parts.counters.in_flight.add(1);
                self.attempts.push(attempt(Arc::clone(&self.parts), webhook, ready).boxed());
            }
            self.tend(webhook);
        }
    }

    fn ended(&mut self, ended: Ended) {
        self.parts.counters.in_flight.take_away(1);
        let Ended { webhook, ready, made } = ended;
        let event = ready.event.key;
        let strain = made.as_ref().map_or(Strain::None, |made| strain(&made.exchange));
        if let Some(lane) = self.lanes.get_mut(&webhook) {
            lane.ended(strain);
        }
        match made {
            Some(made) => self.results.push(super::settle::settlement(&self.parts, webhook, &ready, made)),
            // It never started: it is on disk as it was, and due.
            None => {
                if let Some(lane) = self.lanes.get_mut(&webhook) {
                    lane.settled(event);
                }
            }
        }
        self.tend(webhook);
    }

    fn set_timer(&mut self) {
        let first = if self.closing { None } else { self.due.first() };
        let first = first.filter(|_| self.hungry.len() < HUNGRY_MAX);
        match (first, &self.timer) {
            (None, _) => self.timer = None,
            (Some(at), Some((set, _))) if *set == at => {}
            (Some(at), _) => self.timer = Some((at, self.parts.clock.sleep_until(at))),
        }
    }

    fn cancel_slice(&mut self, webhook: WebhookNo) {
        let cancel = self.parts.store.cancel(webhook, CANCEL_SLICE, self.parts.clock.now());
        let stored = move |result| match result {
            Ok(count) => Stored::Cancelled(webhook, count),
            Err(error) => Stored::Failed(error),
        };
        self.storing.push(cancel.map(stored).boxed());
    }

    fn stored(&mut self, stored: Stored) {
        match stored {
            Stored::Settled(settlements) => {
                settlements.into_iter().for_each(|settled| self.settled(&settled));
            }
            Stored::Cancelled(webhook, count) => {
                if count == CANCEL_SLICE && !self.closing {
                    self.cancel_slice(webhook);
                } else if let Some(lane) = self.lanes.get_mut(&webhook) {
                    lane.cancelling = false;
                    if lane.is_idle() {
                        self.due.forget(webhook);
                        self.lanes.remove(&webhook);
                        self.parts.counters.lanes.take_away(1);
                    } else {
                        self.tend(webhook);
                    }
                }
            }
            // Nothing that ends now can be recorded any more. The engine is told by the store itself.
            Stored::Failed(error) => {
                tracing::error!(%error, "results cannot be recorded: sending stops");
                self.aborted = true;
            }
        }
    }
}
