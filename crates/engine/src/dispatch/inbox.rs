//! The way into a shard: what was committed, what is due again, what was stopped.
//!
//! The store's writer puts a whole group in with one lock and one wake-up. Invariant: it is bounded. A
//! delivery that finds it full is only noted by its webhook, and is read back from disk.
//! Read `shard.rs` next.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;

use crate::key::WebhookNo;
use crate::store::Handed;

/// Deliveries that wait to be taken into lanes.
const HANDED_MAX: usize = 8_192;

/// What waits for a shard.
#[derive(Default)]
pub(super) struct Letters {
    /// Deliveries that were just committed.
    pub(super) handed: Vec<Handed>,
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
    pub(crate) fn hand(&self, deliveries: impl Iterator<Item = Handed>) {
        let mut letters = self.lock();
        for delivery in deliveries {
            if letters.handed.len() < HANDED_MAX {
                letters.handed.push(delivery);
            } else {
                letters.woken.insert(delivery.webhook);
            }
        }
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
        let nothing = letters.handed.is_empty()
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
