//! `derived.db`: what is derived from events, each consumer's place, and the notices that wait to be sent.
//!
//! It exists apart from the inbox's file so that deriving never holds up the writer that answers senders, and so that
//! it may be deleted: the next start derives it anew from what the inbox still has. Invariant: a place, the rows that
//! led there and the notices they gave are one transaction. Read `derive/mod.rs` for how consumers use it.

mod origin;
pub(crate) mod rules;
pub(crate) mod summary;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::watch;

use crate::derive::{Consumer, Outbox};
use crate::inbox::Start;
use crate::sink::Notice;
use crate::store::{LOCK_WAIT_MS, OpenError};

/// The file's name inside the data directory.
pub(crate) const FILE_NAME: &str = "derived.db";
/// Notices that may wait for one sink; the oldest are let go.
const NOTICES_MAX: i64 = 10_000;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS places (consumer TEXT PRIMARY KEY, taken_to INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS outbox (
        number INTEGER PRIMARY KEY,
        sink   TEXT NOT NULL,
        id     TEXT NOT NULL,
        title  TEXT NOT NULL,
        text   TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS outbox_of_sink ON outbox (sink, number);
";

/// The connection of the deriver.
pub(crate) struct Derived {
    connection: Connection,
    /// Changed whenever notices were written.
    noticed: watch::Sender<u64>,
}

/// Each consumer's place, in the order of the consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places(Vec<(String, i64)>);

impl Places {
    /// The place that is furthest behind.
    pub(crate) fn oldest(&self) -> i64 {
        self.0.iter().map(|(_, place)| *place).min().unwrap_or(i64::MAX)
    }

    /// The place of the consumer at `at`.
    pub(crate) fn of(&self, at: usize) -> i64 {
        self.0[at].1
    }

    /// All that were before `seq` are there now.
    pub(crate) fn reach(&mut self, seq: i64) {
        for (_, place) in &mut self.0 {
            *place = seq.max(*place);
        }
    }
}

/// A connection to read the tables of consumers with.
pub(crate) fn open_to_read(data_dir: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(data_dir.join(FILE_NAME), flags)?;
    connection.busy_timeout(Duration::from_millis(LOCK_WAIT_MS))?;
    Ok(connection)
}

fn open_to_write(data_dir: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(data_dir.join(FILE_NAME))?;
    // Feeders write down what was sent beside the deriver; both are quick.
    connection.busy_timeout(Duration::from_millis(10 * LOCK_WAIT_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may take the last commits back; their events are then taken again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

impl Derived {
    /// Opens the file in the receiver's data directory. One of another inbox than that of `identity`, whose newest event
    /// is `newest`, is put aside.
    pub(crate) fn open(data_dir: &Path, identity: &str, newest: i64) -> Result<Self, OpenError> {
        let file = data_dir.join(FILE_NAME);
        let open = || {
            let connection = open_to_write(data_dir)?;
            connection.execute_batch(TABLES)?;
            let is_ours = origin::is_of(&connection, identity, newest)?;
            Ok((connection, is_ours))
        };
        let sqlite = |what| OpenError::Sqlite { path: file.clone(), what };
        let (mut connection, is_ours) = open().map_err(sqlite)?;
        if !is_ours {
            drop(connection);
            let aside =
                origin::put_aside(&file).map_err(|what| OpenError::Directory { path: file.clone(), what })?;
            let (file, aside) = (file.display(), aside.display());
            tracing::warn!(
                "{file} was derived from another inbox: put aside as {aside}, summaries and rules begin anew"
            );
            (connection, _) = open().map_err(sqlite)?;
        }
        Ok(Self { connection, noticed: watch::Sender::new(0) })
    }

    /// Makes the consumers' tables and finds their places.
    pub(crate) fn begin(
        &mut self,
        consumers: &mut [Box<dyn Consumer>],
        newest: i64,
    ) -> rusqlite::Result<Places> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // An inbox that a backup or a disk set back gives the numbers of what it lost to other events.
        transaction.execute("UPDATE places SET taken_to = ?1 WHERE taken_to > ?1", [newest])?;
        let mut places = Vec::new();
        for consumer in consumers {
            consumer.reload(&transaction)?;
            let start = match consumer.start() {
                Start::Now => newest,
                Start::Oldest => 0,
            };
            transaction.execute(
                "INSERT INTO places (consumer, taken_to) VALUES (?1, ?2) ON CONFLICT (consumer) DO NOTHING",
                (consumer.name(), start),
            )?;
            let place: i64 = transaction.query_row(
                "SELECT taken_to FROM places WHERE consumer = ?1",
                [consumer.name()],
                |row| row.get(0),
            )?;
            places.push((consumer.name().to_owned(), place));
        }
        transaction.commit()?;
        Ok(Places(places))
    }

    /// Has the consumers read anew what they keep in memory.
    pub(crate) fn reload(&mut self, consumers: &mut [Box<dyn Consumer>]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for consumer in consumers {
            consumer.reload(&transaction)?;
        }
        transaction.commit()
    }

    /// Runs `work`, then writes its notices and the places that it returns where they differ from `before`.
    pub(crate) fn transact(
        &mut self,
        before: &Places,
        work: impl FnOnce(&Transaction<'_>, &mut Outbox) -> rusqlite::Result<Places>,
    ) -> rusqlite::Result<Places> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut outbox = Outbox::default();
        let places = work(&transaction, &mut outbox)?;
        for (after, _) in places.0.iter().zip(&before.0).filter(|(after, before)| after != before) {
            let mut put =
                transaction.prepare_cached("UPDATE places SET taken_to = ?2 WHERE consumer = ?1")?;
            put.execute((&after.0, after.1))?;
        }
        let notices = outbox.into_notices();
        for (sink, Notice { id, title, text }) in &notices {
            transaction.execute(
                "INSERT INTO outbox (sink, id, title, text) VALUES (?1, ?2, ?3, ?4)",
                (sink, id, title, text),
            )?;
            transaction.execute(
                "DELETE FROM outbox WHERE sink = ?1 AND number <= (SELECT max(number) FROM outbox) - ?2",
                (sink, NOTICES_MAX),
            )?;
        }
        transaction.commit()?;
        if !notices.is_empty() {
            self.noticed.send_modify(|count| *count += 1);
        }
        Ok(places)
    }

    /// For a feeder, which sends what waits for its sink.
    pub(crate) fn noticed(&self) -> watch::Receiver<u64> {
        self.noticed.subscribe()
    }
}

/// A feeder's connection to the notices.
pub(crate) struct Notices(Connection);

impl Notices {
    /// Opens the file that [`Derived::open`] has made.
    pub(crate) fn open(data_dir: &Path) -> rusqlite::Result<Self> {
        open_to_write(data_dir).map(Self)
    }

    /// The oldest that waits for this sink.
    pub(crate) fn next(&self, sink: &str) -> rusqlite::Result<Option<(i64, Notice)>> {
        let mut next = self.0.prepare_cached(
            "SELECT number, id, title, text FROM outbox WHERE sink = ?1 ORDER BY number LIMIT 1",
        )?;
        let mut rows = next.query([sink])?;
        let row = rows.next()?;
        row.map(|row| {
            let notice = Notice { id: row.get(1)?, title: row.get(2)?, text: row.get(3)? };
            Ok((row.get(0)?, notice))
        })
        .transpose()
    }

    /// It was sent, or never will be.
    pub(crate) fn done(&self, number: i64) -> rusqlite::Result<()> {
        let mut done = self.0.prepare_cached("DELETE FROM outbox WHERE number = ?1")?;
        done.execute([number]).map(drop)
    }
}

#[cfg(test)]
mod tests;
