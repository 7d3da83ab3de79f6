//! Where the deliveries of an event stand, from their rows and, for those without one, from their attempts.
//!
//! It exists because most deliveries have no row: see `prompt.rs`. Read `scripts.rs` next.

use std::collections::HashSet;

use rusqlite::Connection;
use rusqlite::params;
use vai_webhooks_wire::UnixMs;

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
}

/// Where each delivery of an event stands, by webhook number.
pub(super) fn fates(
    connection: &Connection,
    event: EventKey,
    targets: Option<&[u8]>,
) -> rusqlite::Result<Vec<Fate>> {
    let mut all: Vec<Fate> = connection
        .prepare_cached(
            "SELECT webhook, state, due_ms, attempts, version, note FROM deliveries WHERE event = ?1",
        )?
        .query_map([event.0], |row| {
            Ok(Fate {
                webhook: WebhookNo(row.get(0)?),
                state: state(row.get(1)?),
                due: row.get::<_, Option<i64>>(2)?.map(UnixMs),
                attempts: row.get(3)?,
                has_row: true,
                form: columns::form(row, 4)?,
                note: row.get(5)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let with_rows: HashSet<WebhookNo> = all.iter().map(|fate| fate.webhook).collect();
    let mut taken = connection
        .prepare_cached("SELECT 1 FROM attempts WHERE event = ?1 AND webhook = ?2 AND number = 1")?;
    for (webhook, form) in columns::targets_of(targets).filter(|(webhook, _)| !with_rows.contains(webhook)) {
        let (state, attempts) = match taken.exists(params![event.0, webhook.0])? {
            true => (DeliveryState::Delivered, 1),
            false => (DeliveryState::Pending, 0),
        };
        all.push(Fate { webhook, state, due: None, attempts, has_row: false, form, note: None });
    }
    all.sort_unstable_by_key(|fate| fate.webhook);
    Ok(all)
}

/// The deliveries of an event with all their attempts.
pub(super) fn list(
    connection: &Connection,
    event: EventKey,
    realm: Realm,
) -> rusqlite::Result<Vec<(WebhookNo, Delivery)>> {
    let (dedupe, targets) = connection
        .prepare_cached("SELECT dedupe, targets FROM events WHERE key = ?1")?
        .query_row([event.0], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
    })?;
    let event_id = columns::id_of(event, dedupe.as_deref(), realm);
    let mut webhook_id = connection.prepare_cached("SELECT id FROM webhooks WHERE no = ?1")?;
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
            attempts: super::attempts::of_delivery(connection, event, no, realm)?,
        };
        Ok((no, delivery))
    };
    fates(connection, event, targets.as_deref())?.into_iter().map(delivery).collect()
}
