//! Attempts: written once, never changed.
//!
//! A first attempt that was taken stands whole in its webhook's ledger, all others have rows. The table's own order answers
//! "what became of this event here"; the ledger answers "what happened at this webhook, newest first". Read
//! `attempts/record.rs` next.

pub(super) mod record;
pub(super) mod taken;

use std::net::SocketAddr;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vai_webhooks_wire::UnixMs;

use self::record::{Recorded, Whole};
use super::columns;
use super::group::Group;
use super::ledger::{self, Of};
use super::stats::Delta;
use crate::attempt::{Attempt, Exchanged};
use crate::dispatch::transport::FailureKind;
use crate::key::{AttemptKey, EventKey, Realm, WebhookNo};
use crate::store::Settlement;

/// The address that the last attempt went to, as it is spelled: mostly that of the next one too.
#[derive(Debug, Default)]
pub(super) struct LastAddress(Option<(SocketAddr, String)>);

impl LastAddress {
    fn spelled(&mut self, address: SocketAddr) -> &str {
        let known = self.0.take().filter(|(last, _)| *last == address);
        &self.0.insert(known.unwrap_or_else(|| (address, address.to_string()))).1
    }
}

/// Keeps one attempt, and answers with its webhook's counts. The same number again means that the attempt before was never
/// recorded here, as after a crash: the newer one stands.
pub(super) fn insert<'g>(
    group: &'g mut Group<'_>,
    settlement: &Settlement,
) -> rusqlite::Result<&'g mut Delta> {
    let whole = record::is_whole(settlement);
    if !whole {
        insert_row(group, settlement)?;
    }
    let write = |bytes: &mut Vec<u8>| record::write(settlement, whole, bytes);
    Ok(group.ledger.attempt(settlement.webhook, settlement.attempt, write))
}

fn insert_row(group: &mut Group<'_>, settlement: &Settlement) -> rusqlite::Result<()> {
    let exchanged = &settlement.exchanged;
    let answer = Some(&exchanged.answer[..]).filter(|answer| !answer.is_empty());
    let Group { statements, address: last, .. } = group;
    statements.insert_attempt.execute(params![
        settlement.event.0,
        settlement.webhook.0,
        settlement.number,
        settlement.attempt.0,
        settlement.started_at.0,
        i64::try_from(exchanged.took.as_micros()).unwrap_or(i64::MAX),
        exchanged.address.map(|address| last.spelled(address)),
        exchanged.status,
        exchanged.failure.map(FailureKind::as_str),
        exchanged.detail,
        answer,
        exchanged.answer_cut
    ])?;
    Ok(())
}

/// Attempts of one delivery that are shown.
const ATTEMPTS_SHOWN: usize = 250;
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

/// The attempts of one delivery, oldest first: the one that stands whole in the ledger, and those with rows. A retry policy
/// bounds them; sending again by hand adds rounds, of which the newest are shown.
pub(super) fn of_delivery(
    connection: &Connection,
    event: EventKey,
    webhook: WebhookNo,
    taken: Option<Recorded>,
    realm: Realm,
) -> rusqlite::Result<Vec<Attempt>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE a.event = ?1 AND a.webhook = ?2 ORDER BY a.number DESC LIMIT {ATTEMPTS_SHOWN}"
    );
    let mut newest_first: Vec<Attempt> = connection
        .prepare_cached(&sql)?
        .query_map(params![event.0, webhook.0], |row| attempt(row, realm))?
        .collect::<rusqlite::Result<_>>()?;
    if let Some(Recorded { key, whole: Some(whole), .. }) = taken
        && newest_first.len() < ATTEMPTS_SHOWN
    {
        newest_first.push(of_whole(connection, key, event, webhook, whole, realm)?);
    }
    newest_first.reverse();
    Ok(newest_first)
}

/// An attempt that stands whole in its record, which is a delivery's first.
fn of_whole(
    connection: &Connection,
    key: AttemptKey,
    event: EventKey,
    webhook: WebhookNo,
    whole: Whole,
    realm: Realm,
) -> rusqlite::Result<Attempt> {
    connection
        .prepare_cached(
            "SELECT e.type, e.dedupe, w.id FROM events e JOIN webhooks w ON w.no = ?2 WHERE e.key = ?1",
        )?
        .query_row(params![event.0, webhook.0], |row| {
            Ok(Attempt {
                id: key.id(realm),
                event_id: columns::id_of(event, row.get_ref(1)?.as_str_or_null()?, realm),
                event_type: row.get(0)?,
                webhook_id: columns::webhook_id(row, 2)?,
                number: 1,
                started_at: whole.started_at,
                exchanged: whole.exchanged,
            })
        })
}

/// The attempts at one webhook, newest first.
pub(super) fn of_webhook(
    connection: &Connection,
    webhook: WebhookNo,
    before: Option<AttemptKey>,
    limit: usize,
    realm: Realm,
) -> rusqlite::Result<Vec<Attempt>> {
    let snapshot = connection.unchecked_transaction()?;
    // One that was made again after a crash stands under its newer key alone.
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE a.event = ?1 AND a.webhook = ?2 AND a.number = ?3 AND a.key = ?4"
    );
    let mut with_row = snapshot.prepare_cached(&sql)?;
    let mut attempts = Vec::new();
    for recorded in recorded(&snapshot, webhook, before.unwrap_or(AttemptKey(i64::MAX)), limit)? {
        let Recorded { key, event, number, whole } = recorded;
        let found = match whole {
            Some(whole) => Some(of_whole(&snapshot, key, event, webhook, whole, realm)?),
            None => with_row
                .query_row(params![event.0, webhook.0, number, key.0], |row| attempt(row, realm))
                .optional()?,
        };
        attempts.extend(found);
    }
    Ok(attempts)
}

/// The records of attempts at a webhook below `before`, newest first.
pub(super) fn recorded(
    connection: &Connection,
    webhook: WebhookNo,
    before: AttemptKey,
    limit: usize,
) -> rusqlite::Result<Vec<Recorded>> {
    let found = ledger::newest(connection, Of::Webhook(webhook), before.0, limit)?;
    Ok(found.into_iter().filter_map(|(key, content)| record::read(key, &content)).collect())
}
