//! Time, as a value that is passed in.
//!
//! It exists so that a whole engine can run in a simulation, where an hour takes no time. Nothing else
//! in the crate reads a clock (`clippy.toml` holds that). Read `rng.rs` next.

use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use vai_webhooks_wire::UnixMs;

/// Where the engine takes its time from.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, in milliseconds: for what is written down and for due times. May jump.
    fn now(&self) -> UnixMs;

    /// Time since some fixed moment; never goes back. For measuring how long something took.
    fn elapsed(&self) -> Duration;

    /// Resolves when [`Clock::now`] has reached `at`, or earlier after a jump: the caller looks again.
    fn sleep_until(&self, at: UnixMs) -> BoxFuture<'static, ()>;
}

/// The clock of the machine.
#[derive(Debug, Clone)]
pub struct SystemClock {
    started: std::time::Instant,
}

/// The longest single wait: a wall clock that jumps forward is noticed within it.
const SLEEP_MS_MAX: i64 = 10_000;

impl SystemClock {
    /// A clock that counts [`Clock::elapsed`] from now on.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that all others use")]
    pub fn new() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that all others use")]
    fn now(&self) -> UnixMs {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        UnixMs(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the Clock that all others use")]
    fn sleep_until(&self, at: UnixMs) -> BoxFuture<'static, ()> {
        let wait_ms = at.since(self.now()).clamp(0, SLEEP_MS_MAX);
        tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).boxed()
    }
}
