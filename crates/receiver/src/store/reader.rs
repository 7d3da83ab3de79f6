//! Reads stored events back, in the order in which they were stored.
//!
//! It exists for the sinks and the handlers: events wait on disk, not in memory, however far those are
//! behind. Invariant: a slice holds at most [`SLICE_EVENTS_MAX`] events and stops after [`SLICE_BYTES_MAX`]
//! bytes. Read `inbox/feeder.rs` next.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use vai_webhooks_wire::UnixMs;

use super::LOCK_WAIT_MS;
use crate::event::Event;
use crate::sink::Stored;

/// Events that are read at once.
pub(crate) const SLICE_EVENTS_MAX: usize = 1_024;
/// Events that are looked at for a slice, wanted or not.
const SCAN_EVENTS_MAX: i64 = 4_096;
/// Memory of one reader for pages of the file.
const CACHE_KIB: i64 = 512;
/// Bytes of bodies after which a slice ends. At least one event is read.
const SLICE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The sequence number of the newest event, 0 where there is none.
pub(super) fn last_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let last = connection.query_row("SELECT max(seq) FROM events", [], |row| row.get::<_, Option<i64>>(0));
    Ok(last.optional()?.flatten().unwrap_or(0))
}

/// A read-only connection beside the writer's.
pub(crate) struct Reader(Connection);

/// Some events of the inbox, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Those that were wanted.
    pub(crate) events: Vec<Stored>,
    /// Every event up to this one was looked at; what the reader was asked to start after where there was none.
    pub(crate) read_to: i64,
}

impl Reader {
    /// Opens the database that the store has made.
    pub(crate) fn open(file: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(Duration::from_millis(LOCK_WAIT_MS))?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        Ok(Self(connection))
    }

    /// What tells this inbox from every other.
    pub(crate) fn identity(&self) -> rusqlite::Result<String> {
        self.0.query_row("SELECT id FROM identity", [], |row| row.get(0))
    }

    /// The next events after `seq` whose type is `wanted`. The body of any other is not read.
    pub(crate) fn after(&self, seq: i64, wanted: impl Fn(&str) -> bool) -> rusqlite::Result<Slice> {
        let mut query = self.0.prepare_cached(
            "SELECT seq, id, event_type, webhook_id, scheme, received_at_ms, body
             FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let mut rows = query.query((seq, SCAN_EVENTS_MAX))?;
        let mut slice = Slice { events: Vec::new(), read_to: seq };
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            slice.read_to = row.get(0)?;
            if !wanted(row.get_ref(2)?.as_str()?) {
                continue;
            }
            let stored = stored(row, false)?;
            bytes += stored.event.body.len();
            slice.events.push(stored);
            if bytes >= SLICE_BYTES_MAX || slice.events.len() >= SLICE_EVENTS_MAX {
                break;
            }
        }
        Ok(slice)
    }

    /// The next events that this sink is to get again.
    pub(crate) fn replays(&self, sink: &str) -> rusqlite::Result<Vec<Stored>> {
        let mut query = self.0.prepare_cached(
            "SELECT events.seq, id, event_type, webhook_id, scheme, received_at_ms, body
             FROM replays JOIN events ON events.seq = replays.seq WHERE sink = ?1 ORDER BY replays.seq",
        )?;
        let mut rows = query.query([sink])?;
        let (mut all, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let stored = stored(row, true)?;
            bytes += stored.event.body.len();
            all.push(stored);
            if bytes >= SLICE_BYTES_MAX || all.len() >= SLICE_EVENTS_MAX {
                break;
            }
        }
        Ok(all)
    }
}

/// A dead letter, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) received_at_ms: i64,
    pub(crate) died_at_ms: i64,
    /// What the sink said.
    pub(crate) detail: String,
}

impl Reader {
    /// A sink's dead letters after `seq`, oldest first.
    pub(crate) fn dead_letters(
        &self,
        sink: &str,
        after: i64,
        limit: i64,
    ) -> rusqlite::Result<Vec<DeadLetter>> {
        let mut query = self.0.prepare_cached(
            "SELECT seq, id, event_type, received_at_ms, died_at_ms, detail FROM dead_letters JOIN events USING (seq)
             WHERE sink = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?;
        let letter = |row: &Row<'_>| {
            Ok(DeadLetter {
                seq: row.get(0)?,
                id: row.get(1)?,
                event_type: row.get(2)?,
                received_at_ms: row.get(3)?,
                died_at_ms: row.get(4)?,
                detail: row.get(5)?,
            })
        };
        query.query_map((sink, after, limit), letter)?.collect()
    }

    /// How many dead letters a sink has, and how many events it is to get again.
    pub(crate) fn set_aside(&self, sink: &str) -> rusqlite::Result<(i64, i64)> {
        let mut query = self.0.prepare_cached(
            "SELECT (SELECT count(*) FROM dead_letters WHERE sink = ?1), (SELECT count(*) FROM replays WHERE sink = ?1)",
        )?;
        query.query_row([sink], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// When the oldest event after `seq` arrived, Unix milliseconds.
    pub(crate) fn received_after(&self, seq: i64) -> rusqlite::Result<Option<i64>> {
        let mut query =
            self.0.prepare_cached("SELECT received_at_ms FROM events WHERE seq > ?1 ORDER BY seq LIMIT 1")?;
        query.query_row([seq], |row| row.get(0)).optional()
    }

    /// The newest events after `seq`, newest first, without their bodies.
    pub(crate) fn newest(&self, after: i64, limit: i64) -> rusqlite::Result<Vec<Seen>> {
        let mut query = self.0.prepare_cached(
            "SELECT seq, id, event_type, webhook_id, scheme, received_at_ms, length(body)
             FROM events WHERE seq > ?1 ORDER BY seq DESC LIMIT ?2",
        )?;
        let seen = |row: &Row<'_>| {
            Ok(Seen {
                seq: row.get(0)?,
                id: row.get(1)?,
                event_type: row.get(2)?,
                webhook_id: row.get(3)?,
                scheme: row.get(4)?,
                received_at_ms: row.get(5)?,
                bytes: row.get(6)?,
            })
        };
        query.query_map((after, limit), seen)?.collect()
    }
}

/// An event, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) webhook_id: Option<String>,
    pub(crate) scheme: String,
    pub(crate) received_at_ms: i64,
    /// Of its body.
    pub(crate) bytes: i64,
}

fn stored(row: &Row<'_>, replay: bool) -> rusqlite::Result<Stored> {
    let body: Vec<u8> = row.get(6)?;
    let event = Event {
        id: row.get(1)?,
        event_type: row.get(2)?,
        webhook_id: row.get(3)?,
        scheme: row.get(4)?,
        received_at: UnixMs(row.get(5)?),
        body: Bytes::from(body),
    };
    Ok(Stored { seq: row.get(0)?, replay, event })
}
