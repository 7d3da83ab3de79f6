//! Transformations as rows: their versions, and the deliveries that wait for one to be mended.
//!
//! Invariant: a version is written once and never changed; a delivery is held only for the version that its
//! webhook has, so that none is forgotten when that is changed. Read `webhooks.rs` next.

use rusqlite::{Connection, OptionalExtension as _, params};
use vai_webhooks_wire::UnixMs;

use super::group::Group;
use super::{columns, deliveries};
use crate::event::DeliveryState;
use crate::key::{EventKey, WebhookNo};
use crate::store::{Parked, Settlement, StoredScript, StoredWebhook};
use crate::webhook::Form;

/// Keeps the version that a webhook has now, unless it is kept already.
pub(super) fn keep(connection: &Connection, webhook: &StoredWebhook) -> rusqlite::Result<()> {
    if let Some(script) = &webhook.config.transform {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO scripts (webhook, version, code, created_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![webhook.no.0, script.version, &*script.code, webhook.updated_at.0])?;
    }
    connection
        .prepare_cached("UPDATE webhooks SET script = ?2 WHERE no = ?1")?
        .execute(params![webhook.no.0, Form::of(&webhook.config).map(Form::number)])?;
    Ok(())
}

/// The versions of a webhook's transformation, newest first.
pub(super) fn list(connection: &Connection, webhook: WebhookNo) -> rusqlite::Result<Vec<StoredScript>> {
    connection
        .prepare_cached(
            "SELECT version, created_ms, octet_length(code) FROM scripts WHERE webhook = ?1 ORDER BY version DESC",
        )?
        .query_map([webhook.0], |row| {
            Ok(StoredScript {
                version: row.get(0)?,
                created_at: UnixMs(row.get(1)?),
                code_bytes: row.get(2)?,
            })
        })?
        .collect()
}

/// The code of one version.
pub(super) fn code(
    connection: &Connection,
    webhook: WebhookNo,
    version: u32,
) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT code FROM scripts WHERE webhook = ?1 AND version = ?2")?
        .query_row(params![webhook.0, version], |row| row.get(0))
        .optional()
}

/// When a delivery is due after an attempt, and in which form. One that is to be held for a version that its
/// webhook has no more is due now, in the form that it has.
pub(super) fn due_or_held(
    connection: &Connection,
    settlement: &Settlement,
) -> rusqlite::Result<(Option<UnixMs>, Option<Form>)> {
    if settlement.state != DeliveryState::Pending || settlement.due.is_some() {
        return Ok((settlement.due, settlement.form));
    }
    let now = connection
        .prepare_cached("SELECT script FROM webhooks WHERE no = ?1")?
        .query_row([settlement.webhook.0], |row| columns::form(row, 0))?;
    let due = (now != settlement.form).then_some(settlement.ended_at);
    Ok((due, now))
}

/// From now on the delivery goes out without a script.
pub(super) fn pin_original(
    connection: &Connection,
    group: &mut Group,
    event: EventKey,
    webhook: WebhookNo,
) -> rusqlite::Result<()> {
    deliveries::park(connection, group, Parked { event, webhook, due: event.at() })?;
    connection
        .prepare_cached("UPDATE deliveries SET version = version - (version & 16777215) WHERE event = ?1 AND webhook = ?2")?
        .execute(params![event.0, webhook.0])?;
    Ok(())
}

/// Makes up to `limit` held deliveries of a webhook due, by the version that it has now.
pub(super) fn release(
    connection: &Connection,
    group: &mut Group,
    webhook: WebhookNo,
    limit: u32,
    now: UnixMs,
) -> rusqlite::Result<u32> {
    let released = connection
        .prepare_cached(
            "UPDATE deliveries SET due_ms = ?3, note = NULL, attempts_before = attempts,
                                   version = (SELECT script FROM webhooks WHERE no = ?1)
             WHERE webhook = ?1 AND event IN
                 (SELECT event FROM deliveries INDEXED BY deliveries_held
                  WHERE webhook = ?1 AND state = 0 AND due_ms IS NULL ORDER BY event LIMIT ?2)",
        )?
        .execute(params![webhook.0, limit, now.0])?;
    if released > 0 {
        group.committed.due.insert(webhook, now);
    }
    Ok(u32::try_from(released).unwrap_or(u32::MAX))
}

/// Makes due what was held for a version that its webhook has no more: a crash may have come between the
/// change and its release. Webhooks that were deleted have none, so that what is theirs is cancelled.
pub(super) fn recover(connection: &Connection, now: UnixMs) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE deliveries SET due_ms = ?1, note = NULL, attempts_before = attempts,
                               version = (SELECT script FROM webhooks WHERE no = webhook)
         WHERE state = 0 AND due_ms IS NULL
             AND (version IS NOT (SELECT script FROM webhooks WHERE no = webhook)
                  OR (SELECT status FROM webhooks WHERE no = webhook) = 'deleted')",
        [now.0],
    )?;
    Ok(())
}

/// Cancels up to `limit` held deliveries of a deleted webhook.
pub(super) fn cancel_held(
    connection: &Connection,
    webhook: WebhookNo,
    limit: u32,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 3, note = NULL
             WHERE webhook = ?1 AND event IN
                 (SELECT event FROM deliveries INDEXED BY deliveries_held
                  WHERE webhook = ?1 AND state = 0 AND due_ms IS NULL ORDER BY event LIMIT ?2)",
        )?
        .execute(params![webhook.0, limit])
}
