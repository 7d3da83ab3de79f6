//! Event types that were seen, for the list of them.
//!
//! A group of writes changes each type's row once. Read `stats.rs` next.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use vai_webhooks_wire::UnixMs;

use crate::tenant::TenantId;

/// Writes when each event type was last seen.
pub(super) fn flush(
    connection: &Connection,
    types: &mut HashMap<(i64, Box<str>), i64>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO event_types (tenant, type, seen_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT (tenant, type) DO UPDATE SET seen_ms = max(seen_ms, excluded.seen_ms)",
    )?;
    for ((tenant, event_type), seen_ms) in types.drain() {
        statement.execute(params![tenant, &*event_type, seen_ms])?;
    }
    Ok(())
}

/// Event types of a tenant that were seen, by name.
pub(super) fn list(connection: &Connection, tenant: TenantId) -> rusqlite::Result<Vec<(String, UnixMs)>> {
    connection
        .prepare_cached("SELECT type, seen_ms FROM event_types WHERE tenant = ?1 ORDER BY type LIMIT 10000")?
        .query_map([tenant.0], |row| Ok((row.get(0)?, UnixMs(row.get(1)?))))?
        .collect()
}
