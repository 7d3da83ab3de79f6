//! The kind `postgres`: the tables and views of `tables/` in a PostgreSQL database.
//!
//! A batch is one transaction with one insert for each of its tables. Invariants: an event that is there already is
//! left as it is, so that a batch may come again at any time. What the database says of a value (classes 22, 23 and 54 of SQLSTATE) is
//! about the event; all else is about the database or the moment, and the batch comes again. Read `layout.rs`, then
//! `rows.rs` next.

mod layout;
mod rows;

use std::future::ready;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::hidden::Hidden;
use super::tables::Row;
use super::whole::{self, Whole};
use super::{Settings, SettingsError, Sink, SinkError, Stored};
use crate::postgres::Database;
use layout::Schema;

/// How long one batch may take. Below what the inbox waits, so that the database's own word is heard.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    /// A connection string: `postgres://user:password@host/database?sslmode=require`, or `host=… user=…`.
    url: Hidden,
    /// Where the tables are.
    #[serde(default = "schema")]
    schema: String,
    /// Certificates (PEM) of authorities that are trusted beside the public ones.
    ca_file: Option<PathBuf>,
}

fn schema() -> String {
    "vai".to_owned()
}

/// Makes the sink.
pub(super) fn open(settings: Settings) -> Result<Box<dyn Sink>, SettingsError> {
    let members: Members = settings.read()?;
    let database = Database::parse(members.url.reveal(), members.ca_file.as_deref())?;
    let schema = Schema::new(&members.schema)?;
    Ok(Box::new(Postgres { database, schema, client: None }))
}

struct Postgres {
    database: Database,
    schema: Schema,
    /// A connection that was good when it was last used, with the tables there.
    client: Option<tokio_postgres::Client>,
}

impl Postgres {
    /// A connection behind which the tables are.
    async fn ready(&mut self) -> Result<tokio_postgres::Client, SinkError> {
        // Taken out, so that whatever fails or is cut off leaves no transaction half done.
        match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => Ok(client),
            None => {
                let mut client = self.database.connect().await.map_err(SinkError::again)?;
                self.schema.create(&mut client).await.map_err(|error| self.again(&error))?;
                Ok(client)
            }
        }
    }

    async fn insert(&mut self, rows: &[Row]) -> Result<(), SinkError> {
        let mut client = self.ready().await?;
        match rows::insert(&mut client, &self.schema, rows).await {
            Ok(()) => {
                self.client = Some(client);
                Ok(())
            }
            Err(error) if of_the_event(&error) => {
                self.client = Some(client);
                Err(SinkError::Refused { at: 0, detail: self.database.shown(&error) })
            }
            Err(error) => Err(self.again(&error)),
        }
    }

    async fn found(&self) -> Result<String, SinkError> {
        let client = self.database.connect().await.map_err(SinkError::again)?;
        let there = self.schema.is_there(&client).await.map_err(|error| self.again(&error))?;
        let (place, schema) = (self.database.place(), self.schema.name());
        Ok(match there {
            true => format!("{place} is there, with the tables in schema {schema}"),
            false => format!("{place} is there; the first event makes the tables in schema {schema}"),
        })
    }

    fn again(&self, error: &tokio_postgres::Error) -> SinkError {
        SinkError::again(self.database.shown(error))
    }
}

/// Source: PostgreSQL, "Error Codes": 22 data exception, 23 integrity constraint, 54 program limit exceeded.
fn of_the_event(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| matches!(&code.code()[..2], "22" | "23" | "54"))
}

impl Whole for Postgres {
    fn put_whole<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        let row = |(at, stored): (usize, &Stored)| {
            Row::of(&stored.event).map_err(|detail| SinkError::Refused { at, detail })
        };
        let rows: Vec<Row> = match batch.iter().enumerate().map(row).collect() {
            Ok(rows) => rows,
            Err(refused) => return ready(Err(refused)).boxed(),
        };
        async move {
            match tokio::time::timeout(BATCH_TIMEOUT, self.insert(&rows)).await {
                Ok(done) => done,
                Err(_) => {
                    let late = format!("no end within {} s", BATCH_TIMEOUT.as_secs());
                    Err(SinkError::again(self.database.say(late)))
                }
            }
        }
        .boxed()
    }
}

impl Sink for Postgres {
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        whole::put(self, batch).boxed()
    }

    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        self.found().boxed()
    }
}
