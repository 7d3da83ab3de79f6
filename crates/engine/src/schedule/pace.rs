//! How many attempts one webhook may have under way, and what one of them takes.
//!
//! The limit begins low, doubles with each round of good answers as long as they come as quickly as the quickest, and
//! halves on overload. Answers that take ever longer say that more attempts at once only wait in line, here or at the
//! receiver: then it goes down by an eighth, to 32 at the least. Once it was lowered it grows by one for a round. Pure:
//! times are passed in. Read `slots.rs` next.

use std::time::Duration;

use crate::outcome::Strain;

/// Attempts at one webhook at once: when nothing is known of it, and at most.
const LIMIT_AT_FIRST: u32 = 8;
const LIMIT_MAX: u32 = 256;
/// Answers that come late take the limit down no further: a receiver may be slow now and then, and quick with many.
const LIMIT_LATE_MIN: u32 = 32;
/// A webhook whose attempts take longer is slow.
const SLOW: Duration = Duration::from_millis(1_000);
/// It answers promptly where its attempts take no longer: what it has in memory is soon less.
const PROMPT: Duration = Duration::from_millis(250);
/// An answer is as quick as ever where it took no more than four times what the quickest took, or than this, in
/// microseconds: where more than 32 are under way for longer, they only wait in line.
const QUICK_US: i64 = 1_000;
/// The quickest of so many answers is forgotten for the quickest of the next ones: a route can get longer.
const QUICKEST_OF: u32 = 1_024;
/// What an attempt is taken for as long as nothing is known, in microseconds.
const GUESS_US: i64 = 20_000;

/// What is known of how quickly a webhook answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// None of its attempts has ended since it was last at rest.
    Unknown,
    /// It answers in good time.
    Quick,
    /// Its attempts take long.
    Slow,
}

/// One webhook's limit and times.
#[derive(Debug)]
pub(crate) struct Pace {
    limit: u32,
    /// Whether the limit was ever lowered: from then on it grows slowly.
    lowered: bool,
    /// Answers that came as quickly as ever less those that came late, towards the next step up or down: a few late
    /// ones among many quick ones are the receiver's nature, and no line.
    balance: i64,
    /// What an attempt takes, smoothed, in microseconds.
    smoothed_us: Option<i64>,
    /// Whether an attempt was seen to be under way for longer than a prompt one, and none was prompt since.
    hangs: bool,
    /// What the quickest took, of the answers before these and of these, in microseconds.
    quickest_us: [i64; 2],
    /// How many these are.
    answers: u32,
}

impl Pace {
    /// Nothing is known.
    pub(crate) fn new() -> Self {
        Self {
            limit: LIMIT_AT_FIRST,
            lowered: false,
            balance: 0,
            smoothed_us: None,
            hangs: false,
            quickest_us: [i64::MAX; 2],
            answers: 0,
        }
    }

    /// Attempts that may be under way.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// What the next attempt will take, in microseconds, by those before it.
    pub(crate) fn guess_us(&self) -> i64 {
        self.smoothed_us.unwrap_or(GUESS_US)
    }

    /// How quickly it answers.
    pub(crate) fn class(&self) -> Class {
        match self.smoothed_us {
            None => Class::Unknown,
            Some(us) if us > micros(SLOW) => Class::Slow,
            Some(_) => Class::Quick,
        }
    }

    /// Whether it answers promptly, or nothing is known yet.
    pub(crate) fn is_prompt(&self) -> bool {
        !self.hangs && self.smoothed_us.is_none_or(|us| us <= micros(PROMPT))
    }

    /// An attempt is under way for so long.
    pub(crate) fn running(&mut self, running: Duration) {
        self.hangs |= running > PROMPT;
        if running > SLOW {
            self.smoothed_us = Some(self.smoothed_us.unwrap_or_default().max(micros(running)));
        }
    }

    /// An attempt ended.
    pub(crate) fn ended(&mut self, strain: Strain, took: Duration) {
        let took_us = micros(took);
        self.hangs &= took > PROMPT;
        self.smoothed_us = Some(self.smoothed_us.map_or(took_us, |known| known + (took_us - known) / 8));
        match strain {
            Strain::Overloaded => {
                self.limit = (self.limit / 2).max(1);
                (self.lowered, self.balance) = (true, 0);
            }
            Strain::None if self.is_as_quick_as_ever(took_us) => {
                self.balance += 1;
                if !self.lowered || self.balance >= i64::from(self.limit) {
                    self.balance = self.balance.min(0);
                    self.limit = (self.limit + 1).min(LIMIT_MAX);
                }
            }
            Strain::None => {
                self.balance -= 1;
                if self.balance <= -i64::from(self.limit) {
                    self.balance = 0;
                    let less = (self.limit - self.limit / 8).max(LIMIT_LATE_MIN);
                    if less < self.limit {
                        (self.lowered, self.limit) = (true, less);
                    }
                }
            }
        }
    }
}

impl Pace {
    fn is_as_quick_as_ever(&mut self, took_us: i64) -> bool {
        self.answers += 1;
        if self.answers > QUICKEST_OF {
            (self.quickest_us, self.answers) = ([self.quickest_us[1], i64::MAX], 1);
        }
        self.quickest_us[1] = self.quickest_us[1].min(took_us);
        let quickest_us = self.quickest_us[0].min(self.quickest_us[1]);
        took_us <= QUICK_US.max(quickest_us.saturating_mul(4))
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(pace: &mut Pace, times: u32) {
        (0..times).for_each(|_| pace.ended(Strain::None, Duration::from_millis(1)));
    }

    #[test]
    fn the_limit_doubles_with_each_round_of_good_answers_up_to_its_bound() {
        let mut pace = Pace::new();
        let mut limits = Vec::new();
        for _ in 0..7 {
            limits.push(pace.limit());
            let round = pace.limit();
            good(&mut pace, round);
        }
        assert_eq!(limits, [8, 16, 32, 64, 128, 256, 256]);
    }

    #[test]
    fn overload_halves_it_and_then_it_grows_by_one_for_a_round() {
        let mut pace = Pace::new();
        good(&mut pace, 24);
        pace.ended(Strain::Overloaded, Duration::ZERO);
        assert_eq!(pace.limit(), 16);
        good(&mut pace, 15);
        assert_eq!(pace.limit(), 16);
        good(&mut pace, 1);
        assert_eq!(pace.limit(), 17);
        (0..10).for_each(|_| pace.ended(Strain::Overloaded, Duration::ZERO));
        assert_eq!(pace.limit(), 1);
    }

    #[test]
    fn the_limit_goes_down_where_answers_take_longer_the_more_there_are_at_once() {
        let mut pace = Pace::new();
        good(&mut pace, 120);
        assert_eq!(pace.limit(), 128);
        (0..128).for_each(|_| pace.ended(Strain::None, Duration::from_millis(6)));
        assert_eq!(pace.limit(), 112, "they took 1 ms before");
        (0..800).for_each(|_| pace.ended(Strain::None, Duration::from_millis(6)));
        assert_eq!(pace.limit(), LIMIT_LATE_MIN);
        // A webhook that is far away is no queue: all of its answers take that long.
        let mut far = Pace::new();
        (0..1_000).for_each(|_| far.ended(Strain::None, Duration::from_millis(150)));
        assert_eq!(far.limit(), LIMIT_MAX);
    }

    #[test]
    fn a_route_that_got_longer_is_the_new_measure_after_a_while() {
        let mut pace = Pace::new();
        good(&mut pace, 8);
        (0..3 * QUICKEST_OF).for_each(|_| pace.ended(Strain::None, Duration::from_millis(100)));
        assert_eq!(pace.limit(), LIMIT_MAX);
    }

    #[test]
    fn answers_that_differ_by_nature_keep_a_limit_from_no_more_than_its_first_steps() {
        let mut pace = Pace::new();
        for _ in 0..100 {
            good(&mut pace, 1);
            (0..4).for_each(|_| pace.ended(Strain::None, Duration::from_millis(10)));
        }
        assert_eq!(pace.limit(), LIMIT_LATE_MIN);
    }

    #[test]
    fn a_few_late_answers_among_quick_ones_are_no_line() {
        let mut pace = Pace::new();
        for _ in 0..100 {
            good(&mut pace, 19);
            pace.ended(Strain::None, Duration::from_millis(10));
        }
        assert_eq!(pace.limit(), LIMIT_MAX);
        pace.ended(Strain::Overloaded, Duration::ZERO);
        for _ in 0..20_000 {
            good(&mut pace, 3);
            pace.ended(Strain::None, Duration::from_millis(10));
        }
        assert_eq!(pace.limit(), LIMIT_MAX, "it grows again, if slowly");
    }

    #[test]
    fn a_webhook_is_slow_as_soon_as_one_attempt_runs_for_long_and_quick_again_after_some() {
        let mut pace = Pace::new();
        assert_eq!(pace.class(), Class::Unknown);
        good(&mut pace, 1);
        assert_eq!(pace.class(), Class::Quick);
        pace.running(Duration::from_millis(900));
        assert_eq!(pace.class(), Class::Quick);
        pace.running(Duration::from_millis(5_000));
        assert_eq!(pace.class(), Class::Slow);
        good(&mut pace, 20);
        assert_eq!(pace.class(), Class::Quick);
    }

    #[test]
    fn who_hangs_is_not_prompt_until_an_attempt_is_again() {
        let mut pace = Pace::new();
        assert!(pace.is_prompt(), "nothing is known yet");
        pace.running(PROMPT);
        assert!(pace.is_prompt());
        pace.running(PROMPT * 2);
        assert!(!pace.is_prompt());
        pace.ended(Strain::None, Duration::from_millis(5));
        assert!(pace.is_prompt());
        (0..50).for_each(|_| pace.ended(Strain::None, PROMPT * 2));
        assert!(!pace.is_prompt(), "by what its attempts take");
    }
}
