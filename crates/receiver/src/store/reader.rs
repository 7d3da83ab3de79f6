//! Reads stored events back, in the order in which they were stored.
//!
//! It exists for the worker that calls the handlers: events wait on disk, not in memory, however far
//! the handlers are behind. Invariant: a slice holds at most [`SLICE_EVENTS_MAX`] events and stops
//! after [`SLICE_BYTES_MAX`] bytes. Read `worker.rs` next.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use vai_webhooks_wire::UnixMs;

use super::LOCK_WAIT_MS;
use crate::event::Event;

/// Events that are read at once.
const SLICE_EVENTS_MAX: i64 = 256;
/// Bytes of bodies after which a slice ends. At least one event is read.
const SLICE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The sequence number of the newest event, 0 where there is none.
pub(super) fn last_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let last = connection.query_row("SELECT max(seq) FROM events", [], |row| row.get::<_, Option<i64>>(0));
    Ok(last.optional()?.flatten().unwrap_or(0))
}

/// A read-only connection beside the writer's.
pub(crate) struct Reader(Connection);

impl Reader {
    /// Opens the database that the store has made.
    pub(crate) fn open(file: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(Duration::from_millis(LOCK_WAIT_MS))?;
        Ok(Self(connection))
    }

    /// The next events after `seq`, oldest first; empty where there are none.
    pub(crate) fn after(&self, seq: i64) -> rusqlite::Result<Vec<(i64, Event)>> {
        let mut query = self.0.prepare_cached(
            "SELECT seq, id, event_type, webhook_id, scheme, received_at_ms, body
             FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let mut rows = query.query((seq, SLICE_EVENTS_MAX))?;
        let (mut slice, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let body: Vec<u8> = row.get(6)?;
            bytes += body.len();
            let event = Event {
                id: row.get(1)?,
                event_type: row.get(2)?,
                webhook_id: row.get(3)?,
                scheme: row.get(4)?,
                received_at: UnixMs(row.get(5)?),
                body: Bytes::from(body),
            };
            slice.push((row.get(0)?, event));
            if bytes >= SLICE_BYTES_MAX {
                break;
            }
        }
        Ok(slice)
    }
}
