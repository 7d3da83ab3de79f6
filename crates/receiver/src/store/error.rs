//! Why the store could not be opened, and why an event could not be stored.
//!
//! They exist apart because two different people read them: an [`OpenError`] goes to who starts the
//! program and says what to do, a [`StoreError`] becomes a 503 to a sender. Invariant: neither shows
//! anything of an event. Read `schema.rs` and `writer.rs`, where they come from.

use std::path::PathBuf;

/// Why the data directory could not be opened. Every text says all of it, what is beneath included, so none has a
/// source that a chain would say again.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it could not be made or read.
    #[error("cannot use the data directory {}: {what}", path.display())]
    Directory {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        what: std::io::Error,
    },
    /// Another receiver runs on this directory.
    #[error("{} is held by another running receiver: stop that one, or give this one its own directory", .0.display())]
    Held(PathBuf),
    /// The file is there and is not a receiver's database.
    #[error("{} is not a database of this receiver: move it away, or give another data directory", .0.display())]
    Foreign(PathBuf),
    /// A newer version of this program wrote the file.
    #[error("{} was written by a newer version (schema {found}, this one knows {known}): run that version", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The schema version in the file.
        found: i64,
        /// The newest schema version that this program knows.
        known: i64,
    },
    /// SQLite could not open or prepare the file.
    #[error("cannot open {}: {what}", path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        what: rusqlite::Error,
    },
    /// The store was opened and could not be written.
    #[error("the store cannot be prepared: {0}")]
    Store(StoreError),
    /// The writer's thread could not be started.
    #[error("cannot start the store's thread: {0}")]
    Thread(std::io::Error),
}

/// Why an event could not be stored. The sender is answered 503 and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// More events wait than the queue holds.
    #[error("the store has more waiting than it can hold")]
    Full,
    /// No commit within [`COMMIT_WAIT_MS`](super::COMMIT_WAIT_MS). It may still happen: the retry is then a duplicate.
    #[error("the store did not answer in time")]
    Late,
    /// The disk is full or the file is locked; nothing was written, and the next try may do better.
    #[error("the store cannot write at the moment")]
    Temporary,
    /// A write failed for good, or the store is closed. It has to be opened anew.
    #[error("the store has failed or is closed")]
    Down,
}
