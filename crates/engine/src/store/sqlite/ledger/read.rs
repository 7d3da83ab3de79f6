//! Reading the ledger: what the tables hold, and what the log holds beyond them.
//!
//! Invariant: both are read in one transaction, since a fold moves entries from one to the other. Read
//! `../attempts.rs` next.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use rusqlite::{Connection, params};

use super::entry::{Logged, Of};
use super::records::{records, span_after};

/// The newest records below `before`, newest first, at most so many.
pub(in super::super) fn newest(
    connection: &Connection,
    of: Of,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut add = |bytes: &[u8]| {
        let below = records(bytes).filter(|(key, _)| *key < before);
        found.extend(below.map(|(key, content)| (key, content.to_vec())));
        found.sort_unstable_by_key(|(key, _)| Reverse(*key));
        found.truncate(limit);
        // Below this key there is none that could be wanted.
        found.get(limit.saturating_sub(1)).map_or(i64::MIN, |(key, _)| *key)
    };
    logged(
        connection,
        |it| it == of,
        |it| {
            add(it.records);
        },
    )?;
    let mut chunks = connection
        .prepare_cached("SELECT last, records FROM ledger WHERE of = ?1 AND last < ?2 ORDER BY last DESC")?;
    let mut rows = chunks.query(params![of.number(), span_after(before)])?;
    let mut enough = i64::MIN;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(0)? < enough {
            break;
        }
        enough = add(row.get_ref(1)?.as_blob()?);
    }
    Ok(found)
}

/// Gives `each` the chunks of the tables, not of the log, that can hold records from one key to another, both among them,
/// with the last key of each, in their order; until it breaks off.
pub(in super::super) fn between(
    connection: &Connection,
    of: Of,
    (from, to): (i64, i64),
    mut each: impl FnMut(i64, &[u8]) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let mut chunks = connection.prepare_cached(
        "SELECT last, records FROM ledger WHERE of = ?1 AND last >= ?2 AND last <= ?3 ORDER BY last",
    )?;
    let mut rows = chunks.query(params![of.number(), from, span_after(to)])?;
    while let Some(row) = rows.next()? {
        if each(row.get(0)?, row.get_ref(1)?.as_blob()?).is_break() {
            break;
        }
    }
    Ok(())
}

/// What the log holds beyond the tables, of those that are wanted. To be read in one transaction with the tables.
pub(in super::super) fn logged(
    connection: &Connection,
    wanted: impl Fn(Of) -> bool,
    mut each: impl FnMut(Logged<'_>),
) -> rusqlite::Result<()> {
    let (upto, done) =
        (progress(connection, "ledger_folded_upto")?, progress(connection, "ledger_folded_done")?);
    let mut statement = connection.prepare_cached("SELECT no, entries FROM ledger_log ORDER BY no")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (no, mut bytes): (i64, &[u8]) = (row.get(0)?, row.get_ref(1)?.as_blob()?);
        while let Some(entry) = Logged::decode(&mut bytes) {
            if (no > upto || entry.of.number() > done) && wanted(entry.of) {
                each(entry);
            }
        }
    }
    Ok(())
}

fn progress(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT coalesce((SELECT value FROM meta WHERE name = ?1), 0)")?
        .query_row([name], |row| row.get(0))
}
