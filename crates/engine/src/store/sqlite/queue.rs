//! What waits for the writer, and how long the writer waits for more.
//!
//! A commit costs the same whether it holds one write or a hundred, so that under load the writer takes
//! its time until a group is worth its commit; alone, a write is never held up. Invariants: the queue is
//! bounded in writes, bytes and time: beyond that an event is refused at once, so that what was accepted
//! before is not held up; results of attempts are never refused. Read `writer.rs` next.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::writer::Write;

/// Writes that may wait for the writer.
const WRITES_MAX: usize = 8_192;
/// Bytes of events that may wait for the writer.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long the oldest write may have waited when another one comes.
const WAIT_MAX: Duration = Duration::from_millis(1_000);
/// The most writes in one commit.
const GROUP_MAX: usize = 2_048;
/// How many writes make a group worth its commit.
const GROUP_GOOD: usize = 64;
/// After a group of at least so many, more are waited for.
const GROUP_CROWDED: usize = 8;
/// How long a write that somebody waits for is held up at most, to share its commit.
const LINGER: Duration = Duration::from_micros(700);
/// The same for what nobody waits for: results of attempts.
const LINGER_RESULTS: Duration = Duration::from_millis(2);

/// Who waits for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A caller, with so many bytes of events. It can be refused.
    Call {
        /// Bytes of events.
        bytes: usize,
    },
    /// A shard, with what has happened already.
    Result,
}

/// One write that waits.
pub(super) struct Waiting {
    pub(super) write: Box<dyn Write>,
    pub(super) kind: Kind,
    /// When it came, by the clock's elapsed time.
    pub(super) since: Duration,
}

/// Why a write was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// Too much waits.
    Full,
    /// Nothing is written any more.
    Closed,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    bytes: usize,
    calls: usize,
    /// Since when the oldest write in the group that is being committed has waited.
    committing_since: Option<Duration>,
    closed: bool,
    /// Whether the writer sleeps until anything comes.
    idle: bool,
    /// Whether it waits for the group to grow.
    lingering: bool,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    came: Condvar,
}

impl Queue {
    /// Puts in a write; gives it back to nobody where it is not taken.
    pub(super) fn push(&self, waiting: Waiting) -> Result<(), NotTaken> {
        let mut state = self.lock();
        if state.closed {
            return Err(NotTaken::Closed);
        }
        if let Kind::Call { bytes } = waiting.kind {
            if state.refuses(bytes, waiting.since) {
                return Err(NotTaken::Full);
            }
            state.bytes += bytes;
            state.calls += 1;
        }
        state.waiting.push(waiting);
        // The first call ends the patience that results have.
        let due = state.lingering && (state.calls == 1 || state.waiting.len() >= GROUP_GOOD);
        let wake = state.idle || due;
        drop(state);
        if wake {
            self.came.notify_one();
        }
        Ok(())
    }

    /// The next group, into `group`; `false` where the queue is closed and empty. `last` is the size of
    /// the group before, `now` the clock.
    pub(super) fn take(&self, group: &mut Vec<Waiting>, last: usize, now: impl Fn() -> Duration) -> bool {
        let mut state = self.lock();
        state.committing_since = None;
        loop {
            while state.waiting.is_empty() {
                if state.closed {
                    return false;
                }
                state.idle = true;
                state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle = false;
            }
            let linger = state.linger(last, now());
            if linger.is_zero() {
                break;
            }
            state.lingering = true;
            state = self.came.wait_timeout(state, linger).unwrap_or_else(PoisonError::into_inner).0;
            state.lingering = false;
        }
        let count = state.waiting.len().min(GROUP_MAX);
        group.extend(state.waiting.drain(..count));
        for waiting in group.iter() {
            if let Kind::Call { bytes } = waiting.kind {
                state.bytes -= bytes;
                state.calls -= 1;
            }
        }
        state.committing_since = group.first().map(|first| first.since);
        true
    }

    /// How long the oldest write that is not answered has waited.
    pub(super) fn waited(&self, now: Duration) -> Duration {
        self.lock().oldest().map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn oldest(&self) -> Option<Duration> {
        self.committing_since.or_else(|| self.waiting.first().map(|first| first.since))
    }

    fn refuses(&self, bytes: usize, now: Duration) -> bool {
        let waited = self.oldest().map_or(Duration::ZERO, |since| now.saturating_sub(since));
        // An event that is over the limit alone has its place where nothing else waits.
        let no_room = self.bytes > 0 && self.bytes + bytes > BYTES_MAX;
        no_room || self.calls >= WRITES_MAX || waited > WAIT_MAX
    }

    /// How long to wait for more before this group is written.
    fn linger(&self, last: usize, now: Duration) -> Duration {
        if self.closed || self.waiting.len() >= GROUP_GOOD {
            return Duration::ZERO;
        }
        let patience = match (self.calls, last) {
            (0, _) => LINGER_RESULTS,
            (_, last) if last >= GROUP_CROWDED => LINGER,
            _ => Duration::ZERO,
        };
        let since = self.waiting.first().map_or(now, |first| first.since);
        (since + patience).saturating_sub(now)
    }
}
