//! What is kept by webhook and by tenant: counts, a webhook's attempts, a tenant's events.
//!
//! Attempts and events are records in chunks, a row for all that one group has of one webhook or tenant. These tables
//! are not ordered by time. A group that is for a few webhooks and tenants changes their rows at once. One that is for many
//! would touch a page or two for nearly every event, in every commit; it appends its entries to a log instead, one row for
//! the whole group, and they are folded into the tables later: each webhook and tenant once for many groups, a slice in
//! each commit. Invariants: what is known is the tables and what the log holds beyond them, at every commit;
//! how far a fold has come is written with the slice, so that a crash in the middle counts nothing twice; the log is
//! bounded. Read `entry.rs` next, and `stats.rs` for how both are read.

mod entry;
mod read;
pub(super) mod records;
pub(super) mod varint;

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior, params};

pub(super) use self::entry::{Entry, Of, counts};
pub(super) use self::read::{between, logged, newest};
pub(super) use self::records::Records;
use super::stats::{self, Delta};
use crate::key::{AttemptKey, ByNumber, EventKey, WebhookNo};
use crate::tenant::TenantId;

/// A group that is for no more webhooks and tenants than this changes their rows at once.
const AT_ONCE_MAX: usize = 32;
/// Bytes of the log's entries, roughly, beyond which they are folded.
const LOGGED_MAX: usize = 8 * 1024 * 1024;
/// A fold takes so many commits at most.
const FOLD_COMMITS_MAX: usize = 256;
/// Webhooks and tenants that are folded in one commit at least.
const FOLD_SLICE_MIN: usize = 64;
/// Rows of the log that are deleted in one commit.
const DELETE_SLICE: i64 = 64;

/// What changed by webhook and by tenant.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// In the group that is being written.
    changed: ByNumber<Of, Entry>,
    /// In the log, where it is not being folded.
    logged: BTreeMap<Of, Entry>,
    /// How many bytes that is, roughly.
    logged_bytes: usize,
    /// The number of the log's last row.
    last_no: i64,
    fold: Option<Fold>,
}

#[derive(Debug)]
struct Fold {
    rest: BTreeMap<Of, Entry>,
    slice: usize,
    /// The last row of the log that is folded.
    upto: i64,
}

impl Ledger {
    /// How this webhook's counts change in the group that is being written.
    pub(super) fn counts(&mut self, webhook: WebhookNo) -> &mut Delta {
        &mut self.changed.entry(Of::Webhook(webhook)).or_default().counts
    }

    /// An attempt was made at this webhook; `write` appends the content of its record.
    pub(super) fn attempt(
        &mut self,
        webhook: WebhookNo,
        attempt: AttemptKey,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> &mut Delta {
        let entry = self.changed.entry(Of::Webhook(webhook)).or_default();
        entry.records.push(attempt.0, write);
        &mut entry.counts
    }

    /// An event of this tenant was accepted.
    pub(super) fn event(&mut self, tenant: TenantId, event: EventKey) {
        self.changed.entry(Of::Tenant(tenant)).or_default().records.push(event.0, |_| ());
    }

    /// Writes what the group changed.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.changed.len() <= AT_ONCE_MAX {
            put(connection, self.changed.iter())?;
        } else {
            self.log(connection)?;
        }
        self.fold(connection)
    }

    /// How the counts changed, after the group's commit; forgets what the group changed.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (WebhookNo, Delta)> {
        self.changed.drain().filter_map(|(of, entry)| match of {
            Of::Webhook(webhook) => Some((webhook, entry.counts)),
            Of::Tenant(_) => None,
        })
    }

    fn log(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut bytes = Vec::with_capacity(self.changed.len() * 64);
        for (of, entry) in &self.changed {
            entry.encode(*of, &mut bytes);
            self.logged.entry(*of).or_default().add(&entry.counts, entry.records.bytes());
            self.logged_bytes += entry.weight();
        }
        self.last_no += 1;
        connection
            .prepare_cached("INSERT INTO ledger_log (no, entries) VALUES (?1, ?2)")?
            .execute(params![self.last_no, bytes])?;
        Ok(())
    }

    /// One slice of a fold, where there is one or it is time.
    fn fold(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.fold.is_none() && self.logged_bytes > LOGGED_MAX {
            let rest = std::mem::take(&mut self.logged);
            self.logged_bytes = 0;
            let slice = (rest.len() / FOLD_COMMITS_MAX).max(FOLD_SLICE_MIN);
            self.fold = Some(Fold { rest, slice, upto: self.last_no });
        }
        let Some(fold) = &mut self.fold else { return Ok(()) };
        if !fold.rest.is_empty() {
            // The more came meanwhile, the larger the slices, so that what comes is never far ahead.
            let slice = fold.slice * (1 + self.logged_bytes / (LOGGED_MAX / 2));
            let above = fold.rest.keys().nth(slice).copied();
            let later = above.map(|above| fold.rest.split_off(&above)).unwrap_or_default();
            let slice = std::mem::replace(&mut fold.rest, later);
            put(connection, slice.iter())?;
            let done = slice.last_key_value().map_or(0, |(of, _)| of.number());
            return put_progress(connection, fold.upto, if above.is_some() { done } else { i64::MAX });
        }
        let first: Option<i64> =
            connection.prepare_cached("SELECT min(no) FROM ledger_log")?.query_row([], |row| row.get(0))?;
        let until = first.unwrap_or(i64::MAX).saturating_add(DELETE_SLICE).min(fold.upto + 1);
        connection.prepare_cached("DELETE FROM ledger_log WHERE no < ?1")?.execute([until])?;
        if until > fold.upto {
            self.fold = None;
        }
        Ok(())
    }
}

/// Writes entries into their tables.
fn put<'a>(
    connection: &Connection,
    entries: impl Iterator<Item = (&'a Of, &'a Entry)>,
) -> rusqlite::Result<()> {
    for (of, entry) in entries {
        if let Of::Webhook(webhook) = of {
            stats::add(connection, *webhook, &entry.counts)?;
        }
        put_records(connection, *of, &entry.records)?;
    }
    Ok(())
}

/// Writes records into their table.
pub(super) fn put_records(connection: &Connection, of: Of, records: &Records) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT INTO ledger (of, last, records) VALUES (?1, ?2, ?3)")?;
    for (last, records) in records.chunks() {
        insert.execute(params![of.number(), last, records])?;
    }
    Ok(())
}

/// Rows of the log up to `upto` are folded for all whose number is not above `done`.
fn put_progress(connection: &Connection, upto: i64, done: i64) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?;
    put.execute(params!["ledger_folded_upto", upto])?;
    put.execute(params!["ledger_folded_done", done])?;
    Ok(())
}

/// Folds all of the log: when the store is opened or closed.
pub(super) fn fold_all(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut all: BTreeMap<Of, Entry> = BTreeMap::new();
    logged(&transaction, |_| true, |it| all.entry(it.of).or_default().add(&it.counts, it.records))?;
    put(&transaction, all.iter())?;
    transaction.execute("DELETE FROM ledger_log", [])?;
    put_progress(&transaction, 0, 0)?;
    transaction.commit()
}

#[cfg(test)]
mod tests;
