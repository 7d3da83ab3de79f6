//! The statements that the writer runs for nearly every event.
//!
//! The connection's own cache is asked by a statement's text, which is hashed and copied each time: for these two that
//! was a tenth of the writer's work. Read `events.rs` next.

use rusqlite::{Connection, Statement};

/// Statements that are kept for as long as the writer runs.
pub(super) struct Statements<'c> {
    pub(super) insert_event: Statement<'c>,
    pub(super) insert_attempt: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub(super) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        let insert_event = connection.prepare(
            "INSERT INTO events (key, tenant, type, timestamp_ms, deliver_at_ms, dedupe, content, nowhere, targets,
                                 body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        let insert_attempt = connection.prepare(
            "INSERT OR REPLACE INTO attempts (event, webhook, number, key, started_ms, took_us, address,
                                              status, failure, detail, answer, answer_cut)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        Ok(Self { insert_event, insert_attempt })
    }
}
