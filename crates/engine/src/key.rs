//! The numbers rows are known by inside the engine.
//!
//! An [`EventKey`] grows with time, so that inserts go to the right edge of every B-tree, and becomes an
//! `evt_` id together with the installation's realm: 42 bits of milliseconds since 2025, 10 bits of node,
//! 12 bits of counter. Invariant: a [`KeyMaker`] never gives a key twice, nor one below an earlier one,
//! also when the wall clock goes back, since it starts above the highest key in the store.
//! Read `tenant.rs` next.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use vai_webhooks_wire::{AttemptId, DeliveryId, EventId, UnixMs};

/// 2025-01-01T00:00:00Z. 42 bits of milliseconds from here reach the year 2164.
const EPOCH_MS: i64 = 1_735_689_600_000;
const NODE_BITS: u32 = 10;
const COUNTER_BITS: u32 = 12;

/// A map by numbers that we gave. What callers choose is hashed as the standard library does it.
pub(crate) type ByNumber<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// An event's number: unique in the installation, growing with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(pub i64);

/// An attempt's number, made as an event's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey(pub i64);

/// A webhook's number: unique in the installation, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookNo(pub u32);

/// A random number made with the database, so that no two installations make the same ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Realm(pub u32);

/// The time that is in a key, to the millisecond.
fn time_of(key: i64) -> UnixMs {
    UnixMs((key >> (NODE_BITS + COUNTER_BITS)) + EPOCH_MS)
}

impl EventKey {
    /// The time that is in the key, to the millisecond: when the event was accepted.
    #[must_use]
    pub fn at(self) -> UnixMs {
        time_of(self.0)
    }

    /// The lowest key of an event that is accepted at this time.
    pub(crate) fn first_at(now: UnixMs) -> Self {
        Self(millis_later(0, now.since(UnixMs(EPOCH_MS))))
    }

    /// The public id.
    #[must_use]
    pub fn id(self, realm: Realm) -> EventId {
        EventId::from_parts(self.0.unsigned_abs(), realm.0)
    }

    /// The key in an id that this installation made; `None` for every other id.
    #[must_use]
    pub fn of(id: &EventId, realm: Realm) -> Option<Self> {
        let (key, of_realm) = id.parts()?;
        if of_realm == realm.0 { i64::try_from(key).ok().map(Self) } else { None }
    }

    /// The public id of this event's delivery to `webhook`.
    #[must_use]
    pub fn delivery_id(self, webhook: WebhookNo, realm: Realm) -> DeliveryId {
        DeliveryId::from_parts(self.0.unsigned_abs(), webhook.0, realm.0)
    }
}

impl AttemptKey {
    /// The time that is in the key, to the millisecond: when the attempt started, or a little later.
    pub(crate) fn at(self) -> UnixMs {
        time_of(self.0)
    }

    /// The public id.
    #[must_use]
    pub fn id(self, realm: Realm) -> AttemptId {
        AttemptId::from_parts(self.0.unsigned_abs(), realm.0)
    }
}

/// The key so many milliseconds after `key`, or before it.
pub(crate) fn millis_later(key: i64, ms: i64) -> i64 {
    key.saturating_add(ms << (NODE_BITS + COUNTER_BITS))
}

/// Makes keys, for events and attempts alike.
#[derive(Debug)]
pub(crate) struct KeyMaker {
    last: AtomicI64,
}

impl KeyMaker {
    /// A maker whose first key is above `highest`, the highest in the store.
    pub(crate) fn above(highest: i64) -> Self {
        Self { last: AtomicI64::new(highest) }
    }

    /// The next key at the time `now`: the clock's, or one more than the last where the clock is behind.
    pub(crate) fn next(&self, now: UnixMs) -> i64 {
        let by_clock = now.since(UnixMs(EPOCH_MS)).max(0) << (NODE_BITS + COUNTER_BITS);
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(by_clock.max(last + 1)))
            .unwrap_or_else(|unchanged| unchanged);
        by_clock.max(last + 1)
    }

    pub(crate) fn event(&self, now: UnixMs) -> EventKey {
        EventKey(self.next(now))
    }

    pub(crate) fn attempt(&self, now: UnixMs) -> AttemptKey {
        AttemptKey(self.next(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_grow_even_when_the_clock_goes_back() {
        let maker = KeyMaker::above(0);
        let times = [EPOCH_MS + 5_000, EPOCH_MS + 5_000, EPOCH_MS + 1_000, EPOCH_MS + 9_000];
        let keys: Vec<i64> = times.iter().map(|&at| maker.next(UnixMs(at))).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:?}");
        assert_eq!(EventKey(keys[0]).at(), UnixMs(EPOCH_MS + 5_000));
        assert_eq!(EventKey(keys[3]).at(), UnixMs(EPOCH_MS + 9_000));
    }

    #[test]
    fn keys_start_above_what_the_store_holds() {
        let highest = 77 << 40;
        assert!(KeyMaker::above(highest).next(UnixMs(EPOCH_MS)) > highest);
    }

    #[test]
    fn an_id_leads_back_to_its_key_in_its_own_realm_only() {
        let key = EventKey(1 << 50);
        let id = key.id(Realm(7));
        assert_eq!(EventKey::of(&id, Realm(7)), Some(key));
        assert_eq!(EventKey::of(&id, Realm(8)), None);
        assert_eq!(EventKey::of(&"order-17".parse().unwrap(), Realm(7)), None);
    }
}
