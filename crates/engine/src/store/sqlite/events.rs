//! Events: kept with their deliveries, read back, listed.
//!
//! Where an event goes is asked of the hooks inside the transaction, so that it matches what was
//! registered when it was committed. Read `deliveries.rs` next.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vai_webhooks_wire::{EventId, UnixMs};

use super::columns::{self, BY_ID, id_of};
use super::deliveries;
use super::fates::Fate;
use super::group::Group;
use super::ledger::{self, Of};
use crate::event::{DeliveryCounts, DeliveryState, Event, EventSummary, Nowhere};
use crate::key::{EventKey, Realm};
use crate::store::{AcceptEvent, Acceptance, Dedupe, Fresh, Target};
use crate::tenant::TenantId;

/// Keeps one event and a pending delivery for each webhook that takes it.
pub(super) fn accept(
    connection: &Connection,
    group: &mut Group,
    new: AcceptEvent,
) -> rusqlite::Result<Acceptance> {
    if group.prompt.is_late(new.event.key) {
        return Ok(Acceptance::Late);
    }
    if let Some(dedupe) = &new.dedupe
        && let Some(known) = known(connection, new.tenant, dedupe)?
    {
        return Ok(known);
    }
    let route = group.hooks.route(&new);
    let targets = columns::targets(route.targets.iter().map(|target| (target.webhook, target.form)));
    insert(group, &new, &targets, route.nowhere)?;
    let key = new.event.key;
    let due = new.deliver_at.map_or(new.now, |at| at.max(new.now));
    for Target { webhook, place, form } in route.targets {
        group.ledger.counts(webhook).pending += 1;
        if let Some(place) = place {
            group.prompt.add(key, webhook);
            group.committed.fresh.push(Fresh { webhook, event: Arc::clone(&new.event), place, form });
        } else {
            deliveries::insert_row(connection, key, webhook, due, form)?;
            let first = group.committed.due.entry(webhook).or_insert(due);
            *first = due.min(*first);
        }
    }
    Ok(Acceptance::New)
}

/// The event that is kept under this name, where there is one.
pub(super) fn known(
    connection: &Connection,
    tenant: TenantId,
    dedupe: &Dedupe,
) -> rusqlite::Result<Option<Acceptance>> {
    connection
        .prepare_cached("SELECT key, content FROM events WHERE tenant = ?1 AND dedupe = ?2")?
        .query_row(params![tenant.0, dedupe.name], |row| {
            let same = row.get_ref(1)?.as_blob()? == dedupe.content;
            Ok(if same { Acceptance::Same(EventKey(row.get(0)?)) } else { Acceptance::Differs })
        })
        .optional()
}

/// Writes the event's own row.
pub(super) fn insert(
    group: &mut Group<'_>,
    new: &AcceptEvent,
    targets: &[u8],
    nowhere: Option<Nowhere>,
) -> rusqlite::Result<()> {
    group.statements.insert_event.execute(params![
        new.event.key.0,
        new.tenant.0,
        &*new.event.event_type,
        new.timestamp.0,
        new.deliver_at.map(|at| at.0),
        new.dedupe.as_ref().map(|dedupe| &dedupe.name),
        new.dedupe.as_ref().map(|dedupe| &dedupe.content[..]),
        nowhere.map(Nowhere::as_str),
        Some(targets).filter(|targets| !targets.is_empty()),
        &new.event.body[..]
    ])?;
    group.ledger.event(new.tenant, new.event.key);
    group.prompt.saw(new.event.key.0);
    group.types.saw(new.tenant, &new.event.event_type, new.now);
    Ok(())
}

/// The key of the event that a producer gave this id.
pub(super) fn key_of(
    connection: &Connection,
    tenant: TenantId,
    id: &EventId,
) -> rusqlite::Result<Option<EventKey>> {
    connection
        .prepare_cached("SELECT key FROM events WHERE tenant = ?1 AND dedupe = ?2")?
        .query_row(params![tenant.0, format!("{BY_ID}{id}")], |row| row.get(0).map(EventKey))
        .optional()
}

const SUMMARY: &str = "key, type, timestamp_ms, deliver_at_ms, dedupe, nowhere, targets";

/// An event's summary without the counts of its deliveries, and its `targets`.
fn summary(row: &Row<'_>, realm: Realm) -> rusqlite::Result<(EventSummary, Option<Vec<u8>>)> {
    let key = EventKey(row.get(0)?);
    let nowhere = row.get_ref(5)?.as_str_or_null()?;
    let summary = EventSummary {
        position: key,
        id: id_of(key, row.get_ref(4)?.as_str_or_null()?, realm),
        event_type: row.get(1)?,
        timestamp: UnixMs(row.get(2)?),
        accepted_at: key.at(),
        deliver_at: row.get::<_, Option<i64>>(3)?.map(UnixMs),
        nowhere: nowhere.and_then(Nowhere::named),
        deliveries: DeliveryCounts::default(),
    };
    Ok((summary, row.get(6)?))
}

/// Deliveries that are looked at together, give or take those of one event: a page can have millions.
const TOGETHER: usize = 4_096;

/// The same summaries with the counts of their deliveries.
fn counted(
    connection: &Connection,
    summaries: Vec<(EventSummary, Option<Vec<u8>>)>,
) -> rusqlite::Result<Vec<EventSummary>> {
    let mut counted = Vec::with_capacity(summaries.len());
    let mut rest = summaries.into_iter().peekable();
    while rest.peek().is_some() {
        let (mut together, mut deliveries) = (Vec::new(), 0);
        while deliveries < TOGETHER
            && let Some((summary, targets)) = rest.next()
        {
            deliveries += columns::targets_of(targets.as_deref()).count();
            together.push((summary, targets));
        }
        let events = together.iter().map(|(summary, targets)| (summary.position, targets.as_deref()));
        let fates = super::fates::fates(connection, events)?;
        let count = |((summary, _), fates)| EventSummary { deliveries: counts(fates), ..summary };
        counted.extend(together.into_iter().zip(fates).map(count));
    }
    Ok(counted)
}

fn counts(fates: Vec<Fate>) -> DeliveryCounts {
    let mut counts = DeliveryCounts::default();
    for fate in fates {
        *match fate.state {
            DeliveryState::Pending => &mut counts.pending,
            DeliveryState::Delivered => &mut counts.delivered,
            DeliveryState::Exhausted | DeliveryState::Rejected => &mut counts.failed,
            DeliveryState::Cancelled => &mut counts.cancelled,
            DeliveryState::Dropped => &mut counts.dropped,
        } += 1;
    }
    counts
}

/// A tenant's events, newest first.
pub(super) fn list(
    connection: &Connection,
    tenant: TenantId,
    before: Option<EventKey>,
    limit: usize,
    realm: Realm,
) -> rusqlite::Result<Vec<EventSummary>> {
    let snapshot = connection.unchecked_transaction()?;
    let before = before.unwrap_or(EventKey(i64::MAX));
    let found = ledger::newest(&snapshot, Of::Tenant(tenant), before.0, limit)?;
    let mut statement = snapshot.prepare_cached(&format!("SELECT {SUMMARY} FROM events WHERE key = ?1"))?;
    let summary = |key: i64| statement.query_row([key], |row| summary(row, realm));
    let summaries = found.into_iter().map(|(key, _)| key).map(summary).collect::<rusqlite::Result<_>>()?;
    counted(&snapshot, summaries)
}

/// One event of a tenant.
pub(super) fn get(
    connection: &Connection,
    tenant: TenantId,
    key: EventKey,
    realm: Realm,
) -> rusqlite::Result<Option<Event>> {
    let snapshot = connection.unchecked_transaction()?;
    let sql = format!("SELECT {SUMMARY}, body FROM events WHERE key = ?1 AND tenant = ?2");
    let found = snapshot
        .prepare_cached(&sql)?
        .query_row(params![key.0, tenant.0], |row| {
            Ok((summary(row, realm)?, row.get_ref(7)?.as_blob()?.to_vec()))
        })
        .optional()?;
    let Some((summary, body)) = found else { return Ok(None) };
    let summary = counted(&snapshot, vec![summary])?.pop();
    Ok(summary.map(|summary| Event { summary, body: body.into() }))
}
