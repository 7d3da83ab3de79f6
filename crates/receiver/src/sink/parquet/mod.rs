//! The kind `parquet`: files for analytic tools, in folders by date and event type.
//!
//! `<path>/date=2026-01-01/event=message.sent/00000000000000000042.parquet`, as Hive, Spark, DuckDB and Arrow read
//! partitions. A batch's rows go into the newest file of their folder as long as that is small, by writing the file
//! anew, so that a slow stream of events does not end in a file for each. Invariants: what is under a file's name is
//! whole (a temporary name, `fsync`, rename); an event that is in the file where it belongs is not written again, so
//! that a batch may come again at any time. Read `folder.rs`, then `file.rs` next.

mod file;
mod folder;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::{Settings, SettingsError, Sink, SinkError, Stored};
use file::Row;

/// The most events in one batch: each batch writes the newest files anew.
const EVENTS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    /// The directory; it is made where it is missing.
    path: PathBuf,
}

/// Makes the sink.
pub(super) fn open(settings: Settings) -> Result<Box<dyn Sink>, SettingsError> {
    let members: Members = settings.read()?;
    if members.path.as_os_str().is_empty() {
        return Err(SettingsError("path must name a directory".to_owned()));
    }
    Ok(Box::new(Parquet { path: Arc::new(members.path), writing: Arc::new(Mutex::new(())) }))
}

struct Parquet {
    path: Arc<PathBuf>,
    /// Held while files are written: a batch that was given up may still be at it when it comes again.
    writing: Arc<Mutex<()>>,
}

/// An event's folder and its row.
fn lay_out(stored: &Stored) -> Result<(String, Row), String> {
    let event = &stored.event;
    let envelope = event.envelope().map_err(|error| error.to_string())?;
    let data: Value = serde_json::from_str(envelope.data.get())
        .map_err(|error| format!("its data cannot be read: {error}"))?;
    let text = |name: &str| match data.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    // An event type has no character that a path could mind.
    let timestamp = envelope.timestamp.to_string();
    let folder = format!("date={}/event={}", &timestamp[..10], event.event_type);
    let row = Row {
        seq: stored.seq,
        id: event.id.clone(),
        timestamp: envelope.timestamp,
        received_at: event.received_at,
        webhook_id: event.webhook_id.clone(),
        session_id: text("sessionId"),
        agent_id: text("agentId"),
        user_id: text("userId"),
        data: envelope.data.get().to_owned(),
    };
    Ok((folder, row))
}

/// Writes the events before the first one that cannot be laid out, and refuses that.
fn put(path: &Path, batch: &[Stored]) -> Result<(), SinkError> {
    let mut folders: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut refused = None;
    for (at, stored) in batch.iter().enumerate() {
        match lay_out(stored) {
            Ok((folder, row)) => folders.entry(folder).or_default().push(row),
            Err(detail) => {
                refused = Some(SinkError::Refused { at, detail });
                break;
            }
        }
    }
    for (folder, rows) in folders {
        folder::add(path, &folder, rows)
            .map_err(|error| SinkError::again(format!("{}/{folder}: {error}", path.display())))?;
    }
    refused.map_or(Ok(()), Err)
}

impl Sink for Parquet {
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        let (path, writing, batch) = (self.path.clone(), self.writing.clone(), batch.to_vec());
        let work = move || {
            let _writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
            put(&path, &batch)
        };
        tokio::task::spawn_blocking(work).map(|result| result.map_err(SinkError::again)?).boxed()
    }

    /// Looks whether the directory, or the one it would be made in, can be written.
    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        let path = self.path.clone();
        let look = move || {
            let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
            // The file has no name, and is gone when it is closed.
            match tempfile_in(there) {
                Ok(()) => Ok(format!("{} can be written", path.display())),
                Err(error) => {
                    let (path, there) = (path.display(), there.display());
                    Err(SinkError::again(format!("cannot write {path}: in {there}: {error}")))
                }
            }
        };
        tokio::task::spawn_blocking(look).map(|result| result.map_err(SinkError::again)?).boxed()
    }

    fn batch_max(&self) -> usize {
        EVENTS_MAX
    }
}

/// Whether a file can be made there.
fn tempfile_in(directory: &Path) -> std::io::Result<()> {
    let path = directory.join(format!(".vai-check-{}", std::process::id()));
    std::fs::File::create(&path)?;
    std::fs::remove_file(&path)
}
