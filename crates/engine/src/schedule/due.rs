//! When each webhook next has something due.
//!
//! One entry for a webhook, however many of its deliveries wait: the earliest time at which the store
//! must be asked. The deliveries themselves stay on disk. Read `dispatch/shard.rs` next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use vai_webhooks_wire::UnixMs;

use crate::key::{ByNumber, WebhookNo};

/// Times at which webhooks must be looked at.
#[derive(Debug, Default)]
pub(crate) struct DueTimes {
    /// The valid entry of each webhook.
    times: ByNumber<WebhookNo, UnixMs>,
    /// All entries; those that are not in `times` are stale and skipped.
    heap: BinaryHeap<Reverse<(UnixMs, WebhookNo)>>,
}

impl DueTimes {
    /// Notes that `webhook` has something due at `at`. An earlier time that is noted stays.
    pub(crate) fn note(&mut self, webhook: WebhookNo, at: UnixMs) {
        if self.times.get(&webhook).is_some_and(|known| *known <= at) {
            return;
        }
        self.times.insert(webhook, at);
        self.heap.push(Reverse((at, webhook)));
        // Stale entries are swept before they outnumber the valid ones.
        if self.heap.len() > 2 * self.times.len() + 64 {
            self.heap = self.times.iter().map(|(&webhook, &at)| Reverse((at, webhook))).collect();
        }
    }

    /// The earliest time of all.
    pub(crate) fn first(&mut self) -> Option<UnixMs> {
        while let Some(&Reverse((at, webhook))) = self.heap.peek() {
            if self.times.get(&webhook) == Some(&at) {
                return Some(at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes a webhook whose time has come.
    pub(crate) fn take(&mut self, now: UnixMs) -> Option<WebhookNo> {
        if self.first()? > now {
            return None;
        }
        let Reverse((_, webhook)) = self.heap.pop()?;
        self.times.remove(&webhook);
        Some(webhook)
    }

    /// Forgets a webhook.
    pub(crate) fn forget(&mut self, webhook: WebhookNo) {
        self.times.remove(&webhook);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_come_in_the_order_of_their_times_and_not_before() {
        let mut due = DueTimes::default();
        for (webhook, at) in [(1, 30), (2, 10), (3, 20), (1, 5), (2, 40)] {
            due.note(WebhookNo(webhook), UnixMs(at));
        }
        assert_eq!(due.first(), Some(UnixMs(5)));
        let mut taken = Vec::new();
        while let Some(webhook) = due.take(UnixMs(20)) {
            taken.push(webhook.0);
        }
        assert_eq!(taken, [1, 2, 3]);
        assert_eq!(due.first(), None);
    }

    #[test]
    fn it_grows_with_webhooks_and_not_with_what_they_wait_for() {
        let mut due = DueTimes::default();
        for at in (0..100_000).rev() {
            due.note(WebhookNo(1), UnixMs(at));
        }
        assert!(due.heap.len() < 100, "{}", due.heap.len());
    }
}
