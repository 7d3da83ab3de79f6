//! The task that gives stored events to the consumers.
//!
//! It exists apart from them so that none of them knows about reading, committing or trying again. A batch that fails is
//! rolled back and tried again event by event; an event that a consumer cannot take at all is logged and skipped, for a
//! table without one row is better than one that ends there. Invariant: one transaction at a time, on one connection.
//! Read `store/derived/mod.rs` next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::sync::watch;
use vai_webhooks_wire::UnixMs;

use super::{Consumer, Outbox};
use crate::sink::Stored;
use crate::store::derived::{Derived, Places};
use crate::store::reader::{Reader, SLICE_EVENTS_MAX};

/// How often consumers are told the time.
pub(crate) const TICK_MS: u64 = 1_000;
/// The wait after the database could not be read or written.
const STORE_WAIT_MS: u64 = 1_000;
/// Tries of a single event before it is skipped.
const TRIES_MAX: u32 = 3;
/// Between two transactions with few events: what came meanwhile shares the next one.
const GATHER: Duration = Duration::from_millis(10);

/// What a step came to.
enum Step {
    /// There may be more.
    Took,
    /// All that was there was taken: more may have come meanwhile.
    CaughtUp,
    /// Nothing waits.
    Idle,
}

/// The consumers and their means. Moves into a blocking thread for each step.
pub(crate) struct Deriver {
    reader: Reader,
    derived: Derived,
    consumers: Vec<Box<dyn Consumer>>,
    places: Places,
    taken_to: watch::Sender<i64>,
    /// After a failure: how many events the next transaction takes, and how often it was tried.
    careful: Option<u32>,
}

impl Deriver {
    /// Makes the consumers' tables and finds their places. Blocks on the disk.
    pub(crate) fn open(
        reader: Reader,
        mut derived: Derived,
        mut consumers: Vec<Box<dyn Consumer>>,
        newest: i64,
    ) -> rusqlite::Result<Self> {
        let places = derived.begin(&mut consumers, newest)?;
        let taken_to = watch::Sender::new(places.oldest());
        Ok(Self { reader, derived, consumers, places, taken_to, careful: None })
    }

    /// All consumers are done with every event up to this one.
    pub(crate) fn taken_to(&self) -> watch::Receiver<i64> {
        self.taken_to.subscribe()
    }

    /// Works until it is told to stop.
    pub(crate) async fn run(
        mut self,
        mut stored_to: watch::Receiver<i64>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut tick = tokio::time::interval(Duration::from_millis(TICK_MS));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticked = false;
        loop {
            let newest = *stored_to.borrow_and_update();
            let tell_time = std::mem::take(&mut ticked);
            let step = tokio::task::spawn_blocking(move || {
                let result = self.step(newest, tell_time);
                (self, result)
            });
            let Ok((back, result)) = step.await else {
                tracing::error!("deriving from events ended: start the receiver again");
                return;
            };
            self = back;
            if *stopping.borrow() {
                return;
            }
            match result {
                Ok(Step::Took) => continue,
                Ok(Step::CaughtUp) => {
                    // An error means that nobody is left who could ask.
                    match tokio::time::timeout(GATHER, stopping.wait_for(|stop| *stop)).await {
                        Err(_) => continue,
                        Ok(_) => return,
                    }
                }
                Ok(Step::Idle) => {}
                Err(error) => {
                    tracing::error!(%error, "nothing can be derived from events at the moment");
                    tokio::time::sleep(Duration::from_millis(STORE_WAIT_MS)).await;
                }
            }
            tokio::select! {
                changed = stored_to.changed() => if changed.is_err() { return },
                _ = tick.tick() => ticked = true,
                // An error means that nobody is left who could ask.
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// One transaction.
    fn step(&mut self, newest: i64, tell_time: bool) -> rusqlite::Result<Step> {
        let oldest = self.places.oldest();
        if newest > oldest {
            let mut events = self.reader.after(oldest, |_| true)?.events;
            if self.careful.is_some() {
                events.truncate(1);
            }
            if !events.is_empty() {
                let full = events.len() >= SLICE_EVENTS_MAX || self.careful.is_some();
                self.take(&events)?;
                return Ok(if full { Step::Took } else { Step::CaughtUp });
            }
        }
        if tell_time {
            let now = UnixMs::now();
            self.transact(|consumers, _, transaction, outbox| {
                consumers.iter_mut().try_for_each(|consumer| consumer.tick(transaction, now, outbox))
            })?;
        }
        Ok(Step::Idle)
    }

    fn take(&mut self, events: &[Stored]) -> rusqlite::Result<()> {
        let tries = self.careful.unwrap_or(0);
        let skip = tries >= TRIES_MAX;
        let result = self.transact(|consumers, places, transaction, outbox| {
            for (at, consumer) in consumers.iter_mut().enumerate() {
                for stored in events.iter().filter(|stored| stored.seq > places.of(at)) {
                    if !skip {
                        consumer.take(transaction, stored, outbox)?;
                    }
                }
                consumer.settle(transaction)?;
            }
            places.reach(events.last().map_or(0, |stored| stored.seq));
            Ok(())
        });
        match &result {
            Ok(()) if skip => {
                tracing::error!(seq = events[0].seq, "an event was skipped: nothing was derived from it");
                self.careful = None;
            }
            Ok(()) => self.careful = None,
            Err(_) => self.careful = Some(tries + 1),
        }
        result
    }

    /// Runs `work` in a transaction with the places and the notices; after an error or a panic nothing of it happened.
    fn transact(
        &mut self,
        work: impl FnOnce(
            &mut Vec<Box<dyn Consumer>>,
            &mut Places,
            &rusqlite::Transaction<'_>,
            &mut Outbox,
        ) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut places = self.places.clone();
        let consumers = &mut self.consumers;
        let done = self.derived.transact(&self.places, |transaction, outbox| {
            let work = AssertUnwindSafe(|| work(consumers, &mut places, transaction, outbox));
            catch_unwind(work).unwrap_or(Err(rusqlite::Error::UnwindingPanic))?;
            Ok(places.clone())
        });
        match done {
            Ok(places) => {
                self.taken_to.send_replace(places.oldest());
                self.places = places;
                Ok(())
            }
            Err(error) => {
                self.derived.reload(&mut self.consumers)?;
                Err(error)
            }
        }
    }
}
