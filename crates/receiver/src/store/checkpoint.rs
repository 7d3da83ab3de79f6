//! Folding the write-ahead log into the file, beside the writer.
//!
//! SQLite does it inside a commit, which then takes as long as some thousand pages need to get to the disk, and with it
//! everybody who waits for that commit. Here a thread copies them while commits go on, so that little is left for the
//! writer. Invariant: the log stays bounded, since the writer still does it at [`LOG_PAGES_MAX`], whatever became of the
//! thread. Read `totals.rs` next.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

/// At so many pages, the writer folds what the thread has left: 32 MiB.
const LOG_PAGES_MAX: i32 = 8_192;
/// So many events are worth the thread's while.
const EVENTS_GOOD: usize = 2_048;

/// The thread, and what was written since it was asked last.
pub(super) struct Checkpoints {
    thread: Option<(SyncSender<()>, JoinHandle<()>)>,
    events: usize,
}

impl Checkpoints {
    /// Starts the thread for the database that `writer` writes to.
    pub(super) fn start(writer: &Connection, file: &Path, lock_wait: Duration) -> rusqlite::Result<Self> {
        writer.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX)?;
        let connection = Connection::open(file)?;
        connection.busy_timeout(lock_wait)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // One request at most: a second one would find nothing to do.
        let (ask, asked) = sync_channel(1);
        let run = move || {
            while asked.recv().is_ok() {
                let folded: rusqlite::Result<()> =
                    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                if let Err(error) = folded {
                    tracing::warn!(%error, "the log could not be folded beside the writer; the writer does it");
                }
            }
        };
        // Without it, the writer does it all.
        let thread = std::thread::Builder::new().name("receiver-checkpoint".into()).spawn(run).ok();
        Ok(Self { thread: thread.map(|thread| (ask, thread)), events: 0 })
    }

    /// So many events were committed.
    pub(super) fn committed(&mut self, events: usize) {
        self.events += events;
        if self.events >= EVENTS_GOOD
            && let Some((ask, _)) = &self.thread
            && ask.try_send(()).is_ok()
        {
            self.events = 0;
        }
    }

    /// Ends the thread, and waits until it has closed its file.
    pub(super) fn end(&mut self) {
        if let Some((ask, thread)) = self.thread.take() {
            drop(ask);
            // Had it panicked, its file would be closed all the same.
            let _ended = thread.join();
        }
    }
}
