//! `kind = "sqlite"`: a database file with a table for each event type, and conversations, messages and users over them.
//!
//! It exists as the seed's storage, in a file of its owner's that any tool opens. The layout is `tables/`'s; times are
//! RFC 3339 texts, truth is 0 or 1. Invariant: a batch is one transaction, synced; an event that comes again finds its
//! row. Read `tables/mod.rs` next.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use serde::Deserialize;

use super::settings::{Settings, SettingsError};
use super::tables::{Cell, Kind, Row, TABLES, Table, VIEWS};
use super::{Sink, SinkError, Stored};

/// How long another program may hold the file.
const LOCK_WAIT_MS: u64 = 5_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    /// The database file; made if missing.
    path: PathBuf,
}

/// Makes the sink; the file's directory must be there.
pub(super) fn open(settings: Settings) -> Result<Box<dyn Sink>, SettingsError> {
    let own = settings.data_dir().to_owned();
    let Members { path } = settings.read()?;
    let is_own = path.file_name().is_some_and(|name| name == "receiver.db" || name == "derived.db");
    if is_own && path.parent() == Some(&own) {
        return Err(SettingsError("path names the receiver's own database: give another file".to_owned()));
    }
    Ok(Box::new(Sqlite { path, open: Arc::default() }))
}

struct Sqlite {
    path: PathBuf,
    /// None until the first batch, and after an error.
    open: Arc<Mutex<Option<Connection>>>,
}

impl Sink for Sqlite {
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let mut rows = Vec::with_capacity(batch.len());
            for (at, stored) in batch.iter().enumerate() {
                match Row::of(&stored.event) {
                    Ok(row) => rows.push(row),
                    // Those before it go first; it comes again as the first of its batch.
                    Err(_) if at > 0 => break,
                    Err(detail) => return Err(SinkError::Refused { at, detail }),
                }
            }
            let count = rows.len();
            let (path, open) = (self.path.clone(), self.open.clone());
            let work = move || {
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                let mut connection = match open.take() {
                    Some(connection) => connection,
                    None => prepare(Connection::open(&path)?)?,
                };
                insert(&mut connection, &rows)?;
                *open = Some(connection);
                Ok(())
            };
            self.blocking(work).await?;
            match batch.get(count) {
                Some(bad) => {
                    let detail = Row::of(&bad.event).err().unwrap_or_default();
                    Err(SinkError::Refused { at: count, detail })
                }
                None => Ok(()),
            }
        })
    }

    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        Box::pin(async {
            if !self.path.exists() {
                let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
                return match parent.is_none_or(std::path::Path::is_dir) {
                    true => Ok(format!("{} will be made", self.path.display())),
                    false => {
                        Err(SinkError::again(format!("{}: there is no such directory", self.path.display())))
                    }
                };
            }
            let path = self.path.clone();
            let look = move || {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(path, flags)?;
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
            };
            let found = self.blocking(look).await?;
            Ok(format!("{} is there, with {found} tables, views and indexes", self.path.display()))
        })
    }
}

impl Sqlite {
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SinkError> {
        let done = tokio::task::spawn_blocking(work).await.map_err(SinkError::again)?;
        done.map_err(|error| SinkError::again(format!("{}: {error}", self.path.display())))
    }
}

fn prepare(mut connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(Duration::from_millis(LOCK_WAIT_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction()?;
    for table in &TABLES {
        let columns: Vec<String> = table.all_columns().map(definition).collect();
        let columns = columns.join(", ");
        transaction
            .execute_batch(&format!("CREATE TABLE IF NOT EXISTS {} ({columns}) STRICT", table.name))?;
        if table.has("session_id") {
            let name = table.name;
            transaction.execute_batch(&format!(
                "CREATE INDEX IF NOT EXISTS {name}_session_id ON {name} (session_id)"
            ))?;
        }
    }
    for view in &VIEWS {
        let query = view.query.replace("{s}", "");
        transaction.execute_batch(&format!("CREATE VIEW IF NOT EXISTS {} AS {query}", view.name))?;
    }
    transaction.commit()?;
    Ok(connection)
}

fn definition((name, kind): (&str, Kind)) -> String {
    let kind = match kind {
        Kind::Text | Kind::Time | Kind::Json => "TEXT",
        Kind::Integer | Kind::Bool => "INTEGER",
        Kind::Real => "REAL",
    };
    let key = if name == "event_id" { " PRIMARY KEY" } else { "" };
    format!("{name} {kind}{key}")
}

fn insert(connection: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for row in rows {
        let mut insert = transaction.prepare_cached(&statement(&TABLES[row.table]))?;
        insert.execute(params_from_iter(row.cells.iter().map(value)))?;
    }
    transaction.commit()
}

fn statement(table: &Table) -> String {
    let count = table.all_columns().count();
    let places = vec!["?"; count].join(", ");
    format!("INSERT INTO {} VALUES ({places}) ON CONFLICT (event_id) DO NOTHING", table.name)
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Text(text) | Cell::Json(text) => Value::Text(text.clone()),
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Real(number) => Value::Real(*number),
        Cell::Bool(truth) => Value::Integer(i64::from(*truth)),
        Cell::Time(at) => Value::Text(at.to_string()),
    }
}
