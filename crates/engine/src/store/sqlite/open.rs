//! Opening the file: whose it is, which version, and that nobody else has it.
//!
//! Invariant: a file that is not ours, is newer than this program, or is held by another process is
//! left exactly as it was. Read `schema.rs` next.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::schema;
use crate::rng::Rng;

/// Why a directory could not be opened as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be made or opened.
    #[error("cannot use {path}: {source}")]
    Io {
        /// What was tried.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process; stop that one, or choose another directory")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file is a database of something else.
    #[error("{path} is not a VAI Webhooks database; choose another directory")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version of this program.
    #[error(
        "{path} has format {found}, this program knows up to {known}; use a newer version of the program"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The newest format that this program knows.
        known: i32,
    },
    /// SQLite could not open or migrate the file.
    #[error("cannot open {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
}

/// The database's file in the data directory.
pub(super) const FILE: &str = "engine.db";
const LOCK_FILE: &str = "engine.lock";
/// SQLite's page cache of the writer, in KiB.
const WRITER_CACHE_KIB: i32 = 64 * 1024;
/// A reader waits this long where the file is locked for a moment (checkpoint, recovery).
const BUSY_MS: u64 = 10_000;

/// An open store: its directory is locked as long as this lives.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) path: PathBuf,
    pub(super) lock: File,
}

/// Opens the store in `dir`, making both where they are not there.
pub(super) fn open(dir: &Path, rng: &dyn Rng) -> Result<Opened, OpenError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    make_private_dir(dir).map_err(io(dir))?;
    let lock_path = dir.join(LOCK_FILE);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(io(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(OpenError::Io { path: lock_path, source }),
    }
    let path = dir.join(FILE);
    let failed = |source| sqlite_error(&path, source);
    // Looked at without changing it before anything is set: journal_mode alone would write to it.
    let found = match path.exists() {
        true => look(&path)?,
        false => 0,
    };
    make_private_file(&path).map_err(io(&path))?;
    let mut writer = Connection::open(&path).map_err(failed)?;
    configure_writer(&writer).map_err(failed)?;
    if found < schema::version() {
        schema::migrate(&mut writer, found, rng).map_err(failed)?;
    }
    Ok(Opened { writer, path, lock })
}

/// The version of an existing file; 0 where it is empty.
fn look(path: &Path) -> Result<i32, OpenError> {
    let failed = |source| sqlite_error(path, source);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let application_id = number("application_id").map_err(failed)?;
    let version = number("user_version").map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if tables == 0 && application_id == 0 && version == 0 {
        return Ok(0);
    }
    if application_id != schema::APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if version > schema::version() {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, known: schema::version() });
    }
    Ok(version)
}

fn sqlite_error(path: &Path, source: rusqlite::Error) -> OpenError {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => OpenError::Foreign { path: path.to_owned() },
        _ => OpenError::Sqlite { path: path.to_owned(), source },
    }
}

/// Plans do not depend on values: otherwise SQLite compiles a statement again at every run where a partial index could
/// serve it, which was more than half of the time of a reading.
fn configure_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is on disk when `sync.rs` has synced it, and not when it returns.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", 128 * 1024 * 1024)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    configure_plans(connection)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// A connection that folds the log into the file.
pub(super) fn checkpointer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// A connection that cannot write.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    configure_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Secrets are in the file: only its owner may read it.
#[cfg(unix)]
fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).create(dir)
}

#[cfg(unix)]
fn make_private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map(drop)
}

#[cfg(not(unix))]
fn make_private_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path).map(drop)
}
