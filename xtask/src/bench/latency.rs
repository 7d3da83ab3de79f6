//! From the moment at which an event should be sent to its arrival: the event carries that moment.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// What stands in an event's data before the moment at which it was due, in microseconds of Unix time.
pub const DUE_US: &str = "\"dueUs\":";

/// Now, in microseconds of Unix time: one clock for all processes of the machine.
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// How long events took to arrive, in microseconds.
#[derive(Default)]
pub struct Arrivals(Mutex<Vec<u64>>);

impl Arrivals {
    /// This body arrived. One that carries no moment changes nothing.
    pub fn note(&self, body: &[u8]) {
        // It stands near the front.
        let front = &body[..body.len().min(200)];
        let Some(at) = front.windows(DUE_US.len()).position(|window| window == DUE_US.as_bytes()) else {
            return;
        };
        let digits = body[at + DUE_US.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        let due_us = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        let took_us = now_us().saturating_sub(due_us);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(took_us);
    }

    /// What those took that came since this was last asked.
    pub fn take_spread(&self) -> Spread {
        Spread::of(std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// How times are spread, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Spread {
    /// Of these, in microseconds.
    pub fn of(mut took_us: Vec<u64>) -> Self {
        took_us.sort_unstable();
        let last = took_us.len().saturating_sub(1);
        let ms = |percent: usize| {
            took_us.get((took_us.len() * percent / 100).min(last)).map_or(0.0, |us| *us as f64 / 1_000.0)
        };
        Self { p50_ms: ms(50), p95_ms: ms(95), p99_ms: ms(99), max_ms: ms(100) }
    }

    /// What is usual in these rounds: the median of each figure, and the longest time of all.
    pub fn usual(rounds: &[Self]) -> Self {
        let median = |figure: fn(&Self) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(figure).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        Self {
            p50_ms: median(|round| round.p50_ms),
            p95_ms: median(|round| round.p95_ms),
            p99_ms: median(|round| round.p99_ms),
            max_ms: rounds.iter().map(|round| round.max_ms).fold(0.0, f64::max),
        }
    }
}
