//! The one writer: it takes whatever waits into one transaction, commits, then answers all.
//!
//! It exists because a commit costs a sync of the disk, which many writes can share. Invariants: nothing
//! is answered before its commit; hooks are told in commit order and before the answers; after a failed
//! write or commit nothing is written any more, since what the disk holds is then unknown.
//! A change of a webhook ends its group, so that what follows is matched against it.
//! Read `group.rs` next.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use futures_util::FutureExt as _;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::group::Group;
use super::{stats, types};
use crate::store::{Hooks, Later, StoreError};

/// Writes that wait for the writer. A caller beyond that waits for its place.
const QUEUE_MAX: usize = 4_096;
/// The most writes in one commit.
const GROUP_OPS_MAX: usize = 2_048;
/// The most rows in one commit, roughly: what is above goes into the next.
const GROUP_ROWS_MAX: usize = 8_192;

/// One write that waits.
trait Write: Send {
    fn apply(&mut self, connection: &Connection, group: &mut Group) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

struct Call<F, T> {
    write: Option<F>,
    written: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Write for Call<F, T>
where
    F: FnOnce(&Connection, &mut Group) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn apply(&mut self, connection: &Connection, group: &mut Group) -> rusqlite::Result<()> {
        if let Some(write) = self.write.take() {
            self.written = Some(write(connection, group)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let written = self.written.ok_or(StoreError::Closed);
        // A caller that has gone away gets no answer; what it wrote is on disk all the same.
        let _gone = self.reply.send(result.and(written));
    }
}

/// The way to the writer's thread.
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Write>>,
    hooks: Arc<OnceLock<Arc<dyn Hooks>>>,
}

impl Writer {
    /// Starts the thread; it ends when all [`Writer`]s are gone and everything that waited is written.
    pub(super) fn start(connection: Connection) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let hooks = Arc::new(OnceLock::new());
        let of_thread = Arc::clone(&hooks);
        let thread = std::thread::Builder::new()
            .name("vai-store-writer".to_owned())
            .spawn(move || Thread { connection, waiting, hooks: of_thread }.run())?;
        Ok((Self { queue, hooks }, thread))
    }

    pub(super) fn set_hooks(&self, hooks: Arc<dyn Hooks>) {
        // A second engine on one store would be a fault of ours: the first one's hooks stay.
        let _already = self.hooks.set(hooks);
    }

    /// Queues a write and resolves after the commit that holds it.
    pub(super) fn write<T, F>(&self, write: F) -> Later<T>
    where
        F: FnOnce(&Connection, &mut Group) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let queue = self.queue.clone();
        async move {
            let (reply, answer) = oneshot::channel();
            let call = Call { write: Some(write), written: None, reply };
            queue.send(Box::new(call)).await.map_err(|_| StoreError::Closed)?;
            drop(queue);
            answer.await.map_err(|_| StoreError::Closed)?
        }
        .boxed()
    }
}

struct Thread {
    connection: Connection,
    waiting: mpsc::Receiver<Box<dyn Write>>,
    hooks: Arc<OnceLock<Arc<dyn Hooks>>>,
}

impl Thread {
    fn run(mut self) {
        while let Some(first) = self.waiting.blocking_recv() {
            let Some(hooks) = self.hooks.get().map(Arc::clone) else {
                first.answer(Err(StoreError::Closed));
                continue;
            };
            if let Err(error) = self.group(first, &hooks) {
                self.fail(&error, &hooks);
                return;
            }
        }
        // The log is folded into the file, so that a copy of the one file is a copy of the store.
        let _unfinished = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    }

    /// One transaction, from its first write to its last answer.
    fn group(&mut self, first: Box<dyn Write>, hooks: &Arc<dyn Hooks>) -> Result<(), StoreError> {
        let mut group = Group {
            hooks: Arc::clone(hooks),
            handed: Vec::new(),
            webhooks: Vec::new(),
            stats: HashMap::new(),
            types: HashMap::new(),
            rows: 0,
            ends: false,
        };
        let mut writes = Vec::with_capacity(16);
        let result = self.fill(first, &mut group, &mut writes);
        if let Err(error) = result {
            // Nothing of a group that failed may stay. Should the rollback fail too, closing the
            // connection does it.
            let _rolled_back = self.connection.execute_batch("ROLLBACK");
            let error = StoreError::Failed(error.to_string());
            for write in writes {
                write.answer(Err(error.clone()));
            }
            return Err(error);
        }
        for webhook in group.webhooks {
            hooks.webhook_changed(webhook);
        }
        if !group.handed.is_empty() {
            hooks.handed(group.handed);
        }
        for write in writes {
            write.answer(Ok(()));
        }
        Ok(())
    }

    fn fill(
        &mut self,
        first: Box<dyn Write>,
        group: &mut Group,
        writes: &mut Vec<Box<dyn Write>>,
    ) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut next = Some(first);
        while let Some(write) = next {
            writes.push(write);
            if let Some(write) = writes.last_mut() {
                write.apply(&self.connection, group)?;
            }
            let full = writes.len() >= GROUP_OPS_MAX || group.rows >= GROUP_ROWS_MAX || group.ends;
            next = if full { None } else { self.waiting.try_recv().ok() };
        }
        stats::flush(&self.connection, &mut group.stats)?;
        types::flush(&self.connection, &mut group.types)?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn fail(&mut self, error: &StoreError, hooks: &Arc<dyn Hooks>) {
        tracing::error!(%error, "a write failed: nothing is written any more");
        hooks.failed(error);
        self.waiting.close();
        while let Ok(write) = self.waiting.try_recv() {
            write.answer(Err(error.clone()));
        }
    }
}
