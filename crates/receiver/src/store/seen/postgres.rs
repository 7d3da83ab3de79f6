//! Seen ids in a PostgreSQL database, which several processes may share.
//!
//! It exists for programs that run more than once behind one address: of all of them, one has an id's claim. Its one
//! table is `vai_seen`, in the first schema of the user's search path. The connection is made with the first event, and
//! anew after an error. Invariant: an answer comes within [`ANSWER_WAIT`], so that the sender hears its 503.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Error};
use vai_webhooks_wire::UnixMs;

use super::{FORGET_MAX, SEEN_WINDOW_MS};
use crate::inline::{CLAIM_MS, Claim, Seen, SeenError};
use crate::postgres::Database;

/// How long the database may take, connecting included. Shorter than the ten seconds that a sender waits.
const ANSWER_WAIT: Duration = Duration::from_secs(8);

/// Made under a lock, because two that make it at once would see each other's half. Ids are kept as bytes: a text of
/// PostgreSQL's holds no NUL.
const TABLE: &str = "
    BEGIN;
    SELECT pg_advisory_xact_lock(7596525);
    CREATE TABLE IF NOT EXISTS vai_seen (id bytea PRIMARY KEY, claimed_at_ms bigint NOT NULL, done_at_ms bigint);
    CREATE INDEX IF NOT EXISTS vai_seen_done ON vai_seen (done_at_ms) WHERE done_at_ms IS NOT NULL;
    COMMIT;
";
const CLAIM: &str = "
    INSERT INTO vai_seen (id, claimed_at_ms) VALUES ($1, $2)
    ON CONFLICT (id) DO UPDATE SET claimed_at_ms = excluded.claimed_at_ms
     WHERE vai_seen.done_at_ms IS NULL AND vai_seen.claimed_at_ms <= excluded.claimed_at_ms - $3";
const LOOK: &str = "SELECT done_at_ms IS NOT NULL FROM vai_seen WHERE id = $1";
const DONE: &str = "
    INSERT INTO vai_seen (id, claimed_at_ms, done_at_ms) VALUES ($1, $2, $2)
    ON CONFLICT (id) DO UPDATE SET done_at_ms = coalesce(vai_seen.done_at_ms, excluded.done_at_ms)";
/// What another process lets go at the moment is left to it.
const FORGET: &str = "
    DELETE FROM vai_seen WHERE id IN
        (SELECT id FROM vai_seen WHERE done_at_ms < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";
const RELEASE: &str = "DELETE FROM vai_seen WHERE id = $1 AND done_at_ms IS NULL";

/// Remembers ids in a PostgreSQL database for [`SEEN_WINDOW_MS`].
pub struct SeenInPostgres {
    database: Database,
    /// A connection that was good when it was last used, with the table there. Many requests ask through it at once.
    client: Mutex<Option<Arc<Client>>>,
}

impl SeenInPostgres {
    /// Reads a connection string: `postgres://user:password@host/database?sslmode=require`, or `host=… user=…`.
    /// Certificates of servers are verified, against the public authorities. Connects to nothing yet.
    pub fn new(url: &str) -> Result<Self, SeenError> {
        Self::trusting(url, None)
    }

    /// As [`new`](Self::new), where authorities in a PEM file are trusted too.
    pub fn with_ca_file(url: &str, ca_file: impl AsRef<Path>) -> Result<Self, SeenError> {
        Self::trusting(url, Some(ca_file.as_ref()))
    }

    fn trusting(url: &str, ca_file: Option<&Path>) -> Result<Self, SeenError> {
        let database = Database::parse(url, ca_file).map_err(|error| SeenError(error.to_string()))?;
        Ok(Self { database, client: Mutex::default() })
    }

    /// A connection behind which the table is.
    async fn client(&self) -> Result<Arc<Client>, SeenError> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = self.database.connect().await.map_err(SeenError)?;
        let there = client.query_one("SELECT to_regclass('vai_seen') IS NOT NULL", &[]).await;
        if !there.and_then(|row| row.try_get(0)).map_err(|error| self.error(&error))? {
            client.batch_execute(TABLE).await.map_err(|error| self.error(&error))?;
        }
        let client = Arc::new(client);
        *kept = Some(client.clone());
        Ok(client)
    }

    fn error(&self, error: &Error) -> SeenError {
        SeenError(self.database.shown(error))
    }

    async fn ask<T>(&self, work: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, SeenError> {
        let asked = async {
            let client = self.client().await?;
            work(&client).await.map_err(|error| self.error(&error))
        };
        let late = |_| {
            let late = format_args!("no answer within {} s", ANSWER_WAIT.as_secs());
            Err(SeenError(self.database.say(late)))
        };
        let answer = tokio::time::timeout(ANSWER_WAIT, asked).await.unwrap_or_else(late);
        if answer.is_err()
            && let Ok(mut kept) = self.client.try_lock()
        {
            // Nobody knows how the connection is, or whether the table is still there: the next one is new. Where the
            // lock is held, somebody makes it already.
            *kept = None;
        }
        answer
    }
}

impl Seen for SeenInPostgres {
    fn claim<'a>(&'a self, id: &'a str, now: UnixMs) -> BoxFuture<'a, Result<Claim, SeenError>> {
        Box::pin(self.ask(async move |client| {
            if client.execute(CLAIM, &[&id.as_bytes(), &now.0, &CLAIM_MS]).await? == 1 {
                return Ok(Claim::Yours);
            }
            // No row: it was released in between, and the sender comes again.
            let row = client.query_opt(LOOK, &[&id.as_bytes()]).await?;
            let done = row.map(|row| row.try_get(0)).transpose()?;
            Ok(if done == Some(true) { Claim::Done } else { Claim::Busy })
        }))
    }

    fn done<'a>(&'a self, id: &'a str, now: UnixMs) -> BoxFuture<'a, Result<(), SeenError>> {
        Box::pin(self.ask(async move |client| {
            client.execute(DONE, &[&id.as_bytes(), &now.0]).await?;
            client.execute(FORGET, &[&(now.0 - SEEN_WINDOW_MS), &FORGET_MAX]).await.map(drop)
        }))
    }

    fn release<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), SeenError>> {
        Box::pin(self.ask(async move |client| client.execute(RELEASE, &[&id.as_bytes()]).await.map(drop)))
    }
}
