//! Seen ids in an SQLite file, which may be the program's own database.
//!
//! It exists so that an inline receiver knows an event after a restart. Its one table is `vai_seen`. Invariant: a claim
//! and a note are committed before they are answered. Read `postgres.rs` next.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension};
use vai_webhooks_wire::UnixMs;

use super::{FORGET_MAX, SEEN_WINDOW_MS};
use crate::inline::{CLAIM_MS, Claim, Seen, SeenError};

/// How long another program may hold the file.
const LOCK_WAIT_MS: u64 = 5_000;

/// Remembers ids in an SQLite file for [`SEEN_WINDOW_MS`].
#[derive(Clone)]
pub struct SeenInSqlite(Arc<Mutex<Connection>>);

impl SeenInSqlite {
    /// Opens `path`, made where it is missing. Blocks on the disk for a moment.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SeenError> {
        let open = || {
            let connection = Connection::open(path.as_ref())?;
            connection.busy_timeout(Duration::from_millis(LOCK_WAIT_MS))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS vai_seen (
                    id            TEXT PRIMARY KEY,
                    claimed_at_ms INTEGER NOT NULL,
                    done_at_ms    INTEGER
                 ) STRICT, WITHOUT ROWID;
                 CREATE INDEX IF NOT EXISTS vai_seen_done ON vai_seen (done_at_ms) WHERE done_at_ms IS NOT NULL;",
            )?;
            Ok(connection)
        };
        let opened = open().map_err(|error: rusqlite::Error| {
            SeenError(format!("{} cannot be opened: {error}", path.as_ref().display()))
        });
        Ok(Self(Arc::new(Mutex::new(opened?))))
    }

    fn blocking<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'a, Result<T, SeenError>> {
        let connection = self.0.clone();
        let work = move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(work).await;
            done.map_err(|error| SeenError(error.to_string()))?.map_err(|error| SeenError(error.to_string()))
        })
    }
}

impl Seen for SeenInSqlite {
    fn claim<'a>(&'a self, id: &'a str, now: UnixMs) -> BoxFuture<'a, Result<Claim, SeenError>> {
        let id = id.to_owned();
        self.blocking(move |connection| {
            let mut claim = connection.prepare_cached(
                "INSERT INTO vai_seen (id, claimed_at_ms) VALUES (?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET claimed_at_ms = excluded.claimed_at_ms
                  WHERE done_at_ms IS NULL AND claimed_at_ms <= excluded.claimed_at_ms - ?3",
            )?;
            if claim.execute((&id, now.0, CLAIM_MS))? == 1 {
                return Ok(Claim::Yours);
            }
            let mut look =
                connection.prepare_cached("SELECT done_at_ms IS NOT NULL FROM vai_seen WHERE id = ?1")?;
            let done: Option<bool> = look.query_row([&id], |row| row.get(0)).optional()?;
            Ok(if done == Some(true) { Claim::Done } else { Claim::Busy })
        })
    }

    fn done<'a>(&'a self, id: &'a str, now: UnixMs) -> BoxFuture<'a, Result<(), SeenError>> {
        let id = id.to_owned();
        self.blocking(move |connection| {
            let mut done = connection.prepare_cached(
                "INSERT INTO vai_seen (id, claimed_at_ms, done_at_ms) VALUES (?1, ?2, ?2)
                 ON CONFLICT (id) DO UPDATE SET done_at_ms = coalesce(done_at_ms, excluded.done_at_ms)",
            )?;
            done.execute((&id, now.0))?;
            let mut forget = connection.prepare_cached(
                "DELETE FROM vai_seen WHERE id IN (SELECT id FROM vai_seen WHERE done_at_ms < ?1 LIMIT ?2)",
            )?;
            forget.execute((now.0 - SEEN_WINDOW_MS, FORGET_MAX)).map(drop)
        })
    }

    fn release<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), SeenError>> {
        let id = id.to_owned();
        self.blocking(move |connection| {
            let mut release =
                connection.prepare_cached("DELETE FROM vai_seen WHERE id = ?1 AND done_at_ms IS NULL")?;
            release.execute([&id]).map(drop)
        })
    }
}
