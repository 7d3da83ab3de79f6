//! The tables, their versions, and the refusal of files that are not ours.
//!
//! It exists so that a wrong `--data` path never damages somebody else's database: the file's
//! `application_id` and `user_version` are read before anything is changed. Invariant: a file is
//! either brought to [`VERSION`] in one transaction or left as it was. Read `writer.rs` next.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::OpenError;

/// `VAIR`: marks a receiver's database in the file's header.
const APPLICATION_ID: i64 = 0x5641_4952;
/// The newest version of the tables, which is how many [`MIGRATIONS`] there are.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// One step from each version to the next. Written once, never changed afterwards.
///
/// `seq` grows with time and is the order in which handlers see events. `id` is the identity.
/// `body_sha256` is kept where the body holds no id (see `accept.rs`).
///
/// The second step is the inbox (see `inbox.rs`): `taken_to` and every `seq` below it are done with at this sink.
/// The third is retention: `done` says when every sink was done with all events up to `done_to`.
/// The fourth tells this inbox from every other (see `derived/origin.rs`).
const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE events (
        seq            INTEGER PRIMARY KEY,
        id             TEXT    NOT NULL UNIQUE,
        event_type     TEXT    NOT NULL,
        webhook_id     TEXT,
        scheme         TEXT    NOT NULL,
        received_at_ms INTEGER NOT NULL,
        body_sha256    BLOB,
        body           BLOB    NOT NULL
    ) STRICT;
    CREATE INDEX events_without_id ON events (body_sha256) WHERE body_sha256 IS NOT NULL;
    CREATE TABLE totals (
        kind             TEXT    PRIMARY KEY,
        received         INTEGER NOT NULL,
        duplicates       INTEGER NOT NULL,
        last_received_ms INTEGER
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE sinks (
        name     TEXT    PRIMARY KEY,
        taken_to INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE dead_letters (
        sink       TEXT    NOT NULL,
        seq        INTEGER NOT NULL,
        died_at_ms INTEGER NOT NULL,
        detail     TEXT    NOT NULL,
        PRIMARY KEY (sink, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE replays (
        sink TEXT    NOT NULL,
        seq  INTEGER NOT NULL,
        PRIMARY KEY (sink, seq)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE done (
        at_ms   INTEGER PRIMARY KEY,
        done_to INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX dead_letters_of_event ON dead_letters (seq);
    CREATE INDEX replays_of_event ON replays (seq);
",
    "
    CREATE TABLE identity (id TEXT NOT NULL) STRICT;
    INSERT INTO identity (id) VALUES (lower(hex(randomblob(16))));
",
];

/// Opens `file` for writing: checked, at the newest version, in WAL mode with full synchronisation.
pub(super) fn open(file: &Path, lock_wait: Duration) -> Result<Connection, OpenError> {
    let failed = |what| failed(file, what);
    let mut connection = Connection::open(file).map_err(failed)?;
    connection.busy_timeout(lock_wait).map_err(failed)?;
    let found = recognise(&connection, file)?;
    migrate(&mut connection, found.version()).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    Ok(connection)
}

/// Whether [`open`] would take `file`. Changes nothing.
pub(super) fn look_at(file: &Path) -> Result<(), OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(|what| failed(file, what))?;
    recognise(&connection, file).map(drop)
}

fn failed(file: &Path, what: rusqlite::Error) -> OpenError {
    match code(&what) {
        Some(ErrorCode::NotADatabase) => OpenError::Foreign(file.to_owned()),
        _ => OpenError::Sqlite { path: file.to_owned(), what },
    }
}

/// What is in the file, where it is ours and not newer than this program.
fn recognise(connection: &Connection, file: &Path) -> Result<Found, OpenError> {
    match identify(connection).map_err(|what| failed(file, what))? {
        Found::Ours(found) if found > VERSION => {
            Err(OpenError::Newer { path: file.to_owned(), found, known: VERSION })
        }
        Found::Foreign => Err(OpenError::Foreign(file.to_owned())),
        found => Ok(found),
    }
}

#[derive(Clone, Copy)]
enum Found {
    Empty,
    Ours(i64),
    Foreign,
}

impl Found {
    fn version(self) -> i64 {
        match self {
            Self::Ours(version) => version,
            Self::Empty | Self::Foreign => 0,
        }
    }
}

fn identify(connection: &Connection) -> rusqlite::Result<Found> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, version, tables) {
        (APPLICATION_ID, version, _) => Found::Ours(version),
        (0, 0, 0) => Found::Empty,
        _ => Found::Foreign,
    })
}

fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let missing = MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or(0));
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// FULL, because a 200 that a power cut can take back is none.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// SQLite's own code of an error, where it has one.
pub(super) fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}
