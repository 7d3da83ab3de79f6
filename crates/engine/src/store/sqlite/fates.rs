//! Where the deliveries of events stand, from their rows and, for those without one, from their attempts.
//!
//! It exists because most deliveries have no row: see `prompt.rs`. To be read in one transaction, since attempts are in
//! more than one place. Read `scripts.rs` next.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vai_webhooks_wire::UnixMs;

use super::attempts::record::Recorded;
use super::attempts::taken::taken;
use super::columns;
use super::deliveries::state;
use crate::event::{Delivery, DeliveryState};
use crate::key::{EventKey, Realm, WebhookNo};
use crate::webhook::Form;

/// Where one delivery of an event stands.
pub(super) struct Fate {
    pub(super) webhook: WebhookNo,
    pub(super) state: DeliveryState,
    /// When the next attempt is due, while it is pending and has a row.
    pub(super) due: Option<UnixMs>,
    pub(super) attempts: u32,
    pub(super) has_row: bool,
    /// What makes its bytes, where they are not the event's as it was accepted.
    pub(super) form: Option<Form>,
    /// Why it is held, or was dropped.
    note: Option<String>,
    /// Its first attempt, where that stands whole in the ledger.
    first: Option<Recorded>,
}

/// Where each delivery of each of these events stands, by webhook number; the events with their `targets`.
pub(super) fn fates<'t>(
    connection: &Connection,
    events: impl Iterator<Item = (EventKey, Option<&'t [u8]>)>,
) -> rusqlite::Result<Vec<Vec<Fate>>> {
    let mut all = Vec::new();
    let mut to_search = Vec::new();
    let mut was_tried = connection
        .prepare_cached("SELECT 1 FROM attempts WHERE event = ?1 AND webhook = ?2 AND number = 1")?;
    for (event, targets) in events {
        let mut fates = with_rows(connection, event)?;
        let rows = fates.len();
        for (webhook, form) in columns::targets_of(targets) {
            if fates[..rows].binary_search_by_key(&webhook, |fate| fate.webhook).is_err() {
                fates.push(Fate::without_row(webhook, form));
            }
        }
        for fate in &mut fates {
            if was_tried.exists(params![event.0, fate.webhook.0])? {
                fate.was_tried();
            } else if !fate.has_row || fate.attempts > 0 {
                to_search.push((event, fate.webhook));
            }
        }
        fates.sort_unstable_by_key(|fate| fate.webhook);
        all.push((event, fates));
    }
    let mut taken = taken(connection, to_search.into_iter())?;
    let finish = |(event, mut fates): (EventKey, Vec<Fate>)| {
        for fate in &mut fates {
            if let Some(first) = taken.remove(&(event, fate.webhook)) {
                fate.was_tried();
                fate.first = Some(first);
            }
        }
        fates
    };
    Ok(all.into_iter().map(finish).collect())
}

impl Fate {
    /// Of a delivery that has no row, until it is known that it was tried.
    pub(super) fn without_row(webhook: WebhookNo, form: Option<Form>) -> Self {
        let state = DeliveryState::Pending;
        Self { webhook, state, due: None, attempts: 0, has_row: false, form, note: None, first: None }
    }

    /// Without a row there is a first attempt only where that delivered.
    pub(super) fn was_tried(&mut self) {
        if !self.has_row {
            (self.state, self.attempts) = (DeliveryState::Delivered, 1);
        }
    }
}

/// Where those stand that have rows, by webhook number.
fn with_rows(connection: &Connection, event: EventKey) -> rusqlite::Result<Vec<Fate>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE event = ?1 ORDER BY webhook"))?
        .query_map([event.0], of_row)?
        .collect()
}

/// Where one delivery stands that has a row.
pub(super) fn with_row(
    connection: &Connection,
    event: EventKey,
    webhook: WebhookNo,
) -> rusqlite::Result<Option<Fate>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE event = ?1 AND webhook = ?2"))?
        .query_row(params![event.0, webhook.0], of_row)
        .optional()
}

const SELECT: &str = "SELECT webhook, state, due_ms, attempts, version, note FROM deliveries";

fn of_row(row: &Row<'_>) -> rusqlite::Result<Fate> {
    Ok(Fate {
        webhook: WebhookNo(row.get(0)?),
        state: state(row.get(1)?),
        due: row.get::<_, Option<i64>>(2)?.map(UnixMs),
        attempts: row.get(3)?,
        has_row: true,
        form: columns::form(row, 4)?,
        note: row.get(5)?,
        first: None,
    })
}

/// The deliveries of an event with all their attempts.
pub(super) fn list(
    connection: &Connection,
    event: EventKey,
    realm: Realm,
) -> rusqlite::Result<Vec<(WebhookNo, Delivery)>> {
    let snapshot = connection.unchecked_transaction()?;
    let (dedupe, targets) = snapshot
        .prepare_cached("SELECT dedupe, targets FROM events WHERE key = ?1")?
        .query_row([event.0], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
        })?;
    let event_id = columns::id_of(event, dedupe.as_deref(), realm);
    let mut webhook_id = snapshot.prepare_cached("SELECT id FROM webhooks WHERE no = ?1")?;
    let delivery = |fate: Fate| {
        let no = fate.webhook;
        let pending = fate.state == DeliveryState::Pending;
        let due = fate.due.or((pending && !fate.has_row).then(|| event.at()));
        let delivery = Delivery {
            id: event.delivery_id(no, realm),
            event_id: event_id.clone(),
            webhook_id: webhook_id.query_row([no.0], |row| columns::webhook_id(row, 0))?,
            state: fate.state,
            next_attempt_at: due,
            held: pending && due.is_none(),
            reason: fate.note,
            format: fate.form.unwrap_or_default().format,
            transform_version: fate.form.map(|form| form.script).filter(|version| *version > 0),
            attempts: super::attempts::of_delivery(&snapshot, event, no, fate.first, realm)?,
        };
        Ok((no, delivery))
    };
    let fates = fates(&snapshot, std::iter::once((event, targets.as_deref())))?;
    fates.into_iter().flatten().map(delivery).collect()
}
