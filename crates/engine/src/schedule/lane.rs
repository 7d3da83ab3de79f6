//! A lane: what one webhook has in memory while it has something to do.
//!
//! Deliveries come from the commit that made them, without touching the disk again, for as long as the
//! lane keeps up. A lane that cannot is *behind*: what comes then stays on disk, and is read back in
//! batches in due order. Invariants: a delivery is in memory at most once (`held`); `ready` is bounded;
//! a lane with nothing to do is not there at all. Read `due.rs` next.

use std::collections::{HashSet, VecDeque};

use crate::key::EventKey;
use crate::outcome::Strain;
use crate::store::{Due, Ready};

/// Deliveries of one webhook that wait in memory.
pub(crate) const READY_MAX: usize = 256;
/// Bytes of bodies of one webhook that wait in memory, roughly: the one that crosses it is taken.
pub(crate) const READY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Attempts at one webhook at once, when it is new, and at most.
const IN_FLIGHT_AT_FIRST: u32 = 32;
const IN_FLIGHT_MAX: u32 = 256;
/// Attempts that must go well before one more may run at once.
const GOOD_PER_STEP: u32 = 8;
/// Results of one webhook that may wait for their commit, before its attempts wait too.
const UNSETTLED_MAX: usize = 4_096;

/// One webhook's work in memory.
#[derive(Debug)]
pub(crate) struct Lane {
    ready: VecDeque<Ready>,
    ready_bytes: usize,
    /// Everything in memory: ready, in flight, or waiting for the commit of its result.
    held: HashSet<EventKey>,
    in_flight: u32,
    limit: u32,
    good: u32,
    /// Of those that are held: what was sent again by hand meanwhile, and is due again when it is settled.
    again: HashSet<EventKey>,
    /// Whether deliveries on disk are due that are not held.
    behind: bool,
    /// While deliveries are being read back: what was settled since, which the reading may not know.
    reading: Option<HashSet<EventKey>>,
    /// Whether something came while deliveries were being read back, which the reading may have missed.
    missed: bool,
    /// Whether the lane stands in the queue of those that may start an attempt.
    pub(crate) queued: bool,
    /// Whether the lane stands in the queue of those that have room for what is on disk.
    pub(crate) hungry: bool,
    /// Whether what is left on disk is being cancelled, since the webhook was deleted.
    pub(crate) cancelling: bool,
}

impl Lane {
    pub(crate) fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            ready_bytes: 0,
            held: HashSet::new(),
            in_flight: 0,
            limit: IN_FLIGHT_AT_FIRST,
            good: 0,
            again: HashSet::new(),
            behind: false,
            reading: None,
            missed: false,
            queued: false,
            hungry: false,
            cancelling: false,
        }
    }

    /// A delivery that was just committed. One that finds no room stays on disk.
    pub(crate) fn offer(&mut self, ready: Ready) {
        let room = self.ready.len() < READY_MAX && self.ready_bytes < READY_BYTES_MAX;
        if self.reading.is_some() {
            self.missed = true;
        } else if self.behind || !room {
            self.behind = true;
        } else {
            self.take_in(ready);
        }
    }

    /// Something on disk is due.
    pub(crate) fn wake(&mut self) {
        if self.reading.is_some() {
            self.missed = true;
        } else {
            self.behind = true;
        }
    }

    /// A delivery was made due again by hand. One that is held is not read back now, since its result may
    /// be on its way to the disk; it is looked for when that has arrived.
    pub(crate) fn reopen(&mut self, event: EventKey) {
        if self.held.contains(&event) {
            self.again.insert(event);
        }
        self.wake();
    }

    fn take_in(&mut self, ready: Ready) {
        if self.held.insert(ready.event.key) {
            self.ready_bytes += ready.event.body.len();
            self.ready.push_back(ready);
        }
    }

    /// Whether deliveries should be read back now.
    pub(crate) fn wants_reading(&self) -> bool {
        let low = self.ready.len() <= READY_MAX / 2 && self.ready_bytes <= READY_BYTES_MAX / 2;
        self.behind && self.reading.is_none() && low && self.held.len() < UNSETTLED_MAX
    }

    /// Begins to read deliveries back, if that is wanted: how many, and which not.
    pub(crate) fn begin_reading(&mut self) -> Option<(usize, Vec<EventKey>)> {
        if !self.wants_reading() {
            return None;
        }
        self.reading = Some(HashSet::new());
        self.missed = false;
        Some((READY_MAX - self.ready.len(), self.held.iter().copied().collect()))
    }

    /// Takes in what was read back.
    pub(crate) fn end_reading(&mut self, due: Due) {
        let settled = self.reading.take().unwrap_or_default();
        for ready in due.ready {
            if !settled.contains(&ready.event.key) {
                self.take_in(ready);
            }
        }
        self.behind = due.more || self.missed;
    }

    /// The reading failed: whoever read says when it is to be done again.
    pub(crate) fn reading_failed(&mut self) {
        self.reading = None;
        self.behind = false;
    }

    /// Whether an attempt may start.
    pub(crate) fn may_start(&self) -> bool {
        !self.ready.is_empty() && self.in_flight < self.limit && self.held.len() < UNSETTLED_MAX + READY_MAX
    }

    /// Takes the next delivery for an attempt.
    pub(crate) fn start(&mut self) -> Option<Ready> {
        if !self.may_start() {
            return None;
        }
        let ready = self.ready.pop_front()?;
        self.ready_bytes -= ready.event.body.len();
        self.in_flight += 1;
        Some(ready)
    }

    /// An attempt ended. The number that may run at once grows slowly and halves on overload.
    pub(crate) fn ended(&mut self, strain: Strain) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match strain {
            Strain::Overloaded => {
                self.limit = (self.limit / 2).max(1);
                self.good = 0;
            }
            Strain::None => {
                self.good += 1;
                if self.good >= GOOD_PER_STEP {
                    self.good = 0;
                    self.limit = (self.limit + 1).min(IN_FLIGHT_MAX);
                }
            }
        }
    }

    /// A delivery's result is on disk.
    pub(crate) fn settled(&mut self, event: EventKey) {
        self.held.remove(&event);
        if let Some(settled) = &mut self.reading {
            settled.insert(event);
        }
        if self.again.remove(&event) {
            self.wake();
        }
    }

    /// Gives up what waits in memory: the webhook was stopped. It stays on disk.
    pub(crate) fn clear(&mut self) {
        for ready in self.ready.drain(..) {
            self.held.remove(&ready.event.key);
            self.again.remove(&ready.event.key);
        }
        self.ready_bytes = 0;
        self.behind = false;
        self.missed = false;
    }

    /// Whether nothing is in memory and nothing is due on disk.
    pub(crate) fn is_idle(&self) -> bool {
        self.held.is_empty() && !self.behind && self.reading.is_none()
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
mod tests {
    use super::*;
    use crate::store::Sendable;
    use bytes::Bytes;
    use std::sync::Arc;

    fn delivery(key: i64) -> Ready {
        let event = Sendable {
            key: EventKey(key),
            id: format!("e{key}").parse().unwrap(),
            event_type: "a".into(),
            body: Bytes::from_static(b"{}"),
        };
        Ready { event: Arc::new(event), attempts: 0, attempts_before: 0 }
    }

    fn started(lane: &mut Lane) -> Vec<i64> {
        std::iter::from_fn(|| lane.start()).map(|ready| ready.event.key.0).collect()
    }

    #[test]
    fn what_finds_no_room_stays_on_disk_and_memory_is_bounded() {
        let mut lane = Lane::new();
        for key in 0..10_000 {
            lane.offer(delivery(key));
        }
        assert_eq!(lane.ready_len(), READY_MAX);
        assert!(lane.begin_reading().is_none(), "there is enough in memory");
        while lane.ready_len() > 10 {
            let key = lane.start().unwrap().event.key;
            lane.ended(Strain::None);
            lane.settled(key);
        }
        let (want, skip) = lane.begin_reading().unwrap();
        assert_eq!((want, skip.len()), (READY_MAX - 10, 10));
    }

    #[test]
    fn a_delivery_that_was_settled_while_others_were_read_is_not_sent_again() {
        let mut lane = Lane::new();
        lane.offer(delivery(1));
        lane.wake();
        let running = started(&mut lane);
        assert_eq!(running, [1]);
        let (_, skip) = lane.begin_reading().unwrap();
        assert_eq!(skip, [EventKey(1)]);
        lane.ended(Strain::None);
        lane.settled(EventKey(1));
        lane.end_reading(Due { ready: vec![delivery(1), delivery(2)], ..Due::default() });
        assert_eq!(started(&mut lane), [2]);
    }

    #[test]
    fn what_comes_while_others_are_read_is_read_in_the_next_round() {
        let mut lane = Lane::new();
        lane.wake();
        lane.begin_reading().unwrap();
        lane.offer(delivery(9));
        lane.end_reading(Due::default());
        assert!(!lane.is_idle());
        assert!(lane.begin_reading().is_some());
        lane.end_reading(Due { ready: vec![delivery(9)], ..Due::default() });
        assert_eq!(started(&mut lane), [9]);
    }

    #[test]
    fn what_is_sent_again_while_its_result_is_on_its_way_is_looked_for_afterwards() {
        let mut lane = Lane::new();
        lane.offer(delivery(1));
        assert_eq!(started(&mut lane), [1]);
        lane.ended(Strain::None);
        lane.reopen(EventKey(1));
        let (_, skip) = lane.begin_reading().unwrap();
        assert_eq!(skip, [EventKey(1)], "its result is not on disk yet");
        lane.end_reading(Due::default());
        assert!(!lane.wants_reading());
        lane.settled(EventKey(1));
        assert!(lane.begin_reading().is_some());
        lane.end_reading(Due { ready: vec![delivery(1)], ..Due::default() });
        assert_eq!(started(&mut lane), [1]);
    }

    #[test]
    fn a_reading_that_failed_is_not_begun_again_at_once() {
        let mut lane = Lane::new();
        lane.wake();
        lane.begin_reading().unwrap();
        lane.reading_failed();
        assert!(!lane.wants_reading());
    }

    #[test]
    fn overload_halves_what_runs_at_once_and_good_answers_bring_it_back() {
        let mut lane = Lane::new();
        for _ in 0..10 {
            lane.ended(Strain::Overloaded);
        }
        for key in 0..10 {
            lane.offer(delivery(key));
        }
        assert_eq!(started(&mut lane).len(), 1);
        for _ in 0..GOOD_PER_STEP {
            lane.ended(Strain::None);
        }
        assert_eq!(started(&mut lane).len(), 2);
    }

    #[test]
    fn a_lane_with_nothing_to_do_is_idle() {
        let mut lane = Lane::new();
        assert!(lane.is_idle());
        lane.offer(delivery(1));
        let key = lane.start().unwrap().event.key;
        lane.ended(Strain::None);
        assert!(!lane.is_idle(), "its result is not on disk yet");
        lane.settled(key);
        assert!(lane.is_idle());
    }
}
