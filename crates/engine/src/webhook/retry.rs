//! When a failed delivery is tried again: a function of the policy and the attempts made.
//!
//! Source of the rules: `retryConfig` is the seed's (the wait before attempt n+1 is
//! `backoffMs · 2^(n-1)`); the default schedule is the one Standard Webhooks recommends. Clock and
//! randomness come in as values. Read `outcome.rs` next, which uses it.

use serde::{Deserialize, Serialize};

/// Waits between attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum RetryPolicy {
    /// The waits themselves; there is one attempt more than there are waits.
    Schedule {
        /// The wait before the second attempt, the third …, in milliseconds.
        schedule: Vec<u64>,
    },
    /// Waits that double.
    Backoff {
        /// How many attempts in all.
        max_attempts: u32,
        /// The wait before the second attempt, in milliseconds.
        backoff_ms: u64,
        /// No wait is longer than this, jitter apart, in milliseconds.
        max_backoff_ms: u64,
    },
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// The most attempts a policy may ask for.
pub const ATTEMPTS_MAX: u32 = 50;
/// The longest wait a policy may ask for, in milliseconds.
pub const WAIT_MS_MAX: u64 = 24 * HOUR_MS;
/// The seed's number of attempts, where a `retryConfig` does not say.
pub const SEED_ATTEMPTS: u32 = 3;
/// The seed's first wait, where a `retryConfig` does not say, in milliseconds.
pub const SEED_BACKOFF_MS: u64 = 1_000;
/// A wait is made longer by up to this part of itself, so that what failed together does not return together.
const JITTER_DIVISOR: u64 = 10;

impl Default for RetryPolicy {
    /// At once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
    fn default() -> Self {
        let hours = [2, 5, 10, 14, 20, 24].map(|hours| hours * HOUR_MS);
        let mut schedule = vec![5 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS];
        schedule.extend(hours);
        Self::Schedule { schedule }
    }
}

impl RetryPolicy {
    /// How many attempts there are in all.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        match self {
            Self::Schedule { schedule } => {
                u32::try_from(schedule.len()).unwrap_or(u32::MAX).saturating_add(1)
            }
            Self::Backoff { max_attempts, .. } => *max_attempts,
        }
    }

    /// The wait after `made` attempts (at least one), in milliseconds; `None` where that was the last.
    /// `jitter(max)` gives a number in `0..=max`; jitter only ever makes a wait longer.
    pub fn wait_ms(&self, made: u32, jitter: impl FnOnce(u64) -> u64) -> Option<u64> {
        if made >= self.max_attempts() {
            return None;
        }
        let exponent = made.saturating_sub(1);
        let wait_ms = match self {
            Self::Schedule { schedule } => *schedule.get(usize::try_from(exponent).ok()?)?,
            Self::Backoff { backoff_ms, max_backoff_ms, .. } => {
                let factor = 1_u64.checked_shl(exponent).unwrap_or(u64::MAX);
                backoff_ms.saturating_mul(factor).min(*max_backoff_ms)
            }
        };
        Some(wait_ms.saturating_add(jitter(wait_ms / JITTER_DIVISOR)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(policy: &RetryPolicy) -> Vec<u64> {
        (1..).map_while(|made| policy.wait_ms(made, |_| 0)).collect()
    }

    #[test]
    fn the_default_is_the_standard_webhooks_schedule() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.max_attempts(), 10);
        let minutes: Vec<u64> = waits(&policy)[1..].iter().map(|ms| ms / MINUTE_MS).collect();
        assert_eq!(waits(&policy)[0], 5_000);
        assert_eq!(minutes, [5, 30, 120, 300, 600, 840, 1200, 1440]);
    }

    #[test]
    fn the_seeds_waits_double_up_to_the_cap() {
        let policy = RetryPolicy::Backoff { max_attempts: 6, backoff_ms: 1_000, max_backoff_ms: 5_000 };
        assert_eq!(waits(&policy), [1_000, 2_000, 4_000, 5_000, 5_000]);
    }

    #[test]
    fn one_attempt_means_no_wait_at_all() {
        let policy = RetryPolicy::Backoff { max_attempts: 1, backoff_ms: 1_000, max_backoff_ms: 5_000 };
        assert_eq!(waits(&policy), [0; 0]);
    }

    #[test]
    fn many_attempts_do_not_overflow() {
        let policy =
            RetryPolicy::Backoff { max_attempts: 100, backoff_ms: u64::MAX, max_backoff_ms: u64::MAX };
        assert_eq!(policy.wait_ms(99, |_| 0), Some(u64::MAX));
    }

    #[test]
    fn jitter_makes_a_wait_longer_by_a_tenth_at_most() {
        let policy = RetryPolicy::Schedule { schedule: vec![1_000] };
        assert_eq!(policy.wait_ms(1, |max| max), Some(1_100));
    }
}
