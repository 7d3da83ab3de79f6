//! What waits in the queue: in which order it goes, what is refused, what is held back.
//!
//! It exists apart from the lock and the waiting, which are in `../queue.rs`. Read `../writer.rs` next.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Kind, NotTaken, Waiting};
use crate::key::ByNumber;
use crate::schedule::fair::Fair;
use crate::tenant::TenantId;

/// Calls that may wait for the writer.
pub(super) const CALLS_MAX: usize = 8_192;
/// Bytes of events that may wait for the writer.
pub(super) const BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a tenant's oldest call may have waited when it makes another one.
pub(super) const WAIT_MAX: Duration = Duration::from_millis(1_000);
/// Rows of results, and of calls, in one group, roughly: the write that crosses it is taken.
pub(super) const GROUP_ROWS_MAX: usize = 1_024;
/// The rows that a tenant's turn is worth.
pub(super) const TURN_ROWS: i64 = 64;
/// How many rows make a group worth its commit.
pub(super) const GROUP_GOOD: usize = 64;
/// After a group of at least so many, more are waited for.
const GROUP_CROWDED: usize = 8;
/// How long a call is held up at most, to share its commit.
const LINGER: Duration = Duration::from_micros(700);
/// The same for what nobody waits for: results of attempts.
const LINGER_RESULTS: Duration = Duration::from_millis(2);

/// How long a call of a crowded tenant is held back at most, and how much longer for each of its rows.
pub(super) const HELD_MAX: Duration = Duration::from_millis(20);
pub(super) const HELD_MAX_FOR_ROW: Duration = Duration::from_millis(3);
/// No call is held back for longer.
pub(super) const HELD_MAX_IN_ALL: Duration = Duration::from_millis(250);
/// While there is nothing but calls that are held back, so often it is seen whether they still are.
const HELD_LOOK: Duration = Duration::from_millis(1);

/// The calls of one tenant.
#[derive(Default)]
pub(super) struct Calls {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    rows: usize,
    /// Whether they were held back when the writer looked.
    held: bool,
}

/// What is held back, of all that waits.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) calls: usize,
    pub(super) rows: usize,
}

/// All that waits.
pub(super) struct State {
    pub(super) results: VecDeque<Waiting>,
    pub(super) calls: ByNumber<Option<TenantId>, Calls>,
    pub(super) turn: Fair<Option<TenantId>>,
    /// Of all calls that wait.
    pub(super) calls_len: usize,
    pub(super) bytes: usize,
    /// Of everything that waits.
    pub(super) rows: usize,
    /// As the writer has seen it when it looked.
    pub(super) held: Held,
    /// Since when the oldest write in the group that is being committed has waited.
    pub(super) committing_since: Option<Duration>,
    /// The same for what is committed and not on disk yet.
    pub(super) syncing_since: Option<Duration>,
    pub(super) closed: bool,
    /// Whether the writer sleeps until anything comes.
    pub(super) idle: bool,
    /// Whether it waits for the group to grow.
    pub(super) lingering: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            results: VecDeque::new(),
            calls: ByNumber::default(),
            turn: Fair::new(TURN_ROWS),
            calls_len: 0,
            bytes: 0,
            rows: 0,
            held: Held::default(),
            committing_since: None,
            syncing_since: None,
            closed: false,
            idle: false,
            lingering: false,
        }
    }
}

impl State {
    pub(super) fn push(&mut self, waiting: Waiting) -> Result<(), NotTaken> {
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
                calls.rows += rows;
                if calls.held {
                    self.held.calls += 1;
                    self.held.rows += rows;
                }
                if calls.waiting.is_empty() {
                    self.turn.activate(tenant, 1);
                }
                calls.waiting.push_back(waiting);
            }
        }
        Ok(())
    }

    pub(super) fn pop_results(&mut self, group: &mut Vec<Waiting>) -> usize {
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

    pub(super) fn pop_calls(&mut self, group: &mut Vec<Waiting>) -> usize {
        let mut all = 0;
        let mut held = Vec::new();
        while all < GROUP_ROWS_MAX
            && let Some(tenant) = self.turn.next()
        {
            let Some(calls) = self.calls.get_mut(&tenant) else {
                self.turn.forget(tenant);
                continue;
            };
            if calls.held {
                self.turn.forget(tenant);
                held.push(tenant);
                continue;
            }
            if let Some(waiting) = calls.waiting.pop_front() {
                if let Kind::Call { rows, bytes, .. } = waiting.kind {
                    all += rows;
                    calls.bytes -= bytes;
                    calls.rows -= rows;
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
        held.into_iter().for_each(|tenant| self.turn.activate(tenant, 1));
        all
    }

    /// Sees whose calls are to be held back.
    pub(super) fn hold_back(&mut self, now: Duration, crowded: &impl Fn(TenantId) -> bool) {
        self.held = Held::default();
        let closed = self.closed;
        for (tenant, calls) in &mut self.calls {
            let waits = |front: &Waiting| now.saturating_sub(front.since) < held_max(front.kind);
            calls.held = !closed && calls.waiting.front().is_some_and(waits) && tenant.is_some_and(crowded);
            if calls.held {
                self.held.calls += calls.waiting.len();
                self.held.rows += calls.rows;
            }
        }
    }

    /// Calls that are not held back.
    pub(super) fn calls_ready(&self) -> usize {
        self.calls_len - self.held.calls
    }

    /// Rows that are not held back.
    pub(super) fn rows_ready(&self) -> usize {
        self.rows - self.held.rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.results.is_empty() && self.calls.is_empty()
    }

    pub(super) fn oldest(&self) -> Option<Duration> {
        let calls = self.calls.values().filter_map(|calls| calls.waiting.front());
        let waiting = calls.chain(self.results.front()).map(|waiting| waiting.since);
        waiting.chain(self.written_since()).min()
    }

    /// Since when the oldest of what is not held back has waited.
    fn oldest_ready(&self) -> Option<Duration> {
        let calls = self.calls.values().filter(|calls| !calls.held).filter_map(|calls| calls.waiting.front());
        calls.chain(self.results.front()).map(|waiting| waiting.since).min()
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
    pub(super) fn linger(&self, last: usize, now: Duration) -> Duration {
        if self.closed || self.rows_ready() >= GROUP_GOOD {
            return Duration::ZERO;
        }
        let patience = match (self.calls_ready(), last) {
            (0, _) if self.results.is_empty() => return HELD_LOOK,
            (0, _) => LINGER_RESULTS,
            (_, last) if last >= GROUP_CROWDED => LINGER,
            _ => Duration::ZERO,
        };
        (self.oldest_ready().unwrap_or(now) + patience).saturating_sub(now)
    }
}

/// How long a write is held back at most.
pub(super) fn held_max(kind: Kind) -> Duration {
    let rows = match kind {
        Kind::Call { rows, .. } | Kind::Result { rows } => u32::try_from(rows).unwrap_or(u32::MAX),
    };
    (HELD_MAX + HELD_MAX_FOR_ROW.saturating_mul(rows)).min(HELD_MAX_IN_ALL)
}
