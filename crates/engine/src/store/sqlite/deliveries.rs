//! Deliveries: what became of each event at each webhook, from pending to its one final state.
//!
//! A delivery has a row as soon as it waits for anything but its first, prompt attempt. Without a row it
//! is delivered where its first attempt is recorded, and pending where that is not. Invariants: `due_ms`
//! is set exactly while a row's state is pending and it is not held; a final state is left only by sending again by hand.
//! Read `due.rs`, `fates.rs`, `scripts.rs`, `prompt.rs` and `attempts.rs` next.

use rusqlite::{Connection, OptionalExtension as _, params};
use vai_webhooks_wire::UnixMs;

use super::fates::{Fate, with_row};
use super::group::Group;
use super::prompt::Prompt;
use super::{columns, scripts};
use crate::event::DeliveryState;
use crate::key::{EventKey, WebhookNo};
use crate::store::{Parked, Settlement};
use crate::webhook::Form;

const PENDING: i64 = 0;

fn number(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::Pending => PENDING,
        DeliveryState::Delivered => 1,
        DeliveryState::Exhausted => 2,
        DeliveryState::Cancelled => 3,
        DeliveryState::Rejected => 4,
        DeliveryState::Dropped => 5,
    }
}

pub(super) fn state(number: i64) -> DeliveryState {
    match number {
        0 => DeliveryState::Pending,
        1 => DeliveryState::Delivered,
        2 => DeliveryState::Exhausted,
        3 => DeliveryState::Cancelled,
        4 => DeliveryState::Rejected,
        _ => DeliveryState::Dropped,
    }
}

/// The row of a delivery that is pending and was not tried.
pub(super) fn insert_row(
    connection: &Connection,
    event: EventKey,
    webhook: WebhookNo,
    due: UnixMs,
    form: Option<Form>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO deliveries (event, webhook, state, attempts, attempts_before, due_ms, version)
             VALUES (?1, ?2, 0, 0, 0, ?3, ?4)",
        )?
        .execute(params![event.0, webhook.0, due.0, form.map(Form::number)])?;
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
    let Settlement { event, webhook, number: made, state, .. } = settlement;
    let row = match group.prompt.remove(*event, *webhook) {
        true => None,
        false => row_state(connection, *event, *webhook)?,
    };
    match row {
        // The attempt alone says it.
        None if *state == DeliveryState::Delivered && *made == 1 => {}
        _ => move_row(connection, row, settlement)?,
    }
    group.prompt.saw(settlement.attempt.0);
    let stats = super::attempts::insert(group, settlement)?;
    stats.attempts += 1;
    if !settlement.exchanged.delivered() && *state != DeliveryState::Dropped {
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

/// Writes what an attempt means for a delivery into its row, which is in this state, or is not there yet.
fn move_row(
    connection: &Connection,
    row: Option<DeliveryState>,
    settlement: &Settlement,
) -> rusqlite::Result<()> {
    let Settlement { event, webhook, number: made, state, .. } = settlement;
    let (due, form) = scripts::due_or_held(connection, settlement)?;
    let due = due.map(|at| at.0);
    let values =
        params![event.0, webhook.0, number(*state), made, due, settlement.note, form.map(Form::number)];
    match row {
        None => {
            let insert =
                "INSERT INTO deliveries (event, webhook, state, attempts, attempts_before, due_ms, note, version)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7)";
            connection.prepare_cached(insert)?.execute(values)?;
        }
        Some(DeliveryState::Pending) => {
            // A form that was fixed meanwhile (without a script) stays.
            let update = "UPDATE deliveries SET state = ?3, attempts = ?4, due_ms = ?5, note = ?6,
                                 version = iif(version & 16777215 = 0, version, ?7)
                 WHERE event = ?1 AND webhook = ?2";
            connection.prepare_cached(update)?.execute(values)?;
        }
        Some(_) => {
            let update = "UPDATE deliveries SET attempts = ?3 WHERE event = ?1 AND webhook = ?2";
            connection.prepare_cached(update)?.execute(params![event.0, webhook.0, made])?;
        }
    }
    Ok(())
}

/// Gives a row to a delivery that was handed over in memory, unless it has one or needs none any more: its result may
/// have waited for the same commit.
pub(super) fn park(connection: &Connection, group: &mut Group, parked: Parked) -> rusqlite::Result<()> {
    let Parked { event, webhook, due } = parked;
    if group.prompt.remove(event, webhook) {
        insert_row(connection, event, webhook, due, form_without_row(connection, event, webhook)?)?;
    }
    Ok(())
}

/// The form of a delivery that has no row: its event's own row says it.
fn form_without_row(
    connection: &Connection,
    event: EventKey,
    webhook: WebhookNo,
) -> rusqlite::Result<Option<Form>> {
    Ok(target(connection, event, webhook)?.flatten())
}

/// The form of an event's delivery to this webhook, by the event's own row; `None` where it did not go there.
fn target(
    connection: &Connection,
    event: EventKey,
    webhook: WebhookNo,
) -> rusqlite::Result<Option<Option<Form>>> {
    let targets: Option<Vec<u8>> = connection
        .prepare_cached("SELECT targets FROM events WHERE key = ?1")?
        .query_row([event.0], |row| row.get(0))?;
    Ok(columns::targets_of(targets.as_deref()).find(|(it, _)| *it == webhook).map(|(_, form)| form))
}

/// Where a delivery stands, for the writer: what the group has written so far is not all in the tables.
fn fate(
    connection: &Connection,
    prompt: &Prompt,
    event: EventKey,
    webhook: WebhookNo,
) -> rusqlite::Result<Option<Fate>> {
    if let Some(fate) = with_row(connection, event, webhook)? {
        return Ok(Some(fate));
    }
    let form = target(connection, event, webhook)?;
    Ok(form.map(|form| {
        let mut fate = Fate::without_row(webhook, form);
        if !prompt.has(event, webhook) {
            fate.was_tried();
        }
        fate
    }))
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
    let before = fate(connection, &group.prompt, event, webhook)?;
    let attempts = before.as_ref().map_or(0, |fate| fate.attempts);
    // A delivery stays with the form that it had, so that it has the same bytes; one that is held or new gets
    // the one that the webhook has now.
    connection
        .prepare_cached(
            "INSERT INTO deliveries (event, webhook, state, attempts, attempts_before, due_ms, version)
             VALUES (?1, ?2, 0, ?3, ?3, ?4, iif(?5, ?6, (SELECT script FROM webhooks WHERE no = ?2)))
             ON CONFLICT (event, webhook) DO UPDATE SET
                 version = iif(state = 0 AND due_ms IS NULL, excluded.version, version),
                 state = 0, due_ms = ?4, attempts_before = attempts, note = NULL",
        )?
        .execute(params![
            event.0,
            webhook.0,
            attempts,
            now.0,
            before.as_ref().is_some_and(|it| !it.has_row),
            before.as_ref().and_then(|it| it.form).map(Form::number)
        ])?;
    group.prompt.remove(event, webhook);
    let stats = group.ledger.counts(webhook);
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
    let left = limit.saturating_sub(u32::try_from(cancelled).unwrap_or(limit));
    let cancelled = cancelled + scripts::cancel_held(connection, webhook, left)?;
    let count = i64::try_from(cancelled).unwrap_or(i64::MAX);
    let stats = group.ledger.counts(webhook);
    stats.count(DeliveryState::Cancelled, count);
    stats.count(DeliveryState::Pending, -count);
    Ok(u32::try_from(cancelled).unwrap_or(u32::MAX))
}

#[cfg(test)]
pub(super) mod tests;
