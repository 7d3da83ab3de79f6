//! Folding the write-ahead log into the file, beside the writer.
//!
//! SQLite does it inside a commit, which then takes as long as some thousand pages need to get to the disk, and with it
//! everybody who waits for the writer. Here a thread of its own copies the pages while commits go on; the writer copies
//! the few that came meanwhile, so that its next write begins the log anew. Invariant: the log stays bounded, since the
//! writer does all of it where the thread cannot. Read `open.rs` next.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::open;

/// Pages in the log that are worth a checkpoint: about 32 MiB.
const PAGES_GOOD: i32 = 4_000;

/// The thread has nothing to do.
const IDLE: u8 = 0;
/// It copies.
const RUNNING: u8 = 1;
/// It has copied; the writer does the rest.
const COPIED: u8 = 2;

/// Has the writer's log folded by a thread that ends with the connection.
pub(super) fn start(writer: &mut Connection, path: &Path) -> Result<(), Error> {
    let connection = open::checkpointer(path)?;
    let state = Arc::new(AtomicU8::new(IDLE));
    // One request at most: the state says whether one is under way.
    let (ask, asked) = sync_channel(1);
    let copied = Arc::clone(&state);
    std::thread::Builder::new()
        .name("vai-store-checkpoint".to_owned())
        .spawn(move || run(&connection, &asked, &copied))?;
    writer.wal_hook(Some(move |wal: &mut Wal, pages| after_commit(wal, pages, &state, &ask)))?;
    Ok(())
}

/// Why there is no such thread.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Thread(#[from] std::io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

fn after_commit(wal: &mut Wal, pages: i32, state: &AtomicU8, ask: &SyncSender<()>) -> rusqlite::Result<()> {
    match state.load(Ordering::Acquire) {
        IDLE if pages >= PAGES_GOOD => {
            // Before it is asked: it may have copied before this goes on.
            state.store(RUNNING, Ordering::Release);
            if ask.try_send(()).is_err() {
                state.store(COPIED, Ordering::Release);
            }
        }
        COPIED => {
            state.store(IDLE, Ordering::Release);
            // What could not be copied now is, the next time.
            let _later = wal.checkpoint();
        }
        _ => {}
    }
    Ok(())
}

fn run(connection: &Connection, asked: &Receiver<()>, state: &AtomicU8) {
    while asked.recv().is_ok() {
        // The second time copies what came during the first, so that little is left for the writer.
        for _ in 0..2 {
            if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                tracing::warn!(%error, "the log could not be folded beside the writer; the writer does it");
            }
        }
        state.store(COPIED, Ordering::Release);
    }
}
