//! The way into a shard: what was committed, what is due again, what was stopped.
//!
//! The store's writer puts a whole group in with one lock and one wake-up. Invariant: it is bounded:
//! fresh deliveries have their room (`schedule/room.rs`), of all others only the webhook is noted.
//! Read `shard.rs` next.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;

use crate::key::WebhookNo;
use crate::store::Committed;

/// Deliveries that were made due by hand and are remembered one by one.
const REOPENED_MAX: usize = 8_192;

/// What waits for a shard.
#[derive(Default)]
pub(super) struct Letters {
    /// What was just committed.
    pub(super) committed: Committed,
    /// Webhooks that have something due on disk.
    pub(super) woken: HashSet<WebhookNo>,
    /// Webhooks that were stopped, and who waits for that to be known here.
    pub(super) stopped: Vec<(WebhookNo, oneshot::Sender<()>)>,
    /// Start nothing more; end when what runs is settled.
    pub(super) closing: bool,
    /// End now.
    pub(super) aborted: bool,
}

/// A shard's inbox.
#[derive(Default)]
pub(crate) struct Inbox {
    letters: Mutex<Letters>,
    waker: AtomicWaker,
}

impl Inbox {
    /// Puts in what was committed.
    pub(crate) fn hand(&self, committed: Committed) {
        let mut letters = self.lock();
        let waiting = &mut letters.committed;
        if waiting.fresh.is_empty() {
            waiting.fresh = committed.fresh;
        } else {
            waiting.fresh.extend(committed.fresh);
        }
        for (webhook, due) in committed.due {
            let first = waiting.due.entry(webhook).or_insert(due);
            *first = due.min(*first);
        }
        let room = REOPENED_MAX.saturating_sub(waiting.reopened.len());
        waiting.reopened.extend(committed.reopened.into_iter().take(room));
        drop(letters);
        self.waker.wake();
    }

    /// Says that a webhook has something due on disk.
    pub(crate) fn wake(&self, webhook: WebhookNo) {
        self.lock().woken.insert(webhook);
        self.waker.wake();
    }

    /// Says that a webhook was stopped. The answer comes when no attempt of it will start any more;
    /// never, where the shard has ended.
    pub(crate) fn stop(&self, webhook: WebhookNo) -> oneshot::Receiver<()> {
        let (known, answer) = oneshot::channel();
        self.lock().stopped.push((webhook, known));
        self.waker.wake();
        answer
    }

    /// Asks the shard to end when what runs is settled.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.waker.wake();
    }

    /// Asks the shard to end now.
    pub(crate) fn abort(&self) {
        let mut letters = self.lock();
        letters.closing = true;
        letters.aborted = true;
        drop(letters);
        self.waker.wake();
    }

    /// Takes everything out. `closing` and `aborted` stay as they are.
    pub(super) fn take(&self) -> Letters {
        let mut letters = self.lock();
        let (closing, aborted) = (letters.closing, letters.aborted);
        std::mem::replace(&mut *letters, Letters { closing, aborted, ..Letters::default() })
    }

    /// Ready when there is something to take. `closing` was seen before where `known_closing` is set.
    pub(super) fn poll_letters(&self, context: &Context<'_>, known_closing: bool) -> Poll<()> {
        self.waker.register(context.waker());
        let letters = self.lock();
        let Committed { fresh, due, reopened } = &letters.committed;
        let nothing = fresh.is_empty()
            && due.is_empty()
            && reopened.is_empty()
            && letters.woken.is_empty()
            && letters.stopped.is_empty()
            && letters.closing == known_closing
            && !letters.aborted;
        if nothing { Poll::Pending } else { Poll::Ready(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
