//! What waits for the writer, in which order, and how long the writer waits for more.
//!
//! A commit costs the same whether it holds one write or a hundred, so that under load the writer takes its time until
//! a group is worth its commit; alone, a write is never held up. Tenants take turns: one that posts thousands of events
//! holds up another's single one by a group at most. Invariants: the queue is bounded in writes, bytes and time, and no
//! tenant can take more than half of what is left of it; beyond that an event is refused at once, so that what was
//! accepted before is not held up; results of attempts are never refused, and go first. Read `writer.rs` next.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::writer::Write;
use crate::key::ByNumber;
use crate::schedule::fair::Fair;
use crate::tenant::TenantId;

/// Calls that may wait for the writer.
const CALLS_MAX: usize = 8_192;
/// Bytes of events that may wait for the writer.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a tenant's oldest call may have waited when it makes another one.
const WAIT_MAX: Duration = Duration::from_millis(1_000);
/// Rows of results, and of calls, in one group, roughly: the write that crosses it is taken.
const GROUP_ROWS_MAX: usize = 1_024;
/// The rows that a tenant's turn is worth.
const TURN_ROWS: i64 = 64;
/// How many rows make a group worth its commit.
const GROUP_GOOD: usize = 64;
/// After a group of at least so many, more are waited for.
const GROUP_CROWDED: usize = 8;
/// How long a call is held up at most, to share its commit.
const LINGER: Duration = Duration::from_micros(700);
/// The same for what nobody waits for: results of attempts.
const LINGER_RESULTS: Duration = Duration::from_millis(2);

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

/// The calls of one tenant.
#[derive(Default)]
struct Calls {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

struct State {
    results: VecDeque<Waiting>,
    calls: ByNumber<Option<TenantId>, Calls>,
    turn: Fair<Option<TenantId>>,
    /// Of all calls that wait.
    calls_len: usize,
    bytes: usize,
    /// Of everything that waits.
    rows: usize,
    /// Since when the oldest write in the group that is being committed has waited.
    committing_since: Option<Duration>,
    /// The same for what is committed and not on disk yet.
    syncing_since: Option<Duration>,
    closed: bool,
    /// Whether the writer sleeps until anything comes.
    idle: bool,
    /// Whether it waits for the group to grow.
    lingering: bool,
}

/// The queue.
pub(super) struct Queue {
    state: Mutex<State>,
    came: Condvar,
}

impl Default for Queue {
    fn default() -> Self {
        let state = State {
            results: VecDeque::new(),
            calls: ByNumber::default(),
            turn: Fair::new(TURN_ROWS),
            calls_len: 0,
            bytes: 0,
            rows: 0,
            committing_since: None,
            syncing_since: None,
            closed: false,
            idle: false,
            lingering: false,
        };
        Self { state: Mutex::new(state), came: Condvar::new() }
    }
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
        let due = state.lingering && (state.calls_len == 1 || state.rows >= GROUP_GOOD);
        let wake = state.idle || due;
        drop(state);
        if wake {
            self.came.notify_one();
        }
        Ok(())
    }

    /// The next group, into `group`; `false` where the queue is closed and empty. `last` is the size of
    /// the group before in rows, `now` the clock. Answers with the size of this one, and since when its oldest write has
    /// waited.
    pub(super) fn take(
        &self,
        group: &mut Vec<Waiting>,
        last: usize,
        now: impl Fn() -> Duration,
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
            let linger = state.linger(last, now());
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

impl State {
    fn push(&mut self, waiting: Waiting) -> Result<(), NotTaken> {
        match waiting.kind {
            Kind::Result { rows } => {
                self.rows += rows;
                self.results.push_back(waiting);
            }
            Kind::Call { tenant, rows, bytes } => {
                if self.refuses(tenant, bytes, waiting.since) {
                    return Err(NotTaken::Full);
                }
                self.rows += rows;
                self.bytes += bytes;
                self.calls_len += 1;
                let calls = self.calls.entry(tenant).or_default();
                calls.bytes += bytes;
                if calls.waiting.is_empty() {
                    self.turn.activate(tenant, 1);
                }
                calls.waiting.push_back(waiting);
            }
        }
        Ok(())
    }

    fn pop_results(&mut self, group: &mut Vec<Waiting>) -> usize {
        let mut all = 0;
        while all < GROUP_ROWS_MAX
            && let Some(waiting) = self.results.pop_front()
        {
            if let Kind::Result { rows } = waiting.kind {
                all += rows;
            }
            group.push(waiting);
        }
        all
    }

    fn pop_calls(&mut self, group: &mut Vec<Waiting>) -> usize {
        let mut all = 0;
        while all < GROUP_ROWS_MAX
            && let Some(tenant) = self.turn.next()
        {
            let Some(calls) = self.calls.get_mut(&tenant) else {
                self.turn.forget(tenant);
                continue;
            };
            if let Some(waiting) = calls.waiting.pop_front() {
                if let Kind::Call { rows, bytes, .. } = waiting.kind {
                    all += rows;
                    calls.bytes -= bytes;
                    self.bytes -= bytes;
                    self.calls_len -= 1;
                    self.turn.charge(tenant, i64::try_from(rows).unwrap_or(i64::MAX).max(1));
                }
                group.push(waiting);
            }
            if calls.waiting.is_empty() {
                self.calls.remove(&tenant);
                self.turn.forget(tenant);
            }
        }
        all
    }

    fn is_empty(&self) -> bool {
        self.results.is_empty() && self.calls.is_empty()
    }

    fn oldest(&self) -> Option<Duration> {
        let calls = self.calls.values().filter_map(|calls| calls.waiting.front());
        let waiting = calls.chain(self.results.front()).map(|waiting| waiting.since);
        waiting.chain(self.written_since()).min()
    }

    /// Since when the oldest of what was taken and is not on disk has waited.
    fn written_since(&self) -> Option<Duration> {
        self.committing_since.into_iter().chain(self.syncing_since).min()
    }

    fn refuses(&self, tenant: Option<TenantId>, bytes: usize, now: Duration) -> bool {
        let own = self.calls.get(&tenant);
        let (own_len, own_bytes) = own.map_or((0, 0), |calls| (calls.waiting.len(), calls.bytes));
        let since = own.and_then(|calls| calls.waiting.front()).map(|front| front.since);
        let waited = since.or(self.written_since()).map_or(Duration::ZERO, |since| now.saturating_sub(since));
        // An event that is over the limit alone has its place where nothing else waits.
        let no_bytes = self.bytes > 0 && own_bytes + bytes > BYTES_MAX.saturating_sub(self.bytes);
        no_bytes || own_len >= CALLS_MAX.saturating_sub(self.calls_len) || waited > WAIT_MAX
    }

    /// How long to wait for more before this group is written.
    fn linger(&self, last: usize, now: Duration) -> Duration {
        if self.closed || self.rows >= GROUP_GOOD {
            return Duration::ZERO;
        }
        let patience = match (self.calls_len, last) {
            (0, _) => LINGER_RESULTS,
            (_, last) if last >= GROUP_CROWDED => LINGER,
            _ => Duration::ZERO,
        };
        (self.oldest().unwrap_or(now) + patience).saturating_sub(now)
    }
}

#[cfg(test)]
mod tests;
