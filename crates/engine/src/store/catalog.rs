//! What the engine asks of a store about the catalog: event types, their versions, and whether they are checked.
//!
//! A part of [`super::Store`], apart from it because nothing here is on the way of an event. Read
//! `sqlite/catalog.rs` next.

use vai_webhooks_wire::UnixMs;

use super::{Acceptance, Dedupe, Later};
use crate::catalog::CheckMode;
use crate::tenant::TenantId;

/// The most event types that one tenant may put.
pub const TYPES_PER_TENANT_MAX: usize = 1_000;
/// The most bytes that they take together: schemas, examples and descriptions.
pub const CATALOG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Of each event type's versions, so many are kept.
pub const VERSIONS_KEPT: u32 = 100;

/// The catalog's part of a store. Changes are told to [`super::Hooks::catalog_changed`] in commit order.
pub trait CatalogStore {
    /// The event types that a tenant put, by name.
    fn catalog(&self, tenant: TenantId) -> Later<Vec<CatalogEntry>>;
    /// One of them.
    fn catalog_entry(&self, tenant: TenantId, name: String) -> Later<Option<CatalogEntry>>;
    /// Its versions, newest first.
    fn catalog_versions(&self, tenant: TenantId, name: String) -> Later<Vec<CatalogVersion>>;
    /// Puts an event type in place of what was read before.
    fn put_catalog_entry(&self, put: PutEntry) -> Later<PutDone>;
    /// Sets whether a tenant's events are checked.
    fn set_check_mode(&self, tenant: TenantId, mode: CheckMode) -> Later<()>;
    /// Whether an event of this name was accepted before: [`Acceptance::Same`] or [`Acceptance::Differs`].
    fn accepted_before(&self, tenant: TenantId, dedupe: Dedupe) -> Later<Option<Acceptance>>;
}

/// An event type as a tenant put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogEntry {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// Examples of its data: a JSON array.
    pub examples: String,
    /// The number of its schema, from 1.
    pub version: u32,
    /// The schema as JSON text.
    pub schema: Option<String>,
    /// When it was first put.
    pub created_at: UnixMs,
    /// When it was last put.
    pub updated_at: UnixMs,
}

/// One schema that an event type had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogVersion {
    /// Its number.
    pub version: u32,
    /// The schema as JSON text.
    pub schema: Option<String>,
    /// When it was put.
    pub created_at: UnixMs,
    /// What it broke, where it was forced: a JSON array.
    pub breaks: String,
}

/// An event type to put, checked by the engine, if what it was checked against is still there.
#[derive(Debug, Clone)]
pub struct PutEntry {
    /// Whose.
    pub tenant: TenantId,
    /// The new state.
    pub entry: CatalogEntry,
    /// `updated_at` of the state that it takes the place of; `None`: there was none.
    pub expected: Option<UnixMs>,
    /// What it breaks: a JSON array.
    pub breaks: String,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutDone {
    /// It is on disk.
    Done,
    /// Somebody else put it meanwhile.
    Outdated,
    /// The tenant has too many.
    TooMany,
    /// The tenant's catalog would be too large.
    TooLarge,
}
