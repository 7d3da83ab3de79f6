//! Tenants and API keys as rows.
//!
//! Read `mod.rs` next.

use rusqlite::{Connection, OptionalExtension as _, params};
use vai_webhooks_wire::UnixMs;

use super::columns;
use crate::access::StoredKey;
use crate::tenant::{TenantId, TenantName};

/// The tenant of this name, made where it is not there.
pub(super) fn get_or_make(
    connection: &Connection,
    name: &TenantName,
    now: UnixMs,
) -> rusqlite::Result<TenantId> {
    let known = connection
        .prepare_cached("SELECT id FROM tenants WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0).map(TenantId))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection
        .prepare_cached("INSERT INTO tenants (name, created_ms) VALUES (?1, ?2)")?
        .execute(params![name.as_str(), now.0])?;
    Ok(TenantId(connection.last_insert_rowid()))
}

/// All tenants.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<(TenantId, TenantName)>> {
    connection
        .prepare("SELECT id, name FROM tenants")?
        .query_map([], |row| {
            let name = row.get_ref(1)?.as_str()?.parse();
            Ok((TenantId(row.get(0)?), name.map_err(|error| columns::damaged(1, error))?))
        })?
        .collect()
}

/// Keeps a key.
pub(super) fn add_key(connection: &Connection, key: &StoredKey) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO api_keys (id, hash, starts_with, tenant, name, created_ms, expires_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            key.id,
            &key.hash[..],
            key.starts_with,
            key.tenant.map(|tenant| tenant.0),
            key.name,
            key.created_at.0,
            key.expires_at.map(|at| at.0)
        ])?;
    Ok(())
}

/// Ends a key.
pub(super) fn revoke_key(connection: &Connection, id: &str, now: UnixMs) -> rusqlite::Result<bool> {
    let revoked = connection
        .prepare_cached("UPDATE api_keys SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms IS NULL")?
        .execute(params![id, now.0])?;
    Ok(revoked == 1)
}

/// All keys that are not revoked.
pub(super) fn load_keys(connection: &Connection) -> rusqlite::Result<Vec<StoredKey>> {
    connection
        .prepare(
            "SELECT id, hash, starts_with, tenant, name, created_ms, expires_ms FROM api_keys
             WHERE revoked_ms IS NULL",
        )?
        .query_map([], |row| {
            Ok(StoredKey {
                id: row.get(0)?,
                hash: row.get(1)?,
                starts_with: row.get(2)?,
                tenant: row.get::<_, Option<i64>>(3)?.map(TenantId),
                name: row.get(4)?,
                created_at: UnixMs(row.get(5)?),
                expires_at: row.get::<_, Option<i64>>(6)?.map(UnixMs),
            })
        })?
        .collect()
}
