//! Rows into tables, as few statements as there are tables in the batch.
//!
//! Columns go over the wire as arrays, so that a statement is the same for any number of rows. Invariant: all rows of
//! a call are committed, or none. Read `mod.rs` for what becomes of an error.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Transaction};
use vai_webhooks_wire::UnixMs;

use super::super::tables::{Cell, Kind, Row, TABLES, Table};
use super::layout::Schema;

/// Inserts rows that are not there yet.
pub(super) async fn insert(client: &mut Client, schema: &Schema, rows: &[Row]) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    for (index, table) in TABLES.iter().enumerate() {
        let of_table: Vec<&Row> = rows.iter().filter(|row| row.table == index).collect();
        if !of_table.is_empty() {
            insert_into(&transaction, schema, table, &of_table).await?;
        }
    }
    transaction.commit().await
}

async fn insert_into(
    transaction: &Transaction<'_>,
    schema: &Schema,
    table: &Table,
    rows: &[&Row],
) -> Result<(), Error> {
    let columns: Vec<(&str, Kind)> = table.all_columns().collect();
    let arrays: Vec<Box<dyn ToSql + Sync + Send>> =
        columns.iter().enumerate().map(|(at, (_, kind))| array(*kind, rows, at)).collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|array| &**array as _).collect();
    transaction.execute(&statement(schema, table, &columns), &parameters).await?;
    Ok(())
}

/// Times go as milliseconds and JSON as text: the server makes them what they are.
fn statement(schema: &Schema, table: &Table, columns: &[(&str, Kind)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let values = columns.iter().map(|(name, kind)| match kind {
        Kind::Time => format!("TIMESTAMPTZ 'epoch' + {name} * INTERVAL '1 millisecond'"),
        Kind::Json => format!("{name}::jsonb"),
        _ => (*name).to_owned(),
    });
    let values: Vec<String> = values.collect();
    let sent = columns.iter().enumerate().map(|(at, (_, kind))| format!("${}::{}[]", at + 1, sent_as(*kind)));
    let sent: Vec<String> = sent.collect();
    format!(
        "INSERT INTO {}{} ({names}) SELECT {} FROM unnest({}) AS sent ({names}) ON CONFLICT (event_id) DO NOTHING",
        schema.dot(),
        table.name,
        values.join(", "),
        sent.join(", "),
        names = names.join(", "),
    )
}

fn sent_as(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Json => "text",
        Kind::Integer | Kind::Time => "bigint",
        Kind::Real => "double precision",
        Kind::Bool => "boolean",
    }
}

fn array(kind: Kind, rows: &[&Row], at: usize) -> Box<dyn ToSql + Sync + Send> {
    let cells = rows.iter().map(|row| &row.cells[at]);
    match kind {
        Kind::Text | Kind::Json => Box::new(cells.map(text).collect::<Vec<Option<String>>>()),
        Kind::Integer | Kind::Time => Box::new(cells.map(integer).collect::<Vec<Option<i64>>>()),
        Kind::Real => {
            let real = |cell: &Cell| if let Cell::Real(real) = cell { Some(*real) } else { None };
            Box::new(cells.map(real).collect::<Vec<Option<f64>>>())
        }
        Kind::Bool => {
            let bool = |cell: &Cell| if let Cell::Bool(bool) = cell { Some(*bool) } else { None };
            Box::new(cells.map(bool).collect::<Vec<Option<bool>>>())
        }
    }
}

fn text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Text(text) | Cell::Json(text) => Some(text.clone()),
        _ => None,
    }
}

fn integer(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Integer(integer) | Cell::Time(UnixMs(integer)) => Some(*integer),
        _ => None,
    }
}
