//! The last so many minutes of a value, in constant room.
//!
//! It exists because an agent may say ten thousand things in the time that a rule looks at: the window
//! is kept as [`SLOTS`] slots of counts and sums and not as samples, so that it moves on in sixtieths of
//! its length. Invariants: what is older than the window counts nothing, however late or early it came;
//! the order in which the samples of a window came does not matter. Read `step.rs` next.

use serde::{Deserialize, Serialize};
use vai_webhooks_wire::UnixMs;

/// Slots of a window.
pub(super) const SLOTS: i64 = 60;
/// The largest value that is counted as it is; what is beyond counts as this.
const VALUE_ABS_MAX: f64 = 1e15;

/// What a rule makes of the samples in its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Their mean.
    Mean,
    /// How many there are.
    Count,
    /// The lowest.
    Min,
    /// The highest.
    Max,
    /// The share of them of which a condition is true, 0 to 1.
    Rate,
}

/// A sliding window of samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    /// Oldest first, each number once, none empty.
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Slot {
    number: i64,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

/// How long a slot is.
fn slot_ms(window_ms: i64) -> i64 {
    // Rounded up, so that a window is never shorter than it was said to be by more than a slot.
    (window_ms.saturating_add(SLOTS - 1) / SLOTS).max(1)
}

impl Window {
    /// Forgets what is older than the window at `now`.
    pub(super) fn advance(&mut self, window_ms: i64, now: UnixMs) {
        let oldest = now.0.div_euclid(slot_ms(window_ms)) - SLOTS + 1;
        self.slots.retain(|slot| slot.number >= oldest);
    }

    /// Counts one sample that happened at `at`; the caller advances the window afterwards.
    pub(super) fn add(&mut self, window_ms: i64, at: UnixMs, value: f64) {
        let value = value.clamp(-VALUE_ABS_MAX, VALUE_ABS_MAX);
        let number = at.0.div_euclid(slot_ms(window_ms));
        match self.slots.binary_search_by_key(&number, |slot| slot.number) {
            Ok(found) => {
                let slot = &mut self.slots[found];
                slot.count += 1;
                slot.sum += value;
                slot.min = slot.min.min(value);
                slot.max = slot.max.max(value);
            }
            Err(place) => {
                let slot = Slot { number, count: 1, sum: value, min: value, max: value };
                self.slots.insert(place, slot);
            }
        }
    }

    /// How many samples it holds.
    pub(super) fn count(&self) -> u64 {
        self.slots.iter().map(|slot| slot.count).sum()
    }

    /// When the last of its samples leaves it; `None` where it is empty.
    pub(super) fn empty_at(&self, window_ms: i64) -> Option<UnixMs> {
        let last = self.slots.last()?;
        Some(UnixMs(last.number.saturating_add(SLOTS).saturating_mul(slot_ms(window_ms))))
    }

    /// The aggregate of its samples; `None` where there are none, of which no mean can be made.
    pub(super) fn value(&self, aggregate: Aggregate) -> Option<f64> {
        let slots = self.slots.iter();
        match aggregate {
            Aggregate::Count => Some(self.count() as f64),
            Aggregate::Mean | Aggregate::Rate => {
                let sum: f64 = slots.map(|slot| slot.sum).sum();
                (self.count() > 0).then(|| sum / self.count() as f64)
            }
            Aggregate::Min => slots.map(|slot| slot.min).reduce(f64::min),
            Aggregate::Max => slots.map(|slot| slot.max).reduce(f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn window(samples: &[(i64, f64)], now: i64) -> Window {
        let mut window = Window::default();
        for (at, value) in samples {
            window.add(MINUTE_MS, UnixMs(*at), *value);
        }
        window.advance(MINUTE_MS, UnixMs(now));
        window
    }

    #[test]
    fn each_aggregate_is_what_its_name_says() {
        let window = window(&[(0, 1.0), (1_000, 0.0), (2_000, 1.0), (3_000, 1.0)], 3_000);
        for (aggregate, value) in [
            (Aggregate::Mean, 0.75),
            (Aggregate::Rate, 0.75),
            (Aggregate::Count, 4.0),
            (Aggregate::Min, 0.0),
            (Aggregate::Max, 1.0),
        ] {
            assert_eq!(window.value(aggregate), Some(value), "{aggregate:?}");
        }
        for aggregate in [Aggregate::Mean, Aggregate::Rate, Aggregate::Min, Aggregate::Max] {
            assert_eq!(Window::default().value(aggregate), None, "{aggregate:?}");
        }
    }

    #[test]
    fn samples_leave_after_the_windows_length_and_late_ones_do_not_count() {
        let samples = [(0, 1.0), (30_000, 2.0)];
        assert_eq!(window(&samples, 59_999).count(), 2);
        assert_eq!(window(&samples, 60_000).count(), 1);
        let empty = window(&samples, 90_000);
        assert_eq!(empty.count(), 0);
        assert_eq!(window(&samples, 30_000).empty_at(MINUTE_MS), Some(UnixMs(90_000)));
    }

    proptest! {
        #[test]
        fn the_order_of_samples_does_not_matter_and_room_is_bounded(
            samples in prop::collection::vec((0_i64..200_000, -100_i32..100), 0..200),
            now in 0_i64..200_000,
        ) {
            let samples: Vec<(i64, f64)> =
                samples.into_iter().map(|(at, value)| (at.min(now), f64::from(value))).collect();
            let mut turned = samples.clone();
            turned.reverse();
            let (one, other) = (window(&samples, now), window(&turned, now));
            prop_assert_eq!(&one, &other);
            prop_assert!(one.slots.len() <= 60);
            let inside: Vec<f64> = samples
                .iter()
                .filter(|(at, _)| at.div_euclid(1_000) > now.div_euclid(1_000) - 60)
                .map(|(_, value)| *value)
                .collect();
            prop_assert_eq!(one.count(), inside.len() as u64);
            prop_assert_eq!(one.value(Aggregate::Min), inside.iter().copied().reduce(f64::min));
        }
    }
}
