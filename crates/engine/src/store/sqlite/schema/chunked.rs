//! Bringing what was kept by webhook and tenant into chunks: from a row for each attempt and event, and from a log that a
//! crash has left.
//!
//! Read `../ledger.rs` next.

use rusqlite::{Connection, Row, params};

use super::super::attempts::record;
use super::super::ledger::varint::take;
use super::super::ledger::{self, Of, Records};
use super::super::stats;
use crate::key::{AttemptKey, EventKey, WebhookNo};
use crate::tenant::TenantId;

/// Records that are brought over at once.
const AT_ONCE: usize = 4_096;

/// Brings everything over, and takes away what it was in.
pub(super) fn bring(connection: &Connection) -> rusqlite::Result<()> {
    unfold_log(connection)?;
    bring_table(
        connection,
        "SELECT webhook, key, event, number FROM attempts_of ORDER BY webhook, key",
        |row, records| {
            let (key, event) = (AttemptKey(row.get(1)?), EventKey(row.get(2)?));
            let number = row.get(3)?;
            records.push(key.0, |bytes| record::put_which(key, event, number, bytes));
            Ok(Of::Webhook(WebhookNo(row.get(0)?)))
        },
    )?;
    bring_table(connection, "SELECT tenant, key FROM events_of ORDER BY tenant, key", |row, records| {
        records.push(row.get(1)?, |_| ());
        Ok(Of::Tenant(TenantId(row.get(0)?)))
    })?;
    connection.execute_batch(
        "DROP TABLE attempts_of;
         DROP TABLE events_of;
         DELETE FROM ledger_log;
         DELETE FROM meta WHERE name IN ('ledger_folded_upto', 'ledger_folded_done');",
    )
}

fn bring_table(
    connection: &Connection,
    sql: &str,
    mut add: impl FnMut(&Row<'_>, &mut Records) -> rusqlite::Result<Of>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let (mut records, mut count, mut whose) = (Records::default(), 0, None);
    while let Some(row) = rows.next()? {
        let mut one = Records::default();
        let of = add(row, &mut one)?;
        if let Some(before) = whose
            && (before != of || count >= AT_ONCE)
        {
            ledger::put_records(connection, before, &std::mem::take(&mut records))?;
            count = 0;
        }
        records.append(one.bytes());
        count += 1;
        whose = Some(of);
    }
    whose.map_or(Ok(()), |of| ledger::put_records(connection, of, &records))
}

/// Puts what the log of versions 4 to 6 holds beyond the tables into them.
fn unfold_log(connection: &Connection) -> rusqlite::Result<()> {
    let number = |name: &str| {
        connection.query_row("SELECT coalesce((SELECT value FROM meta WHERE name = ?1), 0)", [name], |row| {
            row.get::<_, i64>(0)
        })
    };
    let (upto, done) = (number("ledger_folded_upto")?, number("ledger_folded_done")?);
    let mut statement = connection.prepare("SELECT no, entries FROM ledger_log ORDER BY no")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (no, mut bytes): (i64, &[u8]) = (row.get(0)?, row.get_ref(1)?.as_blob()?);
        while let Some(of) = take(&mut bytes) {
            let wanted = no > upto || of > done;
            if unfold_entry(connection, of, &mut bytes, wanted)?.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// One entry: a webhook's counts and attempts (key, key less event, number), or a tenant's events; `None` where it ends too soon.
fn unfold_entry(
    connection: &Connection,
    of: i64,
    bytes: &mut &[u8],
    wanted: bool,
) -> rusqlite::Result<Option<()>> {
    let Ok(webhook) = u32::try_from(of) else {
        let mut insert = connection.prepare_cached("INSERT INTO events_of (tenant, key) VALUES (?1, ?2)")?;
        let Some(count) = take(bytes) else { return Ok(None) };
        for _ in 0..count {
            let Some(key) = take(bytes) else { return Ok(None) };
            if wanted {
                insert.execute(params![of - (1 << 32), key])?;
            }
        }
        return Ok(Some(()));
    };
    let (Some(counts), Some(count)) = (ledger::counts(bytes), take(bytes)) else { return Ok(None) };
    if wanted {
        stats::add(connection, WebhookNo(webhook), &counts)?;
    }
    let mut insert = connection
        .prepare_cached("INSERT INTO attempts_of (webhook, key, event, number) VALUES (?1, ?2, ?3, ?4)")?;
    for _ in 0..count {
        let (Some(key), Some(after), Some(number)) = (take(bytes), take(bytes), take(bytes)) else {
            return Ok(None);
        };
        if wanted {
            insert.execute(params![webhook, key, key.wrapping_sub(after), number])?;
        }
    }
    Ok(Some(()))
}

#[cfg(test)]
mod tests;
