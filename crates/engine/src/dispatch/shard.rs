//! A shard: one future that drives every attempt of its webhooks.
//!
//! A round: take what came in, see what is due, read back what lanes have room for, start attempts in
//! turn, hand results to the store, then wait for any of it. Invariants: an attempt starts only when it
//! is its lane's turn and within the limits; a result frees its delivery only when it is on disk; a shard
//! that is closing starts nothing and ends when everything that ran is settled.
//! Read `feed.rs`, `tend.rs` and `settle.rs` next.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, poll_fn};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use vai_webhooks_wire::UnixMs;

use super::attempt::{Ended, attempt};
use super::inbox::Inbox;
use super::shape::Unsent;
use super::signing;
use crate::key::{ByNumber, EventKey, WebhookNo};
use crate::outcome::{delivered, strain};
use crate::parts::Parts;
use crate::schedule::due::DueTimes;
use crate::schedule::lane::Lane;
use crate::schedule::pace::Class;
use crate::schedule::slots::Slots;
use crate::schedule::turn::Turn;
use crate::store::{Due, Settlement, StoreError};

/// Lanes that wait for a read, before more webhooks are woken.
pub(super) const HUNGRY_MAX: usize = 1_024;
/// Results of one kind that are taken in one round, so that no kind holds up another.
const ROUND_MAX: usize = 256;
/// How often long waits in memory are looked for, in milliseconds.
const SWEEP_MS: i64 = 500;

/// What has come back from the store.
pub(super) enum Stored {
    /// Results that are on disk.
    Settled(Vec<Settled>),
    /// So many of a deleted webhook's deliveries were cancelled.
    Cancelled(WebhookNo, u32),
    /// Deliveries that were in memory alone have rows.
    Parked,
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
    pub(super) lanes: ByNumber<WebhookNo, Lane>,
    /// Lanes that anything happened to, which are to be put where they belong.
    pub(super) touched: Vec<WebhookNo>,
    /// The time when this round began, or began to wait for anything: read once for all that it does.
    pub(super) now: UnixMs,
    /// Lanes that may start an attempt, in turn.
    pub(super) turn: Turn,
    /// Attempts under way, by class.
    pub(super) slots: Slots,
    /// Lanes that could start an attempt if their class had a slot.
    pub(super) starved: VecDeque<WebhookNo>,
    /// Lanes that have room for deliveries that are on disk.
    pub(super) hungry: VecDeque<WebhookNo>,
    pub(super) due: DueTimes,
    attempts: FuturesUnordered<BoxFuture<'static, Ended>>,
    pub(super) reading: FuturesUnordered<Reading>,
    pub(super) storing: FuturesUnordered<BoxFuture<'static, Stored>>,
    /// Results for the next write.
    pub(super) results: Vec<Settlement>,
    timer: Option<(UnixMs, BoxFuture<'static, ()>)>,
    sweep_at: Option<UnixMs>,
    pub(super) closing: bool,
    pub(super) aborted: bool,
}

impl Shard {
    /// A shard that reads from `inbox` and has this to do when it starts.
    pub(crate) fn new(parts: Arc<Parts>, inbox: Arc<Inbox>, due: Vec<(WebhookNo, UnixMs)>) -> Self {
        let mut shard = Self {
            now: parts.clock.now(),
            parts,
            inbox,
            lanes: ByNumber::default(),
            touched: Vec::new(),
            turn: Turn::new(),
            slots: Slots::default(),
            starved: VecDeque::new(),
            hungry: VecDeque::new(),
            due: DueTimes::default(),
            attempts: FuturesUnordered::new(),
            reading: FuturesUnordered::new(),
            storing: FuturesUnordered::new(),
            results: Vec::new(),
            timer: None,
            sweep_at: None,
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
            self.tend_touched();
            if !self.closing {
                self.wake_due();
                self.sweep();
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
        self.now = self.parts.clock.now();
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

    fn start_attempts(&mut self) {
        self.feed_starved();
        let (now, since) = (self.now, self.parts.clock.elapsed());
        let mut starting = Vec::new();
        while let Some((tenant, webhook)) = self.turn.next() {
            let Some(lane) = self.lanes.get_mut(&webhook) else {
                self.turn.rest(tenant, webhook);
                continue;
            };
            if self.slots.free(lane.class) == 0 {
                lane.joined = false;
                self.turn.rest(tenant, webhook);
                lane.starved = true;
                self.starved.push_back(webhook);
                continue;
            }
            if let Some((ready, cost_us)) = lane.start(now, since) {
                self.slots.take(lane.class, 1);
                self.turn.charge(tenant, webhook, cost_us);
                self.parts.counters.in_flight.add(1);
                starting.push((webhook, ready));
                if lane.may_start(now) {
                    continue;
                }
            }
            self.tend(webhook);
        }
        for (webhook, ready, ahead) in signing::ahead(&self.parts.registry, starting, now) {
            self.attempts.push(attempt(Arc::clone(&self.parts), webhook, ready, ahead).boxed());
        }
    }

    /// Lets lanes that waited for a slot take their turns, as many as there are slots for.
    fn feed_starved(&mut self) {
        let free = self.slots.free(Class::Quick);
        for _ in 0..self.starved.len().min(free) {
            let Some(webhook) = self.starved.pop_front() else { return };
            let Some(lane) = self.lanes.get_mut(&webhook) else { continue };
            if self.slots.free(lane.class) == 0 {
                self.starved.push_back(webhook);
                continue;
            }
            lane.starved = false;
            self.tend(webhook);
        }
    }

    fn ended(&mut self, ended: Ended) {
        self.parts.counters.in_flight.take_away(1);
        let Ended { webhook, ready, made } = ended;
        let event = ready.event.key;
        let now = self.now;
        // A lane is there as long as it holds anything.
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        self.slots.give_back(lane.class, 1);
        let change = match made {
            Some(made) => {
                let change = match &made.result {
                    Ok(it) => lane.ended(event, strain(it), delivered(it), made.took, now),
                    Err(why) => lane.unsent(event, !matches!(why, Unsent::Dropped(_)), now),
                };
                self.results.push(super::settle::settlement(&self.parts, webhook, &ready, made));
                change
            }
            // It never started: it is pending and due as it was.
            None => {
                let (change, without_row) = lane.never_started(event);
                if without_row {
                    self.park(webhook, vec![event]);
                }
                change
            }
        };
        self.change(webhook, &change);
        self.touch(webhook);
    }

    /// Looks at what has been in memory for long.
    fn sweep(&mut self) {
        let now = self.now;
        match self.sweep_at {
            Some(at) if at > now => return,
            None if self.lanes.is_empty() => return,
            Some(_) if !self.lanes.is_empty() => self.sweep_lanes(now),
            _ => {}
        }
        self.sweep_at = (!self.lanes.is_empty()).then(|| now.saturating_add(SWEEP_MS));
    }

    fn set_timer(&mut self) {
        let due = self.due.first().filter(|_| self.hungry.len() < HUNGRY_MAX);
        let first = [due, self.sweep_at].into_iter().flatten().min().filter(|_| !self.closing);
        match (first, &self.timer) {
            (None, _) => self.timer = None,
            (Some(at), Some((set, _))) if *set == at => {}
            (Some(at), _) => self.timer = Some((at, self.parts.clock.sleep_until(at))),
        }
    }

    fn stored(&mut self, stored: Stored) {
        match stored {
            Stored::Settled(settlements) => {
                settlements.into_iter().for_each(|settled| self.settled(&settled));
            }
            Stored::Cancelled(webhook, count) => self.cancelled(webhook, count),
            Stored::Parked => {}
            // Nothing that ends now can be recorded any more. The engine is told by the store itself.
            Stored::Failed(error) => {
                tracing::error!(%error, "results cannot be recorded: sending stops");
                self.aborted = true;
            }
        }
    }
}
