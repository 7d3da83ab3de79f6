//! How many attempts a shard may have under way, and which webhooks may take how many of them.
//!
//! Slow webhooks hold their slots for long, so that a few of them could hold all. They have a share of
//! their own, those of which nothing is known yet another, and the rest is for those that answer in good
//! time. Pure. Read `lane.rs` next.

use super::pace::Class;

/// Attempts that one shard runs at once.
const ALL_MAX: usize = 1_024;
/// How many of them slow webhooks may start.
const SLOW_MAX: usize = 256;
/// How many of them slow and unknown webhooks may start together.
const UNPROVEN_MAX: usize = 768;

/// The slots of one shard.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    unknown: usize,
    quick: usize,
    slow: usize,
}

impl Slots {
    /// How many more attempts webhooks of a class may start.
    pub(crate) fn free(&self, class: Class) -> usize {
        let unproven = self.unknown + self.slow;
        let of_all = ALL_MAX.saturating_sub(unproven + self.quick);
        let of_unproven = of_all.min(UNPROVEN_MAX.saturating_sub(unproven));
        match class {
            Class::Quick => of_all,
            Class::Unknown => of_unproven,
            Class::Slow => of_unproven.min(SLOW_MAX.saturating_sub(self.slow)),
        }
    }

    /// Attempts of a class started.
    pub(crate) fn take(&mut self, class: Class, count: usize) {
        *self.of(class) += count;
    }

    /// Attempts of a class ended.
    pub(crate) fn give_back(&mut self, class: Class, count: usize) {
        *self.of(class) -= count;
    }

    fn of(&mut self, class: Class) -> &mut usize {
        match class {
            Class::Unknown => &mut self.unknown,
            Class::Quick => &mut self.quick,
            Class::Slow => &mut self.slow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_webhooks_never_take_what_quick_ones_need() {
        let mut slots = Slots::default();
        slots.take(Class::Slow, slots.free(Class::Slow));
        assert_eq!(slots.free(Class::Slow), 0);
        slots.take(Class::Unknown, slots.free(Class::Unknown));
        assert_eq!(slots.free(Class::Unknown), 0);
        assert_eq!(slots.free(Class::Quick), ALL_MAX - UNPROVEN_MAX);
    }

    #[test]
    fn what_turns_out_to_be_slow_takes_no_more_until_enough_has_ended() {
        let mut slots = Slots::default();
        slots.take(Class::Unknown, UNPROVEN_MAX);
        slots.give_back(Class::Unknown, UNPROVEN_MAX);
        slots.take(Class::Slow, UNPROVEN_MAX);
        assert_eq!((slots.free(Class::Slow), slots.free(Class::Unknown)), (0, 0));
        slots.give_back(Class::Slow, UNPROVEN_MAX - SLOW_MAX + 1);
        assert_eq!(slots.free(Class::Slow), 1);
    }

    #[test]
    fn quick_webhooks_may_take_all() {
        let mut slots = Slots::default();
        slots.take(Class::Quick, ALL_MAX);
        assert_eq!(
            (slots.free(Class::Quick), slots.free(Class::Unknown), slots.free(Class::Slow)),
            (0, 0, 0)
        );
    }
}
