//! Attempts: written once, never changed.
//!
//! The table's own order answers "what became of this event here"; its one index answers "what happened
//! at this webhook, newest first". Read `webhooks.rs` next.

use std::time::Duration;

use rusqlite::{Connection, Row, params};
use vai_webhooks_wire::UnixMs;

use super::columns;
use crate::attempt::{Attempt, Exchanged};
use crate::dispatch::transport::FailureKind;
use crate::key::{AttemptKey, EventKey, Realm, WebhookNo};
use crate::store::Settlement;

/// Keeps one attempt. The same number again means that the attempt before was never recorded here, as
/// after a crash: the newer one stands.
pub(super) fn insert(connection: &Connection, settlement: &Settlement) -> rusqlite::Result<()> {
    let exchanged = &settlement.exchanged;
    let answer = Some(&exchanged.answer[..]).filter(|answer| !answer.is_empty());
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO attempts (event, webhook, number, key, started_ms, took_us, address,
                                              status, failure, detail, answer, answer_cut)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            settlement.event.0,
            settlement.webhook.0,
            settlement.number,
            settlement.attempt.0,
            settlement.started_at.0,
            i64::try_from(exchanged.took.as_micros()).unwrap_or(i64::MAX),
            exchanged.address.map(|address| address.to_string()),
            exchanged.status,
            exchanged.failure.map(FailureKind::as_str),
            exchanged.detail,
            answer,
            exchanged.answer_cut
        ])?;
    Ok(())
}

const COLUMNS: &str = "a.key, a.event, a.number, a.started_ms, a.took_us, a.address, a.status, a.failure,
    a.detail, a.answer, a.answer_cut, e.type, e.dedupe, w.id";
const FROM: &str = "attempts a JOIN events e ON e.key = a.event JOIN webhooks w ON w.no = a.webhook";

fn attempt(row: &Row<'_>, realm: Realm) -> rusqlite::Result<Attempt> {
    let event = EventKey(row.get(1)?);
    let took_us: i64 = row.get(4)?;
    Ok(Attempt {
        id: AttemptKey(row.get(0)?).id(realm),
        event_id: columns::id_of(event, row.get_ref(12)?.as_str_or_null()?, realm),
        event_type: row.get(11)?,
        webhook_id: columns::webhook_id(row, 13)?,
        number: row.get(2)?,
        started_at: UnixMs(row.get(3)?),
        exchanged: Exchanged {
            took: Duration::from_micros(took_us.unsigned_abs()),
            address: row.get_ref(5)?.as_str_or_null()?.and_then(|text| text.parse().ok()),
            status: row.get(6)?,
            failure: row.get_ref(7)?.as_str_or_null()?.and_then(FailureKind::named),
            detail: row.get(8)?,
            answer: row.get_ref(9)?.as_blob_or_null()?.unwrap_or_default().to_vec().into(),
            answer_cut: row.get(10)?,
        },
    })
}

/// The attempts of one delivery, oldest first. A retry policy bounds them; sending again by hand adds
/// rounds, of which the newest are shown.
pub(super) fn of_delivery(
    connection: &Connection,
    event: EventKey,
    webhook: WebhookNo,
    realm: Realm,
) -> rusqlite::Result<Vec<Attempt>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE a.event = ?1 AND a.webhook = ?2 ORDER BY a.number DESC LIMIT 250"
    );
    let mut newest_first: Vec<Attempt> = connection
        .prepare_cached(&sql)?
        .query_map(params![event.0, webhook.0], |row| attempt(row, realm))?
        .collect::<rusqlite::Result<_>>()?;
    newest_first.reverse();
    Ok(newest_first)
}

/// The attempts at one webhook, newest first.
pub(super) fn of_webhook(
    connection: &Connection,
    webhook: WebhookNo,
    before: Option<AttemptKey>,
    limit: usize,
    realm: Realm,
) -> rusqlite::Result<Vec<Attempt>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE a.webhook = ?1 AND a.key < ?2 ORDER BY a.key DESC LIMIT ?3"
    );
    let before = before.map_or(i64::MAX, |key| key.0);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached(&sql)?
        .query_map(params![webhook.0, before, limit], |row| attempt(row, realm))?
        .collect()
}
