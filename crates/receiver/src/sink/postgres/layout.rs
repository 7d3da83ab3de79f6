//! The schema, its tables and its views.
//!
//! Invariant: names come from `tables/` and from a checked setting, never from an event. Read `rows.rs` next.

use std::fmt::Write as _;

use tokio_postgres::{Client, Error};

use super::super::SettingsError;
use super::super::tables::{Kind, TABLES, Table, VIEWS};

/// The longest name that PostgreSQL does not cut, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// A checked schema.
pub(super) struct Schema {
    name: String,
}

impl Schema {
    pub(super) fn new(name: &str) -> Result<Self, SettingsError> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
        if begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(good) {
            Ok(Self { name: name.to_owned() })
        } else {
            let what = format!("schema must be a name of a-z, 0-9 and _, {NAME_BYTES_MAX} at most");
            Err(SettingsError(what))
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// `"vai".`: what stands before a name.
    pub(super) fn dot(&self) -> String {
        format!("\"{}\".", self.name)
    }

    /// Whether the last thing that [`create`](Self::create) makes is there.
    pub(super) async fn is_there(&self, client: &Client) -> Result<bool, Error> {
        let last = format!("{}{}", self.dot(), VIEWS[VIEWS.len() - 1].name);
        let row = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&last]).await?;
        row.try_get(0)
    }

    /// Makes what is missing, all or nothing. Where everything is there it needs no right to make anything.
    pub(super) async fn create(&self, client: &mut Client) -> Result<(), Error> {
        if self.is_there(client).await? {
            return Ok(());
        }
        let transaction = client.transaction().await?;
        transaction.batch_execute(&self.definition()).await?;
        transaction.commit().await
    }

    fn definition(&self) -> String {
        let dot = self.dot();
        let mut sql = format!("CREATE SCHEMA IF NOT EXISTS \"{}\";\n", self.name);
        for table in &TABLES {
            let columns: Vec<String> = table.all_columns().map(definition).collect();
            // A String takes every text.
            let _always = writeln!(
                sql,
                "CREATE TABLE IF NOT EXISTS {dot}{} (\n  {},\n  PRIMARY KEY (event_id)\n);",
                table.name,
                columns.join(",\n  ")
            );
            for column in indexed(table) {
                let _always = writeln!(
                    sql,
                    "CREATE INDEX IF NOT EXISTS {table}_{column} ON {dot}{table} ({column});",
                    table = table.name
                );
            }
        }
        for view in &VIEWS {
            let query = view.query.replace("{s}", &dot);
            let _always = writeln!(sql, "CREATE OR REPLACE VIEW {dot}{} AS {query};", view.name);
        }
        sql
    }
}

fn indexed(table: &Table) -> impl Iterator<Item = &'static str> {
    let own = ["session_id", "user_id", "agent_id"].into_iter().filter(|name| table.has(name));
    own.chain(["occurred_at"])
}

fn definition((name, kind): (&'static str, Kind)) -> String {
    let null =
        if matches!(name, "event_id" | "occurred_at" | "received_at" | "data") { " NOT NULL" } else { "" };
    format!("{name} {}{null}", type_of(kind))
}

/// The type of a column of this kind.
fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Integer => "bigint",
        Kind::Real => "double precision",
        Kind::Bool => "boolean",
        Kind::Time => "timestamptz",
        Kind::Json => "jsonb",
    }
}
