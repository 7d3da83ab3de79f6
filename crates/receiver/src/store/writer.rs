//! The one thread that writes: it takes whatever waits, commits it as one transaction, then answers.
//!
//! It exists because an `fsync` costs as much as a few dozen inserts: under load many requests share
//! one. Invariant: no [`Committed`] before the commit of its group, and none at all where the commit
//! failed. Two requests with one id in one group are stored once, both answered. Read `checkpoint.rs` next.

use std::fs::File;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::checkpoint::Checkpoints;
use super::totals::{Kind, Totals, lock};
use super::{Change, Committed, NewEvent, StoreError, Stored, schema};

/// Events and changes that share one commit.
const GROUP_EVENTS_MAX: usize = 1_024;
/// From so many events in a group on, the next one is waited for a moment, so that more share its commit: where many
/// come, commits cost more than the moment does. Measured in `docs/receiver.md`.
const GATHER_FROM: usize = 4;
/// That moment.
const GATHER: Duration = Duration::from_micros(300);

/// What the writer is asked to do.
pub(super) enum Command {
    Put { event: Box<NewEvent>, answer: oneshot::Sender<Result<Committed, StoreError>> },
    Change { change: Change, answer: oneshot::Sender<Result<i64, StoreError>> },
    Probe { answer: oneshot::Sender<Result<(), StoreError>> },
    Close { done: oneshot::Sender<()> },
}

type Answer = oneshot::Sender<Result<Committed, StoreError>>;

/// What shares one commit: events first, then changes, each in the order in which it came.
#[derive(Default)]
struct Group {
    events: Vec<(NewEvent, Answer)>,
    changes: Vec<(Change, oneshot::Sender<Result<i64, StoreError>>)>,
}

impl Group {
    fn len(&self) -> usize {
        self.events.len() + self.changes.len()
    }
}

/// What one commit did.
struct Done {
    stored: Vec<Stored>,
    changed: Vec<i64>,
    /// The newest event, where one was stored.
    last: Option<i64>,
}

/// Everything that the writer's thread owns.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) waiting: mpsc::Receiver<Command>,
    pub(super) totals: Arc<Mutex<Totals>>,
    pub(super) down: watch::Sender<bool>,
    pub(super) checkpoints: Checkpoints,
    /// Held as long as this thread lives, so that the directory is free when it has ended.
    pub(super) _lock: File,
    /// The last to go: who sees it end finds the directory free.
    pub(super) stored_to: watch::Sender<i64>,
}

/// Whether the thread goes on after a group.
enum Next {
    Go,
    End,
}

impl Writer {
    /// Starts the thread. It ends on `Close`, on a failure for good, or when the last handle is gone.
    pub(super) fn start(self) -> std::io::Result<()> {
        std::thread::Builder::new().name("receiver-writer".into()).spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        let mut group = Group::default();
        let mut closing = None;
        let mut many = false;
        while let Some(command) = self.waiting.blocking_recv() {
            if many && closing.is_none() {
                std::thread::sleep(GATHER);
            }
            self.collect(command, &mut group, &mut closing);
            many = group.events.len() >= GATHER_FROM;
            if let Next::End = self.settle(&mut group) {
                break;
            }
            if closing.is_some() && self.waiting.is_empty() {
                break;
            }
        }
        self.checkpoints.end();
        if closing.is_some() {
            // Readers are still there, so SQLite would not do it: who copies the one file then has all of it. Where it
            // fails, the events are in the file beside it.
            let _all: rusqlite::Result<()> =
                self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        // The file and its lock are released before anyone hears that the store is closed.
        drop(self);
        if let Some(done) = closing {
            // Nobody waits any more where this fails.
            let _: Result<(), ()> = done.send(());
        }
    }

    /// Takes `first` and what waits behind it, up to a full group.
    fn collect(&mut self, first: Command, group: &mut Group, closing: &mut Option<oneshot::Sender<()>>) {
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Put { event, answer } => group.events.push((*event, answer)),
                Command::Change { change, answer } => group.changes.push((change, answer)),
                Command::Probe { answer } => {
                    let read = self.connection.query_row("SELECT count(*) FROM totals", [], |_| Ok(()));
                    // A probe whose asker has gone needs no answer.
                    let _: Result<(), _> = answer.send(read.map_err(|_| StoreError::Temporary));
                }
                Command::Close { done } => {
                    // Refuses what comes from now on; what is in the queue is still stored.
                    self.waiting.close();
                    *closing = Some(done);
                }
            }
            next = if group.len() < GROUP_EVENTS_MAX { self.waiting.try_recv().ok() } else { None };
        }
    }

    /// Commits the group, then answers every one in it.
    fn settle(&mut self, group: &mut Group) -> Next {
        if group.len() == 0 {
            return Next::Go;
        }
        let before = lock(&self.totals).clone();
        let mut totals = before.clone();
        match commit(&mut self.connection, group, &before, &mut totals) {
            Ok(Done { stored, changed, last }) => {
                *lock(&self.totals) = totals;
                self.checkpoints.committed(stored.len());
                // Before the answers: who was answered finds its event among those that wait for the sinks.
                if let Some(last) = last {
                    self.stored_to.send_replace(last);
                }
                for ((event, answer), stored) in group.events.drain(..).zip(stored) {
                    drop(event.memory);
                    // A request that was given up needs no answer: the event is stored all the same.
                    let _: Result<(), _> = answer.send(Ok(Committed { stored, _after_commit: () }));
                }
                for ((_, answer), changed) in group.changes.drain(..).zip(changed) {
                    // As above: the change is made, whoever waits for it.
                    let _: Result<(), _> = answer.send(Ok(changed));
                }
                Next::Go
            }
            Err(error) => {
                let (said, next) = judge(&error);
                tracing::error!(%error, events = group.events.len(), "the store could not commit");
                if let Next::End = next {
                    self.down.send_replace(true);
                }
                // As above: nobody may be waiting.
                for (_, answer) in group.events.drain(..) {
                    let _: Result<(), _> = answer.send(Err(said));
                }
                for (_, answer) in group.changes.drain(..) {
                    let _: Result<(), _> = answer.send(Err(said));
                }
                next
            }
        }
    }
}

/// A full disk and a held lock pass, and nothing has reached the file. After anything else (a failed
/// `fsync` above all) nobody knows what the file holds, so this process writes to it no more.
fn judge(error: &rusqlite::Error) -> (StoreError, Next) {
    match schema::code(error) {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (StoreError::Temporary, Next::Go)
        }
        _ => (StoreError::Down, Next::End),
    }
}

/// One transaction: every event once, the counts, and the changes. Returns what became of each, in order.
fn commit(
    connection: &mut Connection,
    group: &Group,
    before: &Totals,
    totals: &mut Totals,
) -> rusqlite::Result<Done> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut last = None;
    let mut all = Vec::with_capacity(group.events.len());
    if !group.events.is_empty() {
        // The values themselves where they can be: an insertion from a selection may have many rows, so that SQLite would
        // note each page as it was before.
        let mut insert = transaction.prepare_cached(
            "INSERT INTO events (id, event_type, webhook_id, scheme, received_at_ms, body_sha256, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
        )?;
        for (event, _) in &group.events {
            let known = event.same_body_is_same_event && has_body(&transaction, event)?;
            let stored = put(&transaction, &mut insert, event, known)?;
            let kind = Kind::of(&event.event_type);
            match stored {
                Stored::First => {
                    last = Some(transaction.last_insert_rowid());
                    totals.count_first(kind, event.received_at_ms);
                }
                Stored::Duplicate { .. } => totals.count_duplicate(kind),
            }
            all.push(stored);
        }
    }
    totals.write(&transaction, before)?;
    let changes = group.changes.iter().map(|(change, _)| change.apply(&transaction));
    let changed = changes.collect::<rusqlite::Result<Vec<i64>>>()?;
    transaction.commit()?;
    Ok(Done { stored: all, changed, last })
}

/// Whether the same body was stored before, under whatever identity.
fn has_body(transaction: &Transaction<'_>, event: &NewEvent) -> rusqlite::Result<bool> {
    let digest = event.body_sha256.as_ref().map(|digest| &digest[..]);
    transaction.prepare_cached("SELECT 1 FROM events WHERE body_sha256 = ?1")?.exists([digest])
}

fn put(
    transaction: &Transaction<'_>,
    insert: &mut CachedStatement<'_>,
    event: &NewEvent,
    known: bool,
) -> rusqlite::Result<Stored> {
    if known {
        return Ok(Stored::Duplicate { same_body: true });
    }
    let changed = insert.execute((
        &event.identity,
        &event.event_type,
        &event.webhook_id,
        event.scheme,
        event.received_at_ms,
        event.body_sha256.as_ref().map(|digest| &digest[..]),
        &event.body[..],
    ))?;
    if changed == 1 {
        return Ok(Stored::First);
    }
    let mut compare = transaction.prepare_cached("SELECT body = ?2 FROM events WHERE id = ?1")?;
    let mut rows = compare.query((&event.identity, &event.body[..]))?;
    let same_body = rows.next()?.map(|row| row.get(0)).transpose()?.unwrap_or(true);
    Ok(Stored::Duplicate { same_body })
}
