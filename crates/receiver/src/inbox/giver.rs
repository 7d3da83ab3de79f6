//! Gives a sink a batch until something became of it.
//!
//! It exists as the place that knows patience. A batch that fails comes again after a wait that doubles; one that goes
//! on failing becomes smaller, until a single event stands alone before the sink. Is the sink itself there (it answers
//! `check`), but that one event has failed for [`GIVE_UP_MS`], then the event is at fault and becomes a dead letter; is
//! it not, then everything waits, however long. Invariant: nothing that a sink does ends this but its taking or
//! refusing, or the receiver's end. Read `../sink/mod.rs` next.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;
use vai_webhooks_wire::UnixMs;

use super::SinkState;
use crate::sink::{Notice, Sink, SinkError, Stored};
use crate::store::Dead;

/// How long a sink may take for one batch, or for saying that it is there.
pub const PUT_MS_MAX: u64 = 120_000;
/// The wait after the first failure; each further one doubles it.
const BACKOFF_MS_MIN: u64 = 250;
/// The longest wait of our own, and the longest that a sink may ask for.
const BACKOFF_MS_MAX: u64 = 60_000;
const ASKED_MS_MAX: u64 = 3_600_000;
/// Failures after which a batch is halved.
const TRIES_OF_A_SIZE: u32 = 3;
/// How long a single event may fail at a sink that is there, by default.
pub const GIVE_UP_MS: u64 = 15 * 60_000;
/// The longest text that is kept of what a sink said.
const DETAIL_CHARS_MAX: usize = 500;

/// A sink, and how it is.
pub(super) struct Giver {
    sink: Box<dyn Sink>,
    state: Arc<SinkState>,
    stopping: watch::Receiver<bool>,
    give_up: Duration,
}

/// What became of the first events of a batch.
pub(super) struct Fate {
    /// So many are done with.
    pub(super) done: usize,
    /// The last of them is one.
    pub(super) dead: Option<Dead>,
}

impl Giver {
    pub(super) fn new(
        sink: Box<dyn Sink>,
        state: Arc<SinkState>,
        stopping: watch::Receiver<bool>,
        give_up: Duration,
    ) -> Self {
        Self { sink, state, stopping, give_up }
    }

    /// Sends a notice, for as long as it takes; `None` where it is to stop.
    pub(super) async fn notify(&mut self, notice: &Notice) -> Option<()> {
        let mut tries = 0;
        loop {
            self.goes_on()?;
            let (detail, after) = match answer(async { self.sink.notify(notice).await }).await {
                Ok(()) => {
                    self.well(0);
                    return Some(());
                }
                Err(SinkError::Refused { detail, .. }) => {
                    let title = &notice.title;
                    tracing::error!(sink = %self.state.name(), %title, %detail, "a message was refused");
                    return Some(());
                }
                Err(SinkError::Again { detail, after }) => (detail, after),
            };
            tries += 1;
            self.unwell(&detail);
            self.waits(backoff(tries, after)).await?;
        }
    }

    /// Gives the first events of `events` until the sink has taken or refused some; `None` where it is to stop.
    pub(super) async fn put(&mut self, events: &[Stored]) -> Option<Fate> {
        let mut size = events.len().min(self.sink.batch_max()).max(1);
        let begun = Instant::now();
        let mut tries = 0;
        loop {
            self.goes_on()?;
            let (detail, after) = match answer(async { self.sink.put(&events[..size]).await }).await {
                Ok(()) => {
                    self.well(size);
                    return Some(Fate { done: size, dead: None });
                }
                Err(SinkError::Refused { at, detail }) if at < size => {
                    self.well(at);
                    return Some(self.bury(&events[at], at, detail));
                }
                Err(SinkError::Refused { detail, .. }) => (detail, None),
                Err(SinkError::Again { detail, after }) => (detail, after),
            };
            tries += 1;
            self.unwell(&detail);
            let hopeless = size == 1 && begun.elapsed() >= self.give_up;
            if hopeless && answer(async { self.sink.check().await }).await.is_ok() {
                return Some(self.bury(&events[0], 0, detail));
            }
            if tries % TRIES_OF_A_SIZE == 0 {
                size = (size / 2).max(1);
            }
            self.waits(backoff(tries, after)).await?;
        }
    }

    /// `None` where it is to stop.
    fn goes_on(&self) -> Option<()> {
        // An error means that nobody is left who could ask.
        let stopping = *self.stopping.borrow() || self.stopping.has_changed().is_err();
        (!stopping).then_some(())
    }

    fn bury(&self, stored: &Stored, at: usize, detail: String) -> Fate {
        let detail: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
        tracing::warn!(sink = %self.state.name(), id = ?stored.event.id, %detail, "a dead letter");
        Fate { done: at + 1, dead: Some(Dead { seq: stored.seq, detail }) }
    }

    fn well(&self, taken: usize) {
        let was_failing = self.state.numbers().failing_since_ms.is_some();
        if was_failing {
            tracing::info!(sink = %self.state.name(), "the sink takes events again");
        }
        self.state.change(|state| {
            state.taken += taken as u64;
            state.last_taken_ms = Some(UnixMs::now().0);
            (state.failing_since_ms, state.tries) = (None, 0);
        });
    }

    fn unwell(&self, detail: &str) {
        let detail: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
        let tries = self.state.numbers().tries + 1;
        // Not each of the failures of a night: the first, the second, the fourth …
        if tries.is_power_of_two() {
            tracing::warn!(sink = %self.state.name(), tries, %detail, "the sink does not take events; they wait");
        }
        self.state.change(|state| {
            state.failing_since_ms.get_or_insert(UnixMs::now().0);
            state.tries = tries;
            state.error = Some(detail);
        });
    }

    /// Waits; `None` where it is to stop.
    pub(super) async fn waits(&mut self, time: Duration) -> Option<()> {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = tokio::time::sleep(time) => Some(()),
            // An error means that nobody is left who could ask.
            _ = stopping.wait_for(|stop| *stop) => None,
        }
    }
}

/// What a sink says, whatever it does: a panic and silence are failures like others.
async fn answer<T>(work: impl Future<Output = Result<T, SinkError>>) -> Result<T, SinkError> {
    match tokio::time::timeout(Duration::from_millis(PUT_MS_MAX), AssertUnwindSafe(work).catch_unwind()).await
    {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(SinkError::again("the sink panicked: this is a fault of its own")),
        Err(_) => Err(SinkError::again(format!("the sink did not end within {PUT_MS_MAX} ms"))),
    }
}

fn backoff(tries: u32, asked: Option<Duration>) -> Duration {
    let own = BACKOFF_MS_MIN.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(BACKOFF_MS_MAX);
    let asked = asked.unwrap_or_default().min(Duration::from_millis(ASKED_MS_MAX));
    Duration::from_millis(own).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound_and_heed_what_the_sink_asks_for() {
        let waits: Vec<u128> = (1..=10).map(|tries| backoff(tries, None).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(backoff(u32::MAX, None).as_secs(), 60);
        assert_eq!(backoff(1, Some(Duration::from_secs(90))).as_secs(), 90);
        assert_eq!(backoff(1, Some(Duration::from_secs(90_000))).as_secs(), 3_600);
        assert_eq!(backoff(9, Some(Duration::from_secs(1))).as_secs(), 60);
    }
}
