//! What a connection is doing: requests in progress, and since when there is none.
//!
//! It exists because HTTP libraries time parts of an exchange, and a connection that has sent nothing
//! at all, or half of HTTP/2's greeting, is in none of these parts. Invariant: a connection is idle
//! exactly while no request whose head has arrived is without its answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shared by a connection's task and its requests.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    in_progress: usize,
    idle_since: Instant,
}

/// One request in progress; it ends where this is dropped.
#[derive(Debug)]
pub(super) struct InProgress(Activity);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { in_progress: 0, idle_since: Instant::now() })))
    }

    /// Begins a request.
    pub(super) fn begin(&self) -> InProgress {
        self.state().in_progress += 1;
        InProgress(self.clone())
    }

    /// How long the connection has been idle; `None` while it is not.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let state = self.state();
        (state.in_progress == 0).then(|| state.idle_since.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_progress -= 1;
        state.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_begins_when_the_last_request_has_its_answer() {
        let activity = Activity::new();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(activity.idle_for(), Some(Duration::from_secs(3)));
        let (first, second) = (activity.begin(), activity.begin());
        assert_eq!(activity.idle_for(), None);
        drop(first);
        assert_eq!(activity.idle_for(), None);
        drop(second);
        assert_eq!(activity.idle_for(), Some(Duration::ZERO));
    }
}
