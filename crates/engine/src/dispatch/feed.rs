//! How deliveries get into lanes: from the commits that made them, and back from disk when they are due.
//!
//! Read `settle.rs` next.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::shard::{HUNGRY_MAX, Shard};
use crate::key::WebhookNo;
use crate::schedule::lane::{Lane, READY_BYTES_MAX};
use crate::store::{Due, DueQuery, Fresh, StoreError};
use crate::tenant::TenantId;

/// Reads of one shard at once.
const READING_MAX: usize = 8;
/// After a read that failed, the next one waits so long, in milliseconds.
const READ_AGAIN_MS: i64 = 1_000;

impl Shard {
    /// Takes what came in since the last round.
    pub(super) fn take_letters(&mut self) {
        let letters = self.inbox.take();
        self.closing |= letters.closing;
        self.aborted |= letters.aborted;
        self.now = self.parts.clock.now();
        for Fresh { webhook, event, place, form } in letters.committed.fresh {
            self.lane(webhook).offer(event, place, form);
            self.touch(webhook);
        }
        for (webhook, event) in letters.committed.reopened {
            self.lane(webhook).reopen(event);
            self.tend(webhook);
        }
        for (webhook, due) in letters.committed.due {
            match due > self.now {
                true => self.due.note(webhook, due),
                false => self.wake(webhook),
            }
        }
        for webhook in letters.woken {
            self.wake(webhook);
        }
        for (webhook, known) in letters.stopped {
            if self.lanes.contains_key(&webhook) {
                self.tend(webhook);
            } else {
                self.wake(webhook);
            }
            // Nobody waits for it where the call was given up.
            let _gone = known.send(());
        }
    }

    /// A webhook has something due on disk.
    fn wake(&mut self, webhook: WebhookNo) {
        self.lane(webhook).wake();
        self.tend(webhook);
    }

    /// Wakes webhooks whose time has come, as long as reads keep up.
    pub(super) fn wake_due(&mut self) {
        let now = self.now;
        while self.hungry.len() < HUNGRY_MAX
            && let Some(webhook) = self.due.take(now)
        {
            self.wake(webhook);
        }
    }

    fn lane(&mut self, webhook: WebhookNo) -> &mut Lane {
        self.lanes.entry(webhook).or_insert_with(|| {
            self.parts.counters.lanes.add(1);
            match self.parts.registry.by_no(webhook) {
                Some(live) => Lane::new(live.stored.tenant, Arc::clone(&live.room)),
                // A deleted one has only deliveries to cancel: it takes no turns.
                None => Lane::new(TenantId(0), Arc::default()),
            }
        })
    }

    /// Reads back what is due, for lanes that have room.
    pub(super) fn begin_reading(&mut self) {
        let now = self.now;
        while self.reading.len() < READING_MAX
            && let Some(webhook) = self.hungry.pop_front()
        {
            let Some(lane) = self.lanes.get_mut(&webhook) else { continue };
            lane.hungry = false;
            let Some((limit, skip)) = lane.begin_reading(now) else {
                self.tend(webhook);
                continue;
            };
            let query = DueQuery { webhook, now, skip, limit, body_bytes_max: READY_BYTES_MAX };
            let read = self.parts.store.due(query);
            self.reading.push(read.map(move |due| (webhook, due)).boxed());
        }
    }

    /// Takes in what was read back.
    pub(super) fn read_back(&mut self, webhook: WebhookNo, due: Result<Due, StoreError>) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        match due {
            Ok(due) => {
                if let Some(at) = due.next_due {
                    self.due.note(webhook, at);
                }
                lane.end_reading(due);
            }
            Err(error) => {
                tracing::error!(%error, "due deliveries cannot be read back; trying again");
                lane.reading_failed();
                let again = self.now.saturating_add(READ_AGAIN_MS);
                self.due.note(webhook, again);
            }
        }
        self.tend(webhook);
    }
}
