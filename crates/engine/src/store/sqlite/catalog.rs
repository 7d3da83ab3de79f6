//! The catalog as rows: event types, their versions, and each tenant's mode.
//!
//! A change ends its group, so that it is told before anything later is committed. Read `tenants.rs` next.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vai_webhooks_wire::UnixMs;

use super::group::Group;
use super::{SqliteStore, events};
use crate::catalog::{CatalogChange, CheckMode};
use crate::store::{
    Acceptance, CATALOG_BYTES_MAX, CatalogEntry, CatalogStore, CatalogVersion, Dedupe, Later, PutDone,
    PutEntry, TYPES_PER_TENANT_MAX, VERSIONS_KEPT,
};
use crate::tenant::TenantId;

impl CatalogStore for SqliteStore {
    fn catalog(&self, tenant: TenantId) -> Later<Vec<CatalogEntry>> {
        self.calls.read(move |connection| list(connection, tenant))
    }

    fn catalog_entry(&self, tenant: TenantId, name: String) -> Later<Option<CatalogEntry>> {
        self.calls.read(move |connection| get(connection, tenant, &name))
    }

    fn catalog_versions(&self, tenant: TenantId, name: String) -> Later<Vec<CatalogVersion>> {
        self.calls.read(move |connection| versions(connection, tenant, &name))
    }

    fn put_catalog_entry(&self, put: PutEntry) -> Later<PutDone> {
        self.write(move |connection, group| self::put(connection, group, put))
    }

    fn set_check_mode(&self, tenant: TenantId, mode: CheckMode) -> Later<()> {
        self.write(move |connection, group| set_mode(connection, group, tenant, mode))
    }

    fn accepted_before(&self, tenant: TenantId, dedupe: Dedupe) -> Later<Option<Acceptance>> {
        self.calls.read(move |connection| events::known(connection, tenant, &dedupe))
    }
}

const COLUMNS: &str =
    "SELECT type, description, examples, version, schema, created_ms, updated_ms FROM catalog";

fn entry(row: &Row<'_>) -> rusqlite::Result<CatalogEntry> {
    Ok(CatalogEntry {
        name: row.get(0)?,
        description: row.get(1)?,
        examples: row.get(2)?,
        version: row.get(3)?,
        schema: row.get(4)?,
        created_at: UnixMs(row.get(5)?),
        updated_at: UnixMs(row.get(6)?),
    })
}

fn list(connection: &Connection, tenant: TenantId) -> rusqlite::Result<Vec<CatalogEntry>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE tenant = ?1 ORDER BY type"))?
        .query_map([tenant.0], entry)?
        .collect()
}

fn get(connection: &Connection, tenant: TenantId, name: &str) -> rusqlite::Result<Option<CatalogEntry>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE tenant = ?1 AND type = ?2"))?
        .query_row(params![tenant.0, name], entry)
        .optional()
}

fn versions(connection: &Connection, tenant: TenantId, name: &str) -> rusqlite::Result<Vec<CatalogVersion>> {
    connection
        .prepare_cached(
            "SELECT version, schema, made_ms, breaks FROM catalog_versions WHERE tenant = ?1 AND type = ?2
             ORDER BY version DESC",
        )?
        .query_map(params![tenant.0, name], |row| {
            Ok(CatalogVersion {
                version: row.get(0)?,
                schema: row.get(1)?,
                created_at: UnixMs(row.get(2)?),
                breaks: row.get(3)?,
            })
        })?
        .collect()
}

fn put(connection: &Connection, group: &mut Group, put: PutEntry) -> rusqlite::Result<PutDone> {
    let PutEntry { tenant, entry, expected, breaks } = put;
    let before = get(connection, tenant, &entry.name)?;
    if before.as_ref().map(|it| it.updated_at) != expected {
        return Ok(PutDone::Outdated);
    }
    let (types, bytes): (isize, isize) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(octet_length(coalesce(schema, '')) + octet_length(examples)
                                           + octet_length(coalesce(description, ''))), 0)
             FROM catalog WHERE tenant = ?1 AND type <> ?2",
        )?
        .query_row(params![tenant.0, entry.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if types.unsigned_abs() >= TYPES_PER_TENANT_MAX {
        return Ok(PutDone::TooMany);
    }
    let own = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    if bytes.unsigned_abs() + own(&entry.schema) + own(&entry.description) + entry.examples.len()
        > CATALOG_BYTES_MAX
    {
        return Ok(PutDone::TooLarge);
    }
    connection
        .prepare_cached(
            "INSERT INTO catalog (tenant, type, description, examples, version, schema, created_ms, updated_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (tenant, type) DO UPDATE SET description = excluded.description,
                 examples = excluded.examples, version = excluded.version, schema = excluded.schema,
                 updated_ms = excluded.updated_ms",
        )?
        .execute(params![
            tenant.0,
            entry.name,
            entry.description,
            entry.examples,
            entry.version,
            entry.schema,
            entry.created_at.0,
            entry.updated_at.0
        ])?;
    connection
        .prepare_cached(
            "INSERT INTO catalog_versions (tenant, type, version, schema, made_ms, breaks)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (tenant, type, version) DO NOTHING",
        )?
        .execute(params![tenant.0, entry.name, entry.version, entry.schema, entry.updated_at.0, breaks])?;
    connection
        .prepare_cached("DELETE FROM catalog_versions WHERE tenant = ?1 AND type = ?2 AND version <= ?3")?
        .execute(params![tenant.0, entry.name, entry.version.saturating_sub(VERSIONS_KEPT)])?;
    // What only describes leaves what was compiled and counted alone.
    if before.is_none_or(|before| before.schema != entry.schema) {
        group.catalog.push(CatalogChange::EventType(tenant, entry.name, entry.schema));
        group.ends = true;
    }
    Ok(PutDone::Done)
}

fn set_mode(
    connection: &Connection,
    group: &mut Group,
    tenant: TenantId,
    mode: CheckMode,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO settings (tenant, event_schemas) VALUES (?1, ?2)
             ON CONFLICT (tenant) DO UPDATE SET event_schemas = excluded.event_schemas",
        )?
        .execute(params![tenant.0, mode.as_str()])?;
    group.catalog.push(CatalogChange::Mode(tenant, mode, schemas(connection, tenant)?));
    group.ends = true;
    Ok(())
}

fn schemas(connection: &Connection, tenant: TenantId) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    connection
        .prepare_cached("SELECT type, schema FROM catalog WHERE tenant = ?1")?
        .query_map([tenant.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// The catalogs of all tenants whose events are checked.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<CatalogChange>> {
    let modes: Vec<(TenantId, CheckMode)> = connection
        .prepare("SELECT tenant, event_schemas FROM settings WHERE event_schemas <> 'off'")?
        .query_map([], |row| {
            let mode = CheckMode::named(row.get_ref(1)?.as_str()?).unwrap_or_default();
            Ok((TenantId(row.get(0)?), mode))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let catalog = |(tenant, mode)| Ok(CatalogChange::Mode(tenant, mode, schemas(connection, tenant)?));
    modes.into_iter().map(catalog).collect()
}
