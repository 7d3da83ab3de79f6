//! A lane: what one webhook has in memory while it has something to do.
//!
//! Deliveries come from the commit that made them, without touching the disk again, for as long as the
//! lane keeps up. What is due on disk is read back in batches in due order; a lane that cannot take all of it is
//! *behind*: what comes then stays on disk too, so that old deliveries go before new ones. Invariants: a delivery is in memory at most once (`held`); what is in memory is
//! bounded, by [`Room`] for what was handed over and by `READY_MAX` for what was read back; a lane with
//! nothing to do is not there at all. Read `due.rs` next.

use std::collections::hash_map::Entry;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use vai_webhooks_wire::UnixMs;

use super::circuit::Circuit;
use super::pace::{Class, Pace};
use super::room::{Place, Room};
use crate::key::{ByNumber, EventKey};
use crate::outcome::Strain;
use crate::store::{Due, Ready, Sendable};
use crate::tenant::TenantId;
use crate::webhook::Form;

/// Deliveries of one webhook that are read back at once.
pub(crate) const READY_MAX: usize = 256;
/// Bytes of bodies of one webhook that are read back at once, roughly: the one that crosses it is taken.
pub(crate) const READY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Results of one webhook that may wait for their commit, before its attempts wait too.
const UNSETTLED_MAX: usize = 4_096;

/// One webhook's work in memory.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) tenant: TenantId,
    ready: VecDeque<Ready>,
    ready_bytes: usize,
    /// Everything in memory: ready, in flight, or waiting for the commit of its result.
    held: ByNumber<EventKey, Held>,
    in_flight: u32,
    pace: Pace,
    /// The class that its attempts under way are counted in.
    pub(crate) class: Class,
    circuit: Circuit,
    room: Arc<Room>,
    /// Of those that are held: what was sent again by hand meanwhile, and is due again when it is settled.
    again: HashSet<EventKey>,
    /// Whether deliveries on disk are due that are not held.
    on_disk: bool,
    /// Whether the last reading could not take all that was due.
    behind: bool,
    /// While deliveries are being read back: what was settled since, which the reading may not know.
    reading: Option<HashSet<EventKey>>,
    /// Whether something came while deliveries were being read back, which the reading may have missed.
    missed: bool,
    /// Whether anything happened to the lane since it was put where it belongs.
    pub(crate) touched: bool,
    /// Whether the lane takes its turns.
    pub(crate) joined: bool,
    /// Whether the lane waits for a slot of its class.
    pub(crate) starved: bool,
    /// Whether the lane stands in the queue of those that have room for what is on disk.
    pub(crate) hungry: bool,
    /// Whether what is left on disk is being cancelled, since the webhook was deleted.
    pub(crate) cancelling: bool,
}

/// One delivery in memory.
#[derive(Debug)]
struct Held {
    /// Of one that was handed over.
    _place: Option<Place>,
    /// Whether the store can read it back.
    has_row: bool,
    /// While its attempt is under way.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    since: Duration,
    guess_us: i64,
}

/// What an attempt's end changes beyond its lane.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// How much more connection time it took than was guessed, in microseconds.
    pub(crate) cost_us: i64,
    /// Whether the circuit opened by it.
    pub(crate) opened: bool,
}

impl Lane {
    pub(crate) fn new(tenant: TenantId, room: Arc<Room>) -> Self {
        Self {
            tenant,
            ready: VecDeque::new(),
            ready_bytes: 0,
            held: ByNumber::default(),
            in_flight: 0,
            pace: Pace::new(),
            class: Class::Unknown,
            circuit: Circuit::default(),
            room,
            again: HashSet::new(),
            on_disk: false,
            behind: false,
            reading: None,
            missed: false,
            touched: false,
            joined: false,
            starved: false,
            hungry: false,
            cancelling: false,
        }
    }

    /// A delivery that was just committed and handed over.
    pub(crate) fn offer(&mut self, event: Arc<Sendable>, place: Place, form: Option<Form>) {
        let ready = Ready { event, attempts: 0, attempts_before: 0, form };
        self.take_in(ready, Held { _place: Some(place), has_row: false, running: None });
    }

    /// Something on disk is due.
    pub(crate) fn wake(&mut self) {
        if self.reading.is_some() {
            self.missed = true;
        } else {
            self.on_disk = true;
        }
    }

    /// A delivery was made due again by hand. One that is held is not read back now, since its result may
    /// be on its way to the disk; it is looked for when that has arrived.
    pub(crate) fn reopen(&mut self, event: EventKey) {
        if let Some(held) = self.held.get_mut(&event) {
            held.has_row = true;
            self.again.insert(event);
        }
        self.wake();
    }

    fn take_in(&mut self, ready: Ready, held: Held) {
        if let Entry::Vacant(free) = self.held.entry(ready.event.key) {
            free.insert(held);
            self.ready_bytes += ready.event.body.len();
            self.ready.push_back(ready);
        }
    }

    /// Whether deliveries should be read back now.
    pub(crate) fn wants_reading(&self, now: UnixMs) -> bool {
        let low = match self.circuit.limit(now) {
            None => self.is_low(),
            Some(limit) => limit > 0 && self.ready.is_empty() && self.in_flight == 0,
        };
        self.on_disk && self.reading.is_none() && low && self.held.len() < UNSETTLED_MAX
    }

    fn is_low(&self) -> bool {
        self.ready.len() <= READY_MAX / 2 && self.ready_bytes <= READY_BYTES_MAX / 2
    }

    /// Begins to read deliveries back, if that is wanted: how many, and which not.
    pub(crate) fn begin_reading(&mut self, now: UnixMs) -> Option<(usize, Vec<EventKey>)> {
        if !self.wants_reading(now) {
            return None;
        }
        self.reading = Some(HashSet::new());
        self.missed = false;
        let limit = if self.circuit.limit(now).is_some() { 1 } else { READY_MAX - self.ready.len() };
        let with_rows = self.held.iter().filter(|(_, held)| held.has_row);
        Some((limit, with_rows.map(|(event, _)| *event).collect()))
    }

    /// Takes in what was read back.
    pub(crate) fn end_reading(&mut self, due: Due) {
        let settled = self.reading.take().unwrap_or_default();
        for ready in due.ready {
            if !settled.contains(&ready.event.key) {
                self.take_in(ready, Held { _place: None, has_row: true, running: None });
            }
        }
        self.behind = due.more;
        self.on_disk = due.more || self.missed;
    }

    /// The reading failed: whoever read says when it is to be done again.
    pub(crate) fn reading_failed(&mut self) {
        self.reading = None;
        self.on_disk = false;
    }

    /// Whether an attempt may start.
    pub(crate) fn may_start(&self, now: UnixMs) -> bool {
        let limit = self.circuit.limit(now).unwrap_or(self.pace.limit());
        // What is ready does not count: a lane full of it, without anything under way, could never start.
        let unsettled = self.held.len().saturating_sub(self.ready.len());
        !self.ready.is_empty() && self.in_flight < limit && unsettled < UNSETTLED_MAX
    }

    /// Takes the next delivery for an attempt, with what it will cost in connection time, in microseconds.
    pub(crate) fn start(&mut self, now: UnixMs, since: Duration) -> Option<(Ready, i64)> {
        if !self.may_start(now) {
            return None;
        }
        let ready = self.ready.pop_front()?;
        self.ready_bytes -= ready.event.body.len();
        self.in_flight += 1;
        let guess_us = self.pace.guess_us();
        if let Some(held) = self.held.get_mut(&ready.event.key) {
            held.running = Some(Running { since, guess_us });
        }
        Some((ready, guess_us))
    }

    /// An attempt ended, after `took`.
    pub(crate) fn ended(
        &mut self,
        event: EventKey,
        strain: Strain,
        delivered: bool,
        took: Duration,
        now: UnixMs,
    ) -> Change {
        self.pace.ended(strain, took);
        let took_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        Change { cost_us: took_us - self.not_running(event), opened: self.circuit.ended(delivered, now) }
    }

    /// Nothing was sent after all, since the transformation failed or dropped the delivery.
    pub(crate) fn unsent(&mut self, event: EventKey, failed: bool, now: UnixMs) -> Change {
        let opened = failed && self.circuit.ended(false, now);
        Change { cost_us: -self.not_running(event), opened }
    }

    /// An attempt did not start after all, since the webhook was stopped: the delivery is no longer held.
    /// Answers whether the store cannot read it back yet.
    pub(crate) fn never_started(&mut self, event: EventKey) -> (Change, bool) {
        let change = Change { cost_us: -self.not_running(event), opened: false };
        let without_row = self.held.get(&event).is_some_and(|held| !held.has_row);
        self.settled(event);
        (change, without_row)
    }

    fn not_running(&mut self, event: EventKey) -> i64 {
        self.in_flight = self.in_flight.saturating_sub(1);
        let running = self.held.get_mut(&event).and_then(|held| held.running.take());
        running.map_or(0, |running| running.guess_us)
    }

    /// A delivery is no longer held: its result is on disk, or it is.
    pub(crate) fn settled(&mut self, event: EventKey) {
        self.held.remove(&event);
        if let Some(settled) = &mut self.reading {
            settled.insert(event);
        }
        if self.again.remove(&event) {
            self.wake();
        }
    }

    /// Gives up what waits in memory, and says what of it the store cannot read back yet.
    pub(crate) fn clear(&mut self) -> Vec<EventKey> {
        let mut without_row = Vec::new();
        for ready in self.ready.drain(..) {
            let event = ready.event.key;
            if self.held.remove(&event).is_some_and(|held| !held.has_row) {
                without_row.push(event);
            }
            self.again.remove(&event);
        }
        self.ready_bytes = 0;
        without_row
    }

    /// The webhook was stopped: what is on disk stays there.
    pub(crate) fn stop(&mut self) -> Vec<EventKey> {
        (self.on_disk, self.behind, self.missed) = (false, false, false);
        self.clear()
    }

    /// The circuit is open: everything waits on disk.
    pub(crate) fn retreat(&mut self) -> Vec<EventKey> {
        self.wake();
        self.clear()
    }

    /// When the next probe is due, where the circuit is open.
    pub(crate) fn probe_at(&self) -> Option<UnixMs> {
        self.circuit.probe_at()
    }

    /// Looks at what has been in memory for long: what of it needs a row, being older than `old`.
    pub(crate) fn sweep(&mut self, old: EventKey, since: Duration) -> Vec<EventKey> {
        let mut without_row = Vec::new();
        for (event, held) in &mut self.held {
            if let Some(running) = &held.running {
                self.pace.running(since.saturating_sub(running.since));
            }
            if !held.has_row && *event < old {
                held.has_row = true;
                without_row.push(*event);
            }
        }
        without_row
    }

    /// The class that it is in by now, and how many attempts are counted in the one before.
    pub(crate) fn reclass(&mut self) -> Option<(Class, Class, u32)> {
        let (before, now) = (self.class, self.pace.class());
        self.class = now;
        (before != now).then_some((before, now, self.in_flight))
    }

    /// Says whether new deliveries may be handed over in memory: not while older ones on disk have to wait. And whether
    /// there will soon be room for more.
    pub(crate) fn tell_room(&self) {
        let waits = self.on_disk && !self.is_low();
        let behind = self.behind || waits || self.circuit.probe_at().is_some();
        self.room.tell(behind, self.pace.is_prompt());
    }

    /// Whether nothing is in memory and nothing is due on disk.
    pub(crate) fn is_idle(&self) -> bool {
        self.held.is_empty() && !self.on_disk && self.reading.is_none()
    }

    /// Whether no attempt runs and no result waits for its commit.
    pub(crate) fn is_quiet(&self) -> bool {
        self.held.len() == self.ready.len() && self.reading.is_none()
    }

    #[cfg(test)]
    pub(crate) fn ready_len(&self) -> usize {
        self.ready.len()
    }
}

#[cfg(test)]
mod tests;
