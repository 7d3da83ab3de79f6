//! Deliveries: what became of each event at each webhook, from pending to its one final state.
//!
//! A delivery has a row as soon as it waits for anything but its first, prompt attempt. Without a row it
//! is delivered where its first attempt is recorded, and pending where that is not. Invariants: `due_ms`
//! is set exactly while a row's state is pending; a final state is left only by sending again by hand.
//! Read `prompt.rs` and `attempts.rs` next.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use vai_webhooks_wire::UnixMs;

use super::columns;
use super::group::Group;
use crate::event::{Delivery, DeliveryState};
use crate::key::{EventKey, Realm, WebhookNo};
use crate::store::{Due, DueQuery, Parked, Ready, Sendable, Settlement};

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

/// The row of a delivery that is pending and was not tried.
pub(super) fn insert_row(
    connection: &Connection,
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
    Ok(())
}

/// Where a delivery stands by its row, if it has one.
fn row_state(
    connection: &Connection,
    event: EventKey,
    webhook: WebhookNo,
) -> rusqlite::Result<Option<DeliveryState>> {
    connection
        .prepare_cached("SELECT state FROM deliveries WHERE event = ?1 AND webhook = ?2")?
        .query_row(params![event.0, webhook.0], |row| row.get(0).map(state))
        .optional()
}

/// Records an attempt and moves its delivery, unless that is final by now: then the attempt only counts.
pub(super) fn settle(
    connection: &Connection,
    group: &mut Group,
    settlement: &Settlement,
) -> rusqlite::Result<()> {
    let Settlement { event, webhook, number: made, state, due, .. } = settlement;
    super::attempts::insert(connection, settlement)?;
    group.prompt.saw(settlement.attempt.0);
    let row = row_state(connection, *event, *webhook)?;
    let values = params![event.0, webhook.0, number(*state), made, due.map(|at| at.0)];
    match row {
        // The attempt alone says it.
        None if *state == DeliveryState::Delivered && *made == 1 => {}
        None => {
            let insert = "INSERT INTO deliveries (event, webhook, state, attempts, attempts_before, due_ms)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5)";
            connection.prepare_cached(insert)?.execute(values)?;
        }
        Some(DeliveryState::Pending) => {
            let update = "UPDATE deliveries SET state = ?3, attempts = ?4, due_ms = ?5
                 WHERE event = ?1 AND webhook = ?2";
            connection.prepare_cached(update)?.execute(values)?;
        }
        Some(_) => {
            let update = "UPDATE deliveries SET attempts = ?3 WHERE event = ?1 AND webhook = ?2";
            connection.prepare_cached(update)?.execute(params![event.0, webhook.0, made])?;
        }
    }
    if row.is_none() {
        group.prompt.remove(*event);
    }
    let stats = group.stats.entry(*webhook).or_default();
    stats.attempts += 1;
    if !settlement.exchanged.delivered() {
        stats.last_failed_ms = Some(settlement.ended_at.0);
    }
    if matches!(row, None | Some(DeliveryState::Pending)) {
        if *state == DeliveryState::Delivered {
            stats.last_sent_ms = Some(settlement.ended_at.0);
        }
        stats.count(DeliveryState::Pending, -1);
        stats.count(*state, 1);
    }
    Ok(())
}

/// Gives a row to a delivery that was handed over in memory, unless it has one.
pub(super) fn park(connection: &Connection, group: &mut Group, parked: Parked) -> rusqlite::Result<()> {
    let Parked { event, webhook, due } = parked;
    if row_state(connection, event, webhook)?.is_none() {
        insert_row(connection, event, webhook, due)?;
        group.prompt.remove(event);
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
    let targets: Option<Vec<u8>> = connection
        .prepare_cached("SELECT targets FROM events WHERE key = ?1")?
        .query_row([event.0], |row| row.get(0))?;
    let before = fates(connection, event, targets.as_deref())?.into_iter().find(|it| it.webhook == webhook);
    let attempts = before.as_ref().map_or(0, |fate| fate.attempts);
    connection
        .prepare_cached(
            "INSERT INTO deliveries (event, webhook, state, attempts, attempts_before, due_ms)
             VALUES (?1, ?2, 0, ?3, ?3, ?4)
             ON CONFLICT (event, webhook) DO UPDATE SET state = 0, due_ms = ?4, attempts_before = attempts",
        )?
        .execute(params![event.0, webhook.0, attempts, now.0])?;
    if before.as_ref().is_some_and(|fate| !fate.has_row && fate.state == DeliveryState::Pending) {
        group.prompt.remove(event);
    }
    let stats = group.stats.entry(webhook).or_default();
    if let Some(before) = before {
        stats.count(before.state, -1);
    }
    stats.count(DeliveryState::Pending, 1);
    group.committed.due.insert(webhook, now);
    group.committed.reopened.push((webhook, event));
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
    let stats = group.stats.entry(webhook).or_default();
    stats.count(DeliveryState::Cancelled, count);
    stats.count(DeliveryState::Pending, -count);
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

/// Where one delivery of an event stands.
pub(super) struct Fate {
    pub(super) webhook: WebhookNo,
    pub(super) state: DeliveryState,
    /// When the next attempt is due, while it is pending and has a row.
    pub(super) due: Option<UnixMs>,
    attempts: u32,
    has_row: bool,
}

/// Where each delivery of an event stands, by webhook number.
pub(super) fn fates(
    connection: &Connection,
    event: EventKey,
    targets: Option<&[u8]>,
) -> rusqlite::Result<Vec<Fate>> {
    let mut all: Vec<Fate> = connection
        .prepare_cached("SELECT webhook, state, due_ms, attempts FROM deliveries WHERE event = ?1")?
        .query_map([event.0], |row| {
            Ok(Fate {
                webhook: WebhookNo(row.get(0)?),
                state: state(row.get(1)?),
                due: row.get::<_, Option<i64>>(2)?.map(UnixMs),
                attempts: row.get(3)?,
                has_row: true,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let with_rows: HashSet<WebhookNo> = all.iter().map(|fate| fate.webhook).collect();
    let mut taken = connection
        .prepare_cached("SELECT 1 FROM attempts WHERE event = ?1 AND webhook = ?2 AND number = 1")?;
    for webhook in columns::targets_of(targets).filter(|webhook| !with_rows.contains(webhook)) {
        let (state, attempts) = match taken.exists(params![event.0, webhook.0])? {
            true => (DeliveryState::Delivered, 1),
            false => (DeliveryState::Pending, 0),
        };
        all.push(Fate { webhook, state, due: None, attempts, has_row: false });
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
        let due = fate.due.or((fate.state == DeliveryState::Pending).then(|| event.at()));
        let delivery = Delivery {
            id: event.delivery_id(no, realm),
            event_id: event_id.clone(),
            webhook_id: webhook_id.query_row([no.0], |row| columns::webhook_id(row, 0))?,
            state: fate.state,
            next_attempt_at: due,
            attempts: super::attempts::of_delivery(connection, event, no, realm)?,
        };
        Ok((no, delivery))
    };
    fates(connection, event, targets.as_deref())?.into_iter().map(delivery).collect()
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
