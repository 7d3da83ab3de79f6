//! Which inbox `derived.db` was derived from.
//!
//! It exists because the two files can be parted: where an inbox is deleted or another is put in its place, events are
//! numbered anew, and places and summaries of the old one would be taken for those of the new one. Invariant: what is
//! not of this inbox is put aside under another name, never changed or deleted. Read `mod.rs` next.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};
use vai_webhooks_wire::UnixMs;

/// What `derived.db` says of itself.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS inbox (identity TEXT NOT NULL) STRICT";

/// Whether the file is of the inbox of this identity, whose newest event is `newest`. One of which nothing was derived
/// yet becomes so. Earlier versions wrote no identity: such a file counts as of this inbox, unless it is ahead of it.
pub(super) fn is_of(connection: &Connection, identity: &str, newest: i64) -> rusqlite::Result<bool> {
    connection.execute_batch(TABLE)?;
    let mut query = connection.prepare("SELECT identity FROM inbox")?;
    let found: Option<String> = query.query_row([], |row| row.get(0)).optional()?;
    if let Some(found) = found {
        return Ok(found == identity);
    }
    let furthest: Option<i64> =
        connection.query_row("SELECT max(taken_to) FROM places", [], |row| row.get(0))?;
    if furthest.is_some_and(|furthest| furthest > newest) {
        return Ok(false);
    }
    connection.execute("INSERT INTO inbox (identity) VALUES (?1)", [identity])?;
    Ok(true)
}

/// Renames the file, which nobody has open, and answers its new name.
pub(super) fn put_aside(file: &Path) -> std::io::Result<PathBuf> {
    let time = UnixMs::now().to_string().replace(':', "-");
    let aside = file.with_file_name(format!("derived-{time}.db"));
    std::fs::rename(file, &aside)?;
    // What SQLite keeps beside a file goes with it: whoever closed it last left nothing there, but a crash may have.
    for end in ["-wal", "-shm"] {
        let beside = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
        match std::fs::rename(beside(file), beside(&aside)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}
