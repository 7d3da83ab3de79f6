//! Opening a store: what is ours is opened, anything else is left exactly as it was.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "the rules are the engine's; a test is the world around it")]

#[path = "../patience/mod.rs"]
mod patience;

mod behind;
mod catalog;
mod receiver;
mod taken;
mod threads;

use std::path::Path;

use rusqlite::Connection;
use vai_webhooks_engine::{OpenError, SqliteStore, SystemRng};

fn open(dir: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(dir, 0, std::sync::Arc::new(vai_webhooks_engine::SystemClock::new()), &SystemRng)
}

/// Makes a store, and waits until it is closed: a dropped one closes when its writer has ended.
fn make(dir: &Path) {
    close(&open(dir).ok().unwrap());
}

fn close(store: &SqliteStore) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(vai_webhooks_engine::Store::close(store));
}

/// The database's bytes. (Looking at one in WAL mode may leave empty files beside it.)
fn bytes(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("engine.db")).unwrap()
}

#[test]
fn a_new_directory_is_made_for_its_owner_alone_and_opens_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    make(&dir);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("engine.db"))), (0o700, 0o600));
    let file = Connection::open(dir.join("engine.db")).unwrap();
    let journal: String = file.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(journal, "wal");
    drop(file);
    assert!(open(&dir).is_ok());
}

#[test]
fn a_newer_database_is_refused_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let file = Connection::open(dir.path().join("engine.db")).unwrap();
    file.execute_batch("PRAGMA user_version = 999; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(file);
    let before = bytes(dir.path());
    let error = open(dir.path()).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 999, .. }), "{error}");
    assert!(error.to_string().contains("newer version of the program"), "{error}");
    assert!(bytes(dir.path()) == before, "the file is as it was");
}

#[test]
fn a_database_of_something_else_is_refused_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let file = Connection::open(dir.path().join("engine.db")).unwrap();
    file.execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')").unwrap();
    drop(file);
    let before = bytes(dir.path());
    let error = open(dir.path()).err().unwrap();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert!(bytes(dir.path()) == before, "the file is as it was");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("engine.db"), "this is no database, whatever its name is\n".repeat(100))
        .unwrap();
    let before = bytes(dir.path());
    let error = open(dir.path()).err().unwrap();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert!(bytes(dir.path()) == before, "the file is as it was");
}

#[test]
fn a_directory_that_is_open_is_refused_until_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).ok().unwrap();
    let error = open(dir.path()).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    close(&first);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn a_directory_that_cannot_be_made_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = open(&file.join("below")).err().unwrap().to_string();
    assert!(error.contains("cannot use") && error.contains("below"), "{error}");
}
