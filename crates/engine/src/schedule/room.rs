//! Room in memory for deliveries that were just committed.
//!
//! It exists so that the store's writer knows, at the moment of the commit, whether a delivery can be
//! handed over in memory or must be read back from disk. Invariants: what is handed over is bounded for
//! each webhook and for all of them together; a webhook that is behind gets everything from disk, so that
//! old deliveries go before new ones. A webhook with so much in memory that it is about to fall behind is crowded, as long
//! as its receiver answers promptly: its tenant's calls are held back for a moment (`store/sqlite/queue.rs`), since what
//! must be written down and read back is delivered later. Its pending deliveries are counted here too, for its tenant's
//! limit. Read `backlog.rs` next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::backlog::Backlog;

/// Deliveries of one webhook that may be in memory with their events.
const DELIVERIES_MAX: usize = 4_096;
/// With so many it is crowded. What is left is for the calls of one group, so that none of them is too many.
const CROWDED: usize = 2_048;
/// Bytes of bodies of one webhook that may be in memory, roughly: the one that crosses it is taken.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Deliveries of all webhooks that may be in memory.
const ALL_DELIVERIES_MAX: usize = 131_072;
/// Bytes of bodies of all webhooks that may be in memory, roughly.
const ALL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What all webhooks have in memory together.
#[derive(Debug, Default)]
pub(crate) struct Memory(Taken);

/// What one webhook has in memory.
#[derive(Debug, Default)]
pub(crate) struct Room {
    taken: Taken,
    behind: AtomicBool,
    /// Whether the receiver takes long: what is in memory is not soon less.
    late: AtomicBool,
    /// Whether its tenant was told that it is.
    crowded: AtomicBool,
    all: Arc<Memory>,
    /// Its pending deliveries, within those of its tenant.
    pub(crate) backlog: Backlog,
}

/// One delivery's place in memory; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.taken.remove(self.bytes);
        self.room.all.0.remove(self.bytes);
        self.room.tell_crowded();
    }
}

#[derive(Debug, Default)]
struct Taken {
    deliveries: AtomicUsize,
    bytes: AtomicUsize,
}

impl Taken {
    fn has_room(&self, deliveries_max: usize, bytes_max: usize) -> bool {
        self.deliveries.load(Ordering::Relaxed) < deliveries_max
            && self.bytes.load(Ordering::Relaxed) < bytes_max
    }

    fn add(&self, bytes: usize) {
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.deliveries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Room {
    /// Room for one webhook, within that for all, with so many deliveries pending.
    pub(crate) fn within(all: &Arc<Memory>, backlog: Backlog) -> Self {
        Self { all: Arc::clone(all), backlog, ..Self::default() }
    }

    /// Takes a place for a delivery with a body of so many bytes, if there is one.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Place> {
        let free = !self.behind.load(Ordering::Relaxed)
            && self.taken.has_room(DELIVERIES_MAX, BYTES_MAX)
            && self.all.0.has_room(ALL_DELIVERIES_MAX, ALL_BYTES_MAX);
        free.then(|| {
            self.taken.add(bytes);
            self.all.0.add(bytes);
            self.tell_crowded();
            Place { room: Arc::clone(self), bytes }
        })
    }

    /// Says whether deliveries on disk are due that are not in memory, and whether the receiver answers promptly.
    pub(crate) fn tell(&self, behind: bool, prompt: bool) {
        self.behind.store(behind, Ordering::Relaxed);
        self.late.store(!prompt, Ordering::Relaxed);
        self.tell_crowded();
    }

    /// Tells the tenant where that has changed. Two at once may tell it wrongly, until the next place is taken or given
    /// back.
    fn tell_crowded(&self) {
        let crowded = !self.behind.load(Ordering::Relaxed)
            && !self.late.load(Ordering::Relaxed)
            && (self.taken.deliveries.load(Ordering::Relaxed) >= CROWDED
                || self.taken.bytes.load(Ordering::Relaxed) >= BYTES_MAX / 2);
        if self.crowded.load(Ordering::Relaxed) != crowded
            && self.crowded.swap(crowded, Ordering::Relaxed) != crowded
        {
            self.backlog.set_crowded(crowded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_has_so_much_room_and_no_more_and_gets_it_back() {
        let room = Arc::new(Room::default());
        let mut places: Vec<Place> = (0..DELIVERIES_MAX).map(|_| room.reserve(1).unwrap()).collect();
        assert!(room.reserve(1).is_none());
        places.pop();
        assert!(room.reserve(1).is_some());
        let room = Arc::new(Room::default());
        let _all = room.reserve(BYTES_MAX).unwrap();
        assert!(room.reserve(1).is_none());
    }

    #[test]
    fn all_webhooks_share_a_bound() {
        let all = Arc::default();
        let count = ALL_BYTES_MAX / BYTES_MAX;
        let places: Vec<_> = (0..=count)
            .filter_map(|_| Arc::new(Room::within(&all, Backlog::default())).reserve(BYTES_MAX))
            .collect();
        assert_eq!(places.len(), count);
    }

    #[test]
    fn a_webhook_that_is_behind_gets_everything_from_disk() {
        let room = Arc::new(Room::default());
        room.tell(true, true);
        assert!(room.reserve(1).is_none());
        room.tell(false, true);
        assert!(room.reserve(1).is_some());
    }

    #[test]
    fn a_tenant_is_crowded_while_a_webhook_of_it_is_about_to_fall_behind() {
        let (all, tenant) = (Arc::default(), Arc::default());
        let room = || Arc::new(Room::within(&all, Backlog::of(&tenant)));
        let (many, large) = (room(), room());
        let mut places: Vec<Place> = (1..CROWDED).map(|_| many.reserve(1).unwrap()).collect();
        assert!(!tenant.is_crowded());
        places.extend(many.reserve(1));
        assert!(tenant.is_crowded());
        let place = large.reserve(BYTES_MAX / 2).unwrap();
        places.pop();
        assert!(tenant.is_crowded(), "for the other one");
        large.tell(true, true);
        assert!(!tenant.is_crowded(), "it has fallen behind");
        large.tell(false, false);
        assert!(!tenant.is_crowded(), "its receiver takes long: waiting for it would be no use");
        large.tell(false, true);
        assert!(tenant.is_crowded());
        // As when both are deleted: their places are given back later.
        drop((many, large));
        drop(place);
        assert!(!tenant.is_crowded());
    }

    #[test]
    fn places_that_are_taken_and_given_back_at_once_leave_no_tenant_crowded() {
        let tenant = Arc::default();
        let room = Arc::new(Room::within(&Arc::default(), Backlog::of(&tenant)));
        for _ in 0..50 {
            let mut places: Vec<Place> = (0..CROWDED + 500).map(|_| room.reserve(1).unwrap()).collect();
            let others = places.split_off(CROWDED / 2);
            std::thread::scope(|scope| {
                scope.spawn(move || drop(others));
                scope.spawn(move || drop(places));
                scope.spawn(|| (0..1_000).for_each(|_| drop(room.reserve(1))));
            });
            assert!(!tenant.is_crowded());
        }
    }
}
