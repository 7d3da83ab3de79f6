//! Counts per webhook, kept in the same transactions as what they count.
//!
//! How they get here is in `ledger.rs`. Read `readers.rs` next.

use std::collections::HashSet;

use rusqlite::{Connection, params};
use vai_webhooks_wire::UnixMs;

use super::ledger::{self, Of};
use crate::event::DeliveryState;
use crate::key::WebhookNo;
use crate::store::{Stats, StatsOf};

/// How one webhook's counts change.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) sent: i64,
    pub(super) failed: i64,
    pub(super) cancelled: i64,
    pub(super) pending: i64,
    pub(super) attempts: i64,
    pub(super) last_sent_ms: Option<i64>,
    pub(super) last_failed_ms: Option<i64>,
}

impl Delta {
    /// So many more deliveries, or fewer, are in this state.
    pub(super) fn count(&mut self, state: DeliveryState, more: i64) {
        *match state {
            DeliveryState::Pending => &mut self.pending,
            DeliveryState::Delivered => &mut self.sent,
            DeliveryState::Exhausted | DeliveryState::Rejected => &mut self.failed,
            DeliveryState::Cancelled | DeliveryState::Dropped => &mut self.cancelled,
        } += more;
    }

    /// Both changes, `later` after this one.
    pub(super) fn add(&mut self, later: &Self) {
        self.sent += later.sent;
        self.failed += later.failed;
        self.cancelled += later.cancelled;
        self.pending += later.pending;
        self.attempts += later.attempts;
        self.last_sent_ms = later.last_sent_ms.or(self.last_sent_ms);
        self.last_failed_ms = later.last_failed_ms.or(self.last_failed_ms);
    }
}

/// Adds a change to its webhook's row.
pub(super) fn add(connection: &Connection, webhook: WebhookNo, delta: &Delta) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO stats (webhook, sent, failed, cancelled, pending, attempts, last_sent_ms, last_failed_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (webhook) DO UPDATE SET
             sent = sent + excluded.sent,
             failed = failed + excluded.failed,
             cancelled = cancelled + excluded.cancelled,
             pending = pending + excluded.pending,
             attempts = attempts + excluded.attempts,
             last_sent_ms = coalesce(excluded.last_sent_ms, last_sent_ms),
             last_failed_ms = coalesce(excluded.last_failed_ms, last_failed_ms)",
    )?;
    statement.execute(params![
        webhook.0,
        delta.sent,
        delta.failed,
        delta.cancelled,
        delta.pending,
        delta.attempts,
        delta.last_sent_ms,
        delta.last_failed_ms
    ])?;
    Ok(())
}

/// The webhooks that have deliveries pending, and how many.
pub(super) fn pending(connection: &Connection) -> rusqlite::Result<Vec<(WebhookNo, i64)>> {
    let mut statement = connection.prepare("SELECT webhook, pending FROM stats WHERE pending <> 0")?;
    let rows = statement.query_map([], |row| Ok((WebhookNo(row.get(0)?), row.get(1)?)))?;
    rows.collect()
}

/// The sum over the webhooks asked for.
pub(super) fn read(connection: &Connection, of: StatsOf) -> rusqlite::Result<Stats> {
    // Table and log as of one commit.
    let snapshot = connection.unchecked_transaction()?;
    let mut sum = in_table(&snapshot, of)?;
    let mut webhooks = HashSet::new();
    if let StatsOf::Tenant(tenant) = of {
        let mut statement = snapshot.prepare_cached("SELECT no FROM webhooks WHERE tenant = ?1")?;
        let rows = statement.query_map([tenant.0], |row| row.get(0).map(WebhookNo))?;
        webhooks = rows.collect::<rusqlite::Result<_>>()?;
    }
    let is_asked_for = |entry: Of| match (of, entry) {
        (_, Of::Tenant(_)) => false,
        (StatsOf::Webhook(one), Of::Webhook(webhook)) => webhook == one,
        (StatsOf::Tenant(_), Of::Webhook(webhook)) => webhooks.contains(&webhook),
        (StatsOf::All, Of::Webhook(_)) => true,
    };
    let (mut last_sent_ms, mut last_failed_ms) = (sum.last_sent_ms, sum.last_failed_ms);
    ledger::logged(&snapshot, is_asked_for, |entry| {
        last_sent_ms = last_sent_ms.max(entry.counts.last_sent_ms);
        last_failed_ms = last_failed_ms.max(entry.counts.last_failed_ms);
        sum.add(&entry.counts);
    })?;
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(Stats {
        sent: count(sum.sent),
        failed: count(sum.failed),
        cancelled: count(sum.cancelled),
        pending: count(sum.pending),
        attempts: count(sum.attempts),
        last_sent: last_sent_ms.map(UnixMs),
        last_failed: last_failed_ms.map(UnixMs),
    })
}

fn in_table(connection: &Connection, of: StatsOf) -> rusqlite::Result<Delta> {
    let (condition, value) = match of {
        StatsOf::Webhook(no) => ("webhook = ?1", i64::from(no.0)),
        StatsOf::Tenant(tenant) => ("webhook IN (SELECT no FROM webhooks WHERE tenant = ?1)", tenant.0),
        StatsOf::All => ("?1 = 0", 0),
    };
    let sql = format!(
        "SELECT coalesce(sum(sent), 0), coalesce(sum(failed), 0), coalesce(sum(cancelled), 0), coalesce(sum(pending), 0),
                coalesce(sum(attempts), 0), max(last_sent_ms), max(last_failed_ms)
         FROM stats WHERE {condition}"
    );
    connection.prepare_cached(&sql)?.query_row([value], |row| {
        Ok(Delta {
            sent: row.get(0)?,
            failed: row.get(1)?,
            cancelled: row.get(2)?,
            pending: row.get(3)?,
            attempts: row.get(4)?,
            last_sent_ms: row.get(5)?,
            last_failed_ms: row.get(6)?,
        })
    })
}
