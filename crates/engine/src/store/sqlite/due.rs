//! Which deliveries are due, read back for the dispatcher.
//!
//! By the one partial index, `(webhook, due_ms, event) WHERE due_ms IS NOT NULL`, in due order. Read `fates.rs` next.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use vai_webhooks_wire::UnixMs;

use super::columns;
use crate::key::{EventKey, Realm, WebhookNo};
use crate::store::{Due, DueQuery, Ready, Sendable};

/// The next due deliveries of a webhook, oldest first.
pub(super) fn due(connection: &Connection, query: &DueQuery, realm: Realm) -> rusqlite::Result<Due> {
    // One row more than could be taken tells whether there are more.
    let limit = i64::try_from(query.skip.len() + query.limit + 1).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT event, due_ms FROM deliveries INDEXED BY deliveries_due
         WHERE webhook = ?1 AND due_ms IS NOT NULL ORDER BY due_ms, event LIMIT ?2",
    )?;
    let mut rows = statement.query(params![query.webhook.0, limit])?;
    let skip: HashSet<EventKey> = query.skip.iter().copied().collect();
    let mut found = Due::default();
    let mut body_bytes = 0;
    while let Some(row) = rows.next()? {
        let (event, due) = (EventKey(row.get(0)?), UnixMs(row.get(1)?));
        if skip.contains(&event) {
            continue;
        }
        if due > query.now {
            found.next_due = Some(due);
            break;
        }
        if found.ready.len() >= query.limit || body_bytes >= query.body_bytes_max {
            found.more = true;
            break;
        }
        let ready = ready(connection, event, query.webhook, realm)?;
        body_bytes += ready.event.body.len();
        found.ready.push(ready);
    }
    Ok(found)
}

fn ready(
    connection: &Connection,
    key: EventKey,
    webhook: WebhookNo,
    realm: Realm,
) -> rusqlite::Result<Ready> {
    connection
        .prepare_cached(
            "SELECT e.type, e.dedupe, e.body, d.attempts, d.attempts_before, d.version
             FROM deliveries d JOIN events e ON e.key = d.event
             WHERE d.event = ?1 AND d.webhook = ?2",
        )?
        .query_row(params![key.0, webhook.0], |row| {
            let event = Sendable {
                key,
                id: columns::id_of(key, row.get_ref(1)?.as_str_or_null()?, realm),
                event_type: row.get_ref(0)?.as_str()?.into(),
                body: row.get_ref(2)?.as_blob()?.to_vec().into(),
            };
            Ok(Ready {
                event: Arc::new(event),
                attempts: row.get(3)?,
                attempts_before: row.get(4)?,
                form: columns::form(row, 5)?,
            })
        })
}

/// When the delivery that has waited longest became due: one look at the index for each webhook that
/// has deliveries waiting.
pub(super) fn oldest_due(connection: &Connection, now: UnixMs) -> rusqlite::Result<Option<UnixMs>> {
    let first_of_each = first_due(connection)?;
    Ok(first_of_each.into_iter().map(|(_, due)| due).filter(|due| *due <= now).min())
}

/// For each webhook with pending deliveries, when the first is due. Jumps from one webhook to the next
/// through the index, so that it costs what there are webhooks, not deliveries.
pub(super) fn first_due(connection: &Connection) -> rusqlite::Result<Vec<(WebhookNo, UnixMs)>> {
    let mut next = connection.prepare_cached(
        "SELECT webhook, due_ms FROM deliveries INDEXED BY deliveries_due
         WHERE webhook > ?1 AND due_ms IS NOT NULL ORDER BY webhook, due_ms LIMIT 1",
    )?;
    let mut found = Vec::new();
    let mut after = -1_i64;
    while let Some((webhook, due_ms)) =
        next.query_row([after], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?))).optional()?
    {
        found.push((WebhookNo(webhook), UnixMs(due_ms)));
        after = i64::from(webhook);
    }
    Ok(found)
}
