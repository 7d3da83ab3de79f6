//! The one thread that writes: it takes whatever waits, commits it as one transaction, then answers.
//!
//! It exists because an `fsync` costs as much as a few dozen inserts: under load many requests share
//! one. Invariant: no [`Committed`] before the commit of its group, and none at all where the commit
//! failed. Two requests with one id in one group are stored once, both answered. Read `totals.rs` next.

use std::fs::File;
use std::sync::{Arc, Mutex};

use rusqlite::{CachedStatement, Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::totals::{Kind, Totals, lock};
use super::{Committed, NewEvent, StoreError, Stored, schema};

/// Events that share one commit.
const GROUP_EVENTS_MAX: usize = 1_024;

/// What the writer is asked to do.
pub(super) enum Command {
    Put { event: Box<NewEvent>, answer: oneshot::Sender<Result<Committed, StoreError>> },
    Probe { answer: oneshot::Sender<Result<(), StoreError>> },
    Close { done: oneshot::Sender<()> },
}

type Answer = oneshot::Sender<Result<Committed, StoreError>>;

/// Everything that the writer's thread owns.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) waiting: mpsc::Receiver<Command>,
    pub(super) totals: Arc<Mutex<Totals>>,
    pub(super) down: watch::Sender<bool>,
    pub(super) stored_to: watch::Sender<i64>,
    /// Held as long as this thread lives, so that the directory is free when it has ended.
    pub(super) _lock: File,
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
        let mut group = Vec::with_capacity(GROUP_EVENTS_MAX);
        let mut closing = None;
        while let Some(command) = self.waiting.blocking_recv() {
            self.collect(command, &mut group, &mut closing);
            if let Next::End = self.settle(&mut group) {
                break;
            }
            if closing.is_some() && self.waiting.is_empty() {
                break;
            }
        }
        // The file and its lock are released before anyone hears that the store is closed.
        drop(self);
        if let Some(done) = closing {
            // Nobody waits any more where this fails.
            let _: Result<(), ()> = done.send(());
        }
    }

    /// Takes `first` and what waits behind it, up to a full group.
    fn collect(
        &mut self,
        first: Command,
        group: &mut Vec<(NewEvent, Answer)>,
        closing: &mut Option<oneshot::Sender<()>>,
    ) {
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Put { event, answer } => group.push((*event, answer)),
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
    fn settle(&mut self, group: &mut Vec<(NewEvent, Answer)>) -> Next {
        if group.is_empty() {
            return Next::Go;
        }
        let before = lock(&self.totals).clone();
        let mut totals = before.clone();
        match commit(&mut self.connection, group, &before, &mut totals) {
            Ok((stored, last)) => {
                *lock(&self.totals) = totals;
                for ((event, answer), stored) in group.drain(..).zip(stored) {
                    drop(event.memory);
                    // A request that was given up needs no answer: the event is stored all the same.
                    let _: Result<(), _> = answer.send(Ok(Committed { stored, _after_commit: () }));
                }
                if let Some(last) = last {
                    self.stored_to.send_replace(last);
                }
                Next::Go
            }
            Err(error) => {
                let (said, next) = judge(&error);
                tracing::error!(%error, events = group.len(), "the store could not commit");
                if let Next::End = next {
                    self.down.send_replace(true);
                }
                for (_, answer) in group.drain(..) {
                    // As above: nobody may be waiting.
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

/// One transaction: every event once, and the counts. Returns what became of each, in order, and the
/// newest sequence number where one was given.
fn commit(
    connection: &mut Connection,
    group: &[(NewEvent, Answer)],
    before: &Totals,
    totals: &mut Totals,
) -> rusqlite::Result<(Vec<Stored>, Option<i64>)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut last = None;
    let mut all = Vec::with_capacity(group.len());
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO events (id, event_type, webhook_id, scheme, received_at_ms, body_sha256, body)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
             WHERE NOT (?8 AND EXISTS (SELECT 1 FROM events WHERE body_sha256 = ?6))
             ON CONFLICT (id) DO NOTHING",
        )?;
        for (event, _) in group {
            let stored = put(&transaction, &mut insert, event)?;
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
    transaction.commit()?;
    Ok((all, last))
}

fn put(
    transaction: &Transaction<'_>,
    insert: &mut CachedStatement<'_>,
    event: &NewEvent,
) -> rusqlite::Result<Stored> {
    let changed = insert.execute((
        &event.identity,
        &event.event_type,
        &event.webhook_id,
        event.scheme,
        event.received_at_ms,
        event.body_sha256.as_ref().map(|digest| &digest[..]),
        &event.body[..],
        event.same_body_is_same_event,
    ))?;
    if changed == 1 {
        return Ok(Stored::First);
    }
    let mut compare = transaction.prepare_cached("SELECT body = ?2 FROM events WHERE id = ?1")?;
    let mut rows = compare.query((&event.identity, &event.body[..]))?;
    // No row: it was found by its body, so the body is the same.
    let same_body = rows.next()?.map(|row| row.get(0)).transpose()?.unwrap_or(true);
    Ok(Stored::Duplicate { same_body })
}
