//! Event types that were seen, for the list of them.
//!
//! A type's row changes twice in a minute at most, however often it is seen. Read `stats.rs` next.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use vai_webhooks_wire::UnixMs;

use crate::key::ByNumber;
use crate::tenant::TenantId;

/// How exact `lastSeen` is on disk, in milliseconds.
const SEEN_MS: i64 = 30_000;
/// Types that are remembered as written. All are forgotten beyond that, and written again when seen.
const REMEMBERED_MAX: usize = 16_384;

/// When each event type was seen, and when that was last written.
#[derive(Debug, Default)]
pub(super) struct Types {
    written: ByNumber<TenantId, HashMap<Box<str>, UnixMs>>,
    remembered: usize,
    waiting: Vec<(TenantId, Box<str>, UnixMs)>,
}

impl Types {
    /// A type was seen.
    pub(super) fn saw(&mut self, tenant: TenantId, event_type: &str, now: UnixMs) {
        let of_tenant = self.written.entry(tenant).or_default();
        match of_tenant.get_mut(event_type) {
            Some(written) if now.since(*written) < SEEN_MS => return,
            Some(written) => *written = now,
            None => {
                of_tenant.insert(event_type.into(), now);
                self.remembered += 1;
            }
        }
        self.waiting.push((tenant, event_type.into(), now));
        if self.remembered > REMEMBERED_MAX {
            self.written.clear();
            self.remembered = 0;
        }
    }

    /// Writes what was seen.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut statement = connection.prepare_cached(
            "INSERT INTO event_types (tenant, type, seen_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (tenant, type) DO UPDATE SET seen_ms = max(seen_ms, excluded.seen_ms)",
        )?;
        for (tenant, event_type, seen) in self.waiting.drain(..) {
            statement.execute(params![tenant.0, &*event_type, seen.0])?;
        }
        Ok(())
    }
}

/// Event types of a tenant that were seen, by name.
pub(super) fn list(connection: &Connection, tenant: TenantId) -> rusqlite::Result<Vec<(String, UnixMs)>> {
    connection
        .prepare_cached("SELECT type, seen_ms FROM event_types WHERE tenant = ?1 ORDER BY type LIMIT 10000")?
        .query_map([tenant.0], |row| Ok((row.get(0)?, UnixMs(row.get(1)?))))?
        .collect()
}
