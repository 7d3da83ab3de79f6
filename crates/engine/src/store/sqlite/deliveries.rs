//! Deliveries: one row for each event at each webhook, from pending to its one final state.
//!
//! Invariants: `due_ms` is set exactly while the state is pending; a final state is left only by sending
//! again by hand. Read `attempts.rs` next.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use vai_webhooks_wire::UnixMs;

use super::columns;
use super::group::Group;
use crate::event::{Delivery, DeliveryState};
use crate::key::{EventKey, Realm, WebhookNo};
use crate::store::{Due, DueQuery, Handed, Ready, Sendable, Settlement};

const PENDING: i64 = 0;

fn number(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::Pending => PENDING,
        DeliveryState::Delivered => 1,
        DeliveryState::Exhausted => 2,
        DeliveryState::Cancelled => 3,
        DeliveryState::Rejected => 4,
    }
}

fn state(number: i64) -> DeliveryState {
    match number {
        0 => DeliveryState::Pending,
        1 => DeliveryState::Delivered,
        2 => DeliveryState::Exhausted,
        3 => DeliveryState::Cancelled,
        _ => DeliveryState::Rejected,
    }
}

/// A new delivery.
pub(super) fn insert_pending(
    connection: &Connection,
    group: &mut Group,
    event: EventKey,
    webhook: WebhookNo,
    due: UnixMs,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO deliveries (event, webhook, state, attempts, attempts_before, due_ms)
             VALUES (?1, ?2, 0, 0, 0, ?3)",
        )?
        .execute(params![event.0, webhook.0, due.0])?;
    group.rows += 2;
    group.stats.entry(webhook.0).or_default().pending += 1;
    Ok(())
}

/// Records an attempt and moves its delivery, unless that is final by now: then the attempt only counts.
pub(super) fn settle(
    connection: &Connection,
    group: &mut Group,
    settlement: &Settlement,
) -> rusqlite::Result<()> {
    let Settlement { event, webhook, number: made, state, due, .. } = settlement;
    super::attempts::insert(connection, settlement)?;
    let moved = connection
        .prepare_cached(
            "UPDATE deliveries SET state = ?3, attempts = ?4, due_ms = ?5
             WHERE event = ?1 AND webhook = ?2 AND state = 0",
        )?
        .execute(params![event.0, webhook.0, number(*state), made, due.map(|at| at.0)])?;
    if moved == 0 {
        connection
            .prepare_cached("UPDATE deliveries SET attempts = ?3 WHERE event = ?1 AND webhook = ?2")?
            .execute(params![event.0, webhook.0, made])?;
    }
    group.rows += 3;
    let stats = group.stats.entry(webhook.0).or_default();
    stats.attempts += 1;
    if !settlement.exchanged.delivered() {
        stats.last_failed_ms = Some(settlement.ended_at.0);
    }
    if moved == 1 {
        match state {
            DeliveryState::Pending => return Ok(()),
            DeliveryState::Delivered => {
                stats.sent += 1;
                stats.last_sent_ms = Some(settlement.ended_at.0);
            }
            DeliveryState::Cancelled => stats.cancelled += 1,
            DeliveryState::Exhausted | DeliveryState::Rejected => stats.failed += 1,
        }
        stats.pending -= 1;
    }
    Ok(())
}

/// Makes a delivery due now, with all its attempts before it: a final one again, a new one where there
/// was none, a pending one sooner.
pub(super) fn reopen(
    connection: &Connection,
    group: &mut Group,
    event: EventKey,
    webhook: WebhookNo,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let failed_or_done = connection
        .prepare_cached("SELECT state FROM deliveries WHERE event = ?1 AND webhook = ?2")?
        .query_row(params![event.0, webhook.0], |row| row.get::<_, i64>(0))
        .optional()?;
    match failed_or_done.map(state) {
        None => insert_pending(connection, group, event, webhook, now)?,
        Some(before) => {
            connection
                .prepare_cached(
                    "UPDATE deliveries SET state = 0, due_ms = ?3, attempts_before = attempts
                     WHERE event = ?1 AND webhook = ?2",
                )?
                .execute(params![event.0, webhook.0, now.0])?;
            let stats = group.stats.entry(webhook.0).or_default();
            match before {
                DeliveryState::Pending => stats.pending -= 1,
                DeliveryState::Delivered => stats.sent -= 1,
                DeliveryState::Exhausted | DeliveryState::Rejected => stats.failed -= 1,
                DeliveryState::Cancelled => stats.cancelled -= 1,
            }
            stats.pending += 1;
        }
    }
    group.handed.push(Handed { webhook, due: now, key: event, event: None });
    Ok(())
}

/// Cancels up to `limit` pending deliveries of a webhook; says how many there were.
pub(super) fn cancel(
    connection: &Connection,
    group: &mut Group,
    webhook: WebhookNo,
    limit: u32,
) -> rusqlite::Result<u32> {
    let cancelled = connection
        .prepare_cached(
            "UPDATE deliveries SET state = 3, due_ms = NULL
             WHERE webhook = ?1 AND event IN
                 (SELECT event FROM deliveries INDEXED BY deliveries_due
                  WHERE webhook = ?1 AND due_ms IS NOT NULL ORDER BY due_ms, event LIMIT ?2)",
        )?
        .execute(params![webhook.0, limit])?;
    let count = i64::try_from(cancelled).unwrap_or(i64::MAX);
    let stats = group.stats.entry(webhook.0).or_default();
    stats.cancelled += count;
    stats.pending -= count;
    group.rows += cancelled;
    Ok(u32::try_from(cancelled).unwrap_or(u32::MAX))
}

/// The next due deliveries of a webhook, oldest first.
pub(super) fn due(connection: &Connection, query: &DueQuery, realm: Realm) -> rusqlite::Result<Due> {
    // One row more than could be taken tells whether there are more.
    let limit = i64::try_from(query.skip.len() + query.limit + 1).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT event, due_ms FROM deliveries INDEXED BY deliveries_due
         WHERE webhook = ?1 AND due_ms IS NOT NULL ORDER BY due_ms, event LIMIT ?2",
    )?;
    let mut rows = statement.query(params![query.webhook.0, limit])?;
    let skip: std::collections::HashSet<EventKey> = query.skip.iter().copied().collect();
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
            "SELECT e.type, e.dedupe, e.body, d.attempts, d.attempts_before
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
            Ok(Ready { event: Arc::new(event), attempts: row.get(3)?, attempts_before: row.get(4)? })
        })
}

/// The deliveries of an event with all their attempts.
pub(super) fn list(
    connection: &Connection,
    event: EventKey,
    realm: Realm,
) -> rusqlite::Result<Vec<(WebhookNo, Delivery)>> {
    connection
        .prepare_cached(
            "SELECT d.webhook, w.id, d.state, d.due_ms, e.dedupe
             FROM deliveries d JOIN events e ON e.key = d.event JOIN webhooks w ON w.no = d.webhook
             WHERE d.event = ?1 ORDER BY d.webhook",
        )?
        .query_map([event.0], |row| {
            let no = WebhookNo(row.get(0)?);
            let delivery = Delivery {
                id: event.delivery_id(no, realm),
                event_id: columns::id_of(event, row.get_ref(4)?.as_str_or_null()?, realm),
                webhook_id: columns::webhook_id(row, 1)?,
                state: state(row.get(2)?),
                next_attempt_at: row.get::<_, Option<i64>>(3)?.map(UnixMs),
                attempts: super::attempts::of_delivery(connection, event, no, realm)?,
            };
            Ok((no, delivery))
        })?
        .collect()
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
