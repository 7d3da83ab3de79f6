//! What waits for the writer, in which order, and how long the writer waits for more.
//!
//! A commit costs the same whether it holds one write or a hundred, so that under load the writer takes its time until
//! a group is worth its commit; alone, a write is never held up. Tenants take turns: one that posts thousands of events
//! holds up another's single one by a group at most. Invariants: the queue is bounded in writes, bytes and time, and no
//! tenant can take more than half of what is left of it; beyond that an event is refused at once, so that what was
//! accepted before is not held up; results of attempts are never refused, and go first; the calls of a tenant whose
//! deliveries crowd the memory are held back for a moment, which is bounded. Read `queue/state.rs` next.

mod state;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::state::{GROUP_GOOD, State};
use super::writer::Write;
use crate::tenant::TenantId;

/// Who waits for a write, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A caller. It can be refused.
    Call {
        /// For whom; `None` where it is for no single tenant.
        tenant: Option<TenantId>,
        /// Rows that it writes, roughly.
        rows: usize,
        /// Bytes of events.
        bytes: usize,
    },
    /// A shard, with what has happened already: so many rows.
    Result {
        /// Rows that it writes, roughly.
        rows: usize,
    },
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
        state.push(waiting)?;
        // The first call ends the patience that results have.
        let due = state.lingering && (state.calls_ready() == 1 || state.rows_ready() >= GROUP_GOOD);
        let wake = state.idle || due;
        drop(state);
        if wake {
            self.came.notify_one();
        }
        Ok(())
    }

    /// The next group, into `group`; `None` where the queue is closed and empty. `last` is the size of the group before in
    /// rows, `now` the clock, `crowded` says whose calls had better wait. Answers with the size of this one, and since when
    /// its oldest write has waited.
    pub(super) fn take(
        &self,
        group: &mut Vec<Waiting>,
        last: usize,
        now: impl Fn() -> Duration,
        crowded: impl Fn(TenantId) -> bool,
    ) -> Option<(usize, Option<Duration>)> {
        let mut state = self.lock();
        state.committing_since = None;
        loop {
            while state.is_empty() {
                if state.closed {
                    return None;
                }
                state.idle = true;
                state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle = false;
            }
            let now = now();
            state.hold_back(now, &crowded);
            let linger = state.linger(last, now);
            if linger.is_zero() {
                break;
            }
            state.lingering = true;
            state = self.came.wait_timeout(state, linger).unwrap_or_else(PoisonError::into_inner).0;
            state.lingering = false;
        }
        let rows = state.pop_results(group) + state.pop_calls(group);
        state.rows -= rows;
        state.committing_since = group.iter().map(|waiting| waiting.since).min();
        Some((rows, state.committing_since))
    }

    /// What is being brought to the disk has waited since then; `None` where nothing is.
    pub(super) fn syncing(&self, since: Option<Duration>) {
        self.lock().syncing_since = since;
    }

    /// How long the oldest write that is not answered has waited.
    pub(super) fn waited(&self, now: Duration) -> Duration {
        self.lock().oldest().map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
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

#[cfg(test)]
mod tests;
