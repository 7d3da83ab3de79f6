//! Getting commits to the disk, beside the writer.
//!
//! A sync takes as long as many transactions do, and in it the writer would only wait: here a thread of its own waits,
//! while the writer goes on with the next group. One sync is for all commits before it. Why it is as good as SQLite's own
//! (`synchronous=FULL`): `docs/adr/0002-store.md`. Invariants: nothing of a group is told or answered before a sync that
//! began after its commit; groups are told and answered in the order of their commits; after a failed sync everything is
//! answered with the failure. Read `group.rs` next.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::group::Group;
use super::queue::Queue;
use super::writer::Write;
use crate::catalog::CatalogChange;
use crate::key::WebhookNo;
use crate::store::{Committed, Hooks, StoreError, StoredWebhook};
use crate::thread::Home;

/// Groups that may wait for the next sync.
const WAITING_MAX: usize = 2;

/// A group that is committed, and what is to be told and answered when it is on disk.
pub(super) struct Unsynced {
    webhooks: Vec<StoredWebhook>,
    catalog: Vec<CatalogChange>,
    pending: Vec<(WebhookNo, i64)>,
    committed: Committed,
    written: Vec<Box<dyn Write>>,
    /// Since when the oldest of its writes has waited.
    since: Option<Duration>,
}

impl Unsynced {
    /// What a group has gathered for after its commit.
    pub(super) fn of(group: &mut Group<'_>, since: Option<Duration>, written: Vec<Box<dyn Write>>) -> Self {
        let pending = group.ledger.take().map(|(webhook, delta)| (webhook, delta.pending));
        Self {
            pending: pending.filter(|(_, more)| *more != 0).collect(),
            webhooks: std::mem::take(&mut group.webhooks),
            catalog: std::mem::take(&mut group.catalog),
            committed: std::mem::take(&mut group.committed),
            written,
            since,
        }
    }

    fn finish(self, hooks: &dyn Hooks, result: &Result<(), StoreError>) {
        if result.is_ok() {
            self.webhooks.into_iter().for_each(|webhook| hooks.webhook_changed(webhook));
            self.catalog.into_iter().for_each(|change| hooks.catalog_changed(change));
            self.pending.into_iter().for_each(|(webhook, more)| hooks.pending_changed(webhook, more));
            let Committed { fresh, due, reopened } = &self.committed;
            if !fresh.is_empty() || !due.is_empty() || !reopened.is_empty() {
                hooks.committed(self.committed);
            }
        }
        answer(self.written, result);
    }
}

/// Answers those on the engine's threads there, all of one thread with one wake-up.
fn answer(written: Vec<Box<dyn Write>>, result: &Result<(), StoreError>) {
    let mut at_home: Vec<(Home, Vec<Box<dyn Write>>)> = Vec::new();
    for write in written {
        match write.home() {
            None => write.answer(result.clone()),
            Some(home) => match at_home.iter_mut().find(|(other, _)| other == home) {
                Some((_, writes)) => writes.push(write),
                None => at_home.push((home.clone(), vec![write])),
            },
        }
    }
    for (home, writes) in at_home {
        let result = result.clone();
        home.run(move || writes.into_iter().for_each(|write| write.answer(result.clone())));
    }
}

#[derive(Default)]
struct State {
    waiting: Vec<Unsynced>,
    /// Whether a sync is under way.
    syncing: bool,
    closed: bool,
    failed: Option<StoreError>,
}

/// What the writer and the thread share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// SQLite's write-ahead log.
    log: Log,
    /// Is told since when what is being synced has waited.
    queue: Arc<Queue>,
    hooks: Arc<dyn Hooks>,
}

/// The way to the thread, which ends with it.
pub(super) struct Sync {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sync {
    /// For the store in this file.
    pub(super) fn start(store: &Path, queue: Arc<Queue>, hooks: Arc<dyn Hooks>) -> std::io::Result<Self> {
        Self::over(Log::of(store)?, queue, hooks)
    }

    fn over(log: Log, queue: Arc<Queue>, hooks: Arc<dyn Hooks>) -> std::io::Result<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { state, changed, log, queue, hooks });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("vai-store-sync".to_owned())
            .spawn(move || while of_thread.sync_waiting() {})?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Hands a group over, or makes the sync itself where nothing else is to be done meanwhile. Waits where too many wait
    /// already.
    pub(super) fn push(&self, group: Unsynced, alone: bool) -> Result<(), StoreError> {
        let Shared { changed, .. } = &*self.shared;
        let mut state = self.shared.lock();
        while state.waiting.len() >= WAITING_MAX {
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.push(group);
        let idle = state.waiting.len() == 1 && !state.syncing;
        drop(state);
        if alone && idle {
            self.shared.sync_now();
        } else {
            changed.notify_all();
        }
        self.failed()
    }

    /// Waits until everything that was handed over is on disk.
    pub(super) fn drain(&self) -> Result<(), StoreError> {
        let mut state = self.shared.lock();
        while !state.waiting.is_empty() || state.syncing {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.failed()
    }

    fn failed(&self) -> Result<(), StoreError> {
        self.shared.lock().failed.clone().map_or(Ok(()), Err)
    }
}

impl Drop for Sync {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Shared {
    /// Waits for groups and syncs them; `false` when there will be none any more.
    fn sync_waiting(&self) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() || state.syncing {
            if state.closed && state.waiting.is_empty() {
                return false;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.sync_now();
        true
    }

    /// One sync for all that wait, unless somebody is at it.
    fn sync_now(&self) {
        let mut state = self.lock();
        if state.syncing {
            return;
        }
        state.syncing = true;
        let groups = std::mem::take(&mut state.waiting);
        let failed = state.failed.clone();
        drop(state);
        // There is room for the next ones.
        self.changed.notify_all();
        self.queue.syncing(groups.iter().filter_map(|group| group.since).min());
        let result = match failed {
            Some(error) => Err(error),
            None => self.log.sync().map_err(|error| self.fail(&error)),
        };
        for group in groups {
            group.finish(&*self.hooks, &result);
        }
        self.queue.syncing(None);
        self.lock().syncing = false;
        self.changed.notify_all();
    }

    /// What the disk holds is unknown from here on. Noted before anybody is answered.
    fn fail(&self, error: &std::io::Error) -> StoreError {
        let error = StoreError::Failed(format!("the log cannot be synced: {error}"));
        self.lock().failed = Some(error.clone());
        self.hooks.failed(&error);
        error
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SQLite's write-ahead log. It is the same file as long as any connection is open.
struct Log(File);

impl Log {
    fn of(store: &Path) -> std::io::Result<Self> {
        let mut path = PathBuf::from(store).into_os_string();
        path.push("-wal");
        File::open(path).map(Self)
    }

    fn sync(&self) -> std::io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests;
