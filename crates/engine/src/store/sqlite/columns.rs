//! Columns that are more than a number or a text: ids.
//!
//! Read `attempts.rs` next.

use rusqlite::Row;
use rusqlite::types::Type;
use vai_webhooks_wire::{EventId, WebhookId};

use crate::key::{EventKey, Realm, WebhookNo};

/// The part of a dedupe name before a producer's own id.
pub(crate) const BY_ID: &str = "id:";

/// The id of an event: the producer's own where it gave one, else made from the key.
pub(super) fn id_of(key: EventKey, dedupe: Option<&str>, realm: Realm) -> EventId {
    dedupe
        .and_then(|name| name.strip_prefix(BY_ID))
        .and_then(|id| id.parse().ok())
        .unwrap_or_else(|| key.id(realm))
}

/// Webhooks as the `targets` of an event.
pub(super) fn targets(webhooks: impl Iterator<Item = WebhookNo>) -> Vec<u8> {
    webhooks.flat_map(|webhook| webhook.0.to_le_bytes()).collect()
}

/// The webhooks in the `targets` of an event.
pub(super) fn targets_of(column: Option<&[u8]>) -> impl Iterator<Item = WebhookNo> {
    let numbers = column.unwrap_or_default().as_chunks::<4>().0.iter();
    numbers.map(|bytes| WebhookNo(u32::from_le_bytes(*bytes)))
}

/// A webhook's id in a row.
pub(super) fn webhook_id(row: &Row<'_>, column: usize) -> rusqlite::Result<WebhookId> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error| damaged(column, error))
}

pub(super) fn damaged(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
