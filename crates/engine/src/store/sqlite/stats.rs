//! Counts per webhook, kept in the same transactions as what they count.
//!
//! A group of writes changes each webhook's row once, however many deliveries it settles. Read
//! `readers.rs` next.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use vai_webhooks_wire::UnixMs;

use crate::event::DeliveryState;
use crate::key::WebhookNo;
use crate::store::{Stats, StatsOf};

/// How one webhook's counts change.
#[derive(Debug, Default, Clone, Copy)]
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
            DeliveryState::Cancelled => &mut self.cancelled,
        } += more;
    }
}

/// Writes the changes of a group.
pub(super) fn flush(
    connection: &Connection,
    changes: &mut HashMap<WebhookNo, Delta>,
) -> rusqlite::Result<()> {
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
    for (webhook, delta) in changes.drain() {
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
    }
    Ok(())
}

/// The sum over the webhooks asked for.
pub(super) fn read(connection: &Connection, of: StatsOf) -> rusqlite::Result<Stats> {
    let (condition, value) = match of {
        StatsOf::Webhook(no) => ("webhook = ?1", i64::from(no.0)),
        StatsOf::Tenant(tenant) => ("webhook IN (SELECT no FROM webhooks WHERE tenant = ?1)", tenant.0),
        StatsOf::All => ("?1 = 0", 0),
    };
    let sql = format!(
        "SELECT coalesce(sum(sent), 0), coalesce(sum(failed), 0), coalesce(sum(cancelled), 0), coalesce(sum(pending), 0), coalesce(sum(attempts), 0),
                max(last_sent_ms), max(last_failed_ms)
         FROM stats WHERE {condition}"
    );
    connection.prepare_cached(&sql)?.query_row([value], |row| {
        let count = |at: usize| row.get::<_, i64>(at).map(|count| u64::try_from(count).unwrap_or_default());
        Ok(Stats {
            sent: count(0)?,
            failed: count(1)?,
            cancelled: count(2)?,
            pending: count(3)?,
            attempts: count(4)?,
            last_sent: row.get::<_, Option<i64>>(5)?.map(UnixMs),
            last_failed: row.get::<_, Option<i64>>(6)?.map(UnixMs),
        })
    })
}
