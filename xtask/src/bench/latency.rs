//! From the moment at which an event should be sent to its arrival: each event carries its number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

/// What stands before an event's number in its data.
pub const NUMBER: &str = "\"bench\":";

/// When each event was to be sent, and how long it took to arrive.
pub struct Stamps {
    began: Instant,
    /// Microseconds since `began` at which event `n` was to be sent.
    sent_us: Vec<AtomicU64>,
    /// Microseconds that it took; 0 where it has not arrived.
    took_us: Vec<AtomicU64>,
}

impl Stamps {
    /// For so many events.
    pub fn of(count: usize) -> Self {
        let zeros = || (0..count).map(|_| AtomicU64::new(0)).collect();
        Self { began: Instant::now(), sent_us: zeros(), took_us: zeros() }
    }

    /// Event `number` is to be sent at `at`.
    pub fn sent(&self, number: usize, at: Instant) {
        self.sent_us[number].store(micros(at - self.began), Ordering::Relaxed);
    }

    /// This body arrived. A second arrival changes nothing.
    pub fn arrived(&self, body: &[u8]) {
        let now_us = micros(self.began.elapsed());
        let Some(number) = number_in(body) else { return };
        let Some(took) = self.took_us.get(number) else { return };
        let sent_us = self.sent_us[number].load(Ordering::Relaxed);
        let took_us = now_us.saturating_sub(sent_us).max(1);
        // The first arrival counts.
        let _known = took.compare_exchange(0, took_us, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// How many arrived.
    pub fn count(&self) -> u64 {
        self.took_us.iter().filter(|took| took.load(Ordering::Relaxed) > 0).count() as u64
    }

    /// What it took.
    pub fn spread(&self) -> Spread {
        let all = self.took_us.iter().map(|took| took.load(Ordering::Relaxed));
        Spread::of(all.filter(|took_us| *took_us > 0).collect())
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn number_in(body: &[u8]) -> Option<usize> {
    let at = body.windows(NUMBER.len()).position(|window| window == NUMBER.as_bytes())?;
    let digits = body[at + NUMBER.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}

/// How times are spread, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Spread {
    fn of(mut took_us: Vec<u64>) -> Self {
        took_us.sort_unstable();
        let at = |percent: usize| {
            took_us.get((took_us.len() * percent / 100).min(took_us.len().saturating_sub(1)))
        };
        let ms = |percent| at(percent).map_or(f64::NAN, |us| *us as f64 / 1_000.0);
        Self { p50_ms: ms(50), p95_ms: ms(95), p99_ms: ms(99), max_ms: ms(100) }
    }
}
