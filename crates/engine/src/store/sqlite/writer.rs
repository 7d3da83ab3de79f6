//! The one writer: it takes whatever waits into one transaction and commits; `sync.rs` answers when that is on disk.
//!
//! It exists because a commit costs a sync of the disk, which many writes can share. Invariants: nothing
//! is answered before its commit is on disk; hooks are told in commit order and before the answers; after a failed
//! write or commit nothing is written any more, since what the disk holds is then unknown.
//! A change of a webhook ends its group, so that what follows is matched against it.
//! Read `sync.rs` next.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt as _;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::group::Group;
use super::ledger;
use super::prompt::Prompt;
use super::queue::{Kind, NotTaken, Queue, Waiting};
use super::statements::Statements;
use super::sync::{Sync, Unsynced};
use crate::clock::Clock;
use crate::store::{Hooks, Later, StoreError};
use crate::thread::Home;

/// One write.
pub(super) trait Write: Send {
    fn apply(&mut self, connection: &Connection, group: &mut Group) -> rusqlite::Result<()>;
    /// Where its caller runs, if on a thread of the engine: it is best answered there.
    fn home(&self) -> Option<&Home> {
        None
    }
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

struct Call<F, T> {
    write: Option<F>,
    written: Option<T>,
    home: Option<Home>,
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

    fn home(&self) -> Option<&Home> {
        self.home.as_ref()
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let written = self.written.ok_or(StoreError::Closed);
        // A caller that has gone away gets no answer; what it wrote is on disk all the same.
        let _gone = self.reply.send(result.and(written));
    }
}

/// The way to the writer's thread.
pub(super) struct Writer {
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    hooks: Arc<OnceLock<Arc<dyn Hooks>>>,
}

impl Writer {
    /// Starts the thread; it ends when the [`Writer`] is gone and everything that waited is written.
    pub(super) fn start(
        connection: Connection,
        clock: Arc<dyn Clock>,
        prompt: Prompt,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let queue = Arc::new(Queue::default());
        let hooks = Arc::new(OnceLock::new());
        let thread = Thread {
            connection,
            queue: Arc::clone(&queue),
            clock: Arc::clone(&clock),
            hooks: Arc::clone(&hooks),
        };
        let thread = std::thread::Builder::new()
            .name("vai-store-writer".to_owned())
            .spawn(move || thread.run(prompt))?;
        Ok((Self { queue, clock, hooks }, thread))
    }

    pub(super) fn set_hooks(&self, hooks: Arc<dyn Hooks>) {
        // A second engine on one store would be a fault of ours: the first one's hooks stay.
        let _already = self.hooks.set(hooks);
    }

    /// Queues a write and resolves when the commit that holds it is on disk.
    pub(super) fn write<T, F>(&self, kind: Kind, write: F) -> Later<T>
    where
        F: FnOnce(&Connection, &mut Group) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Call { write: Some(write), written: None, home: Home::here(), reply };
        let pushed = self.queue.push(Waiting { write: Box::new(call), kind, since: self.clock.elapsed() });
        async move {
            match pushed {
                Ok(()) => answer.await.map_err(|_| StoreError::Closed)?,
                Err(NotTaken::Full) => Err(StoreError::Busy),
                Err(NotTaken::Closed) => Err(StoreError::Closed),
            }
        }
        .boxed()
    }

    /// The clock's elapsed time.
    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// How long the oldest write that is not answered has waited.
    pub(super) fn waited(&self) -> Duration {
        self.queue.waited(self.clock.elapsed())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

struct Thread {
    connection: Connection,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    hooks: Arc<OnceLock<Arc<dyn Hooks>>>,
}

impl Thread {
    fn run(mut self, prompt: Prompt) {
        let mut waiting = Vec::new();
        let mut group: Option<Group<'_>> = None;
        let mut sync = None;
        let mut prompt = Some(prompt);
        let mut last = 0;
        let crowded = |tenant| self.hooks.get().is_some_and(|hooks| hooks.is_crowded(tenant));
        let now = || self.clock.elapsed();
        while let Some((rows, since)) = self.queue.take(&mut waiting, last, now, crowded) {
            last = rows;
            let Some(hooks) = self.hooks.get() else {
                waiting.drain(..).for_each(|it| it.write.answer(Err(StoreError::Closed)));
                continue;
            };
            let mut writes = waiting.drain(..).map(|it| it.write).peekable();
            let made = self.group_of(&mut group, &mut prompt, hooks);
            let made = made.and_then(|group| Ok((group, self.sync_of(&mut sync, hooks)?)));
            let (group, sync) = match made {
                Ok(made) => made,
                Err(error) => {
                    writes.for_each(|write| write.answer(Err(error.clone())));
                    return self.fail(&error, hooks);
                }
            };
            while writes.peek().is_some() {
                if let Err(error) = self.group(&mut writes, since, group, sync) {
                    writes.for_each(|write| write.answer(Err(error.clone())));
                    self.fail(&error, hooks);
                    return;
                }
            }
        }
        // Everything is told and answered before this ends.
        drop(sync);
        let wrote = group.map(|mut group| group.prompt.write_last(&self.connection));
        if wrote.is_some() {
            let _unfinished = ledger::fold_all(&mut self.connection);
        }
        // The log is folded into the file, so that a copy of the one file is a copy of the store.
        let _unfinished = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    }

    /// What gets commits to the disk, made for the first of them.
    fn sync_of<'s>(
        &self,
        sync: &'s mut Option<Sync>,
        hooks: &Arc<dyn Hooks>,
    ) -> Result<&'s Sync, StoreError> {
        if sync.is_none() {
            let path = self.connection.path().ok_or(StoreError::Closed)?;
            let made = Sync::start(path.as_ref(), Arc::clone(&self.queue), Arc::clone(hooks));
            *sync = Some(made.map_err(|error| StoreError::Failed(error.to_string()))?);
        }
        sync.as_ref().ok_or(StoreError::Closed)
    }

    /// What all groups have, made for the first of them.
    fn group_of<'g, 'c>(
        &'c self,
        group: &'g mut Option<Group<'c>>,
        prompt: &mut Option<Prompt>,
        hooks: &Arc<dyn Hooks>,
    ) -> Result<&'g mut Group<'c>, StoreError> {
        if group.is_none() {
            let statements = Statements::prepare(&self.connection);
            let statements = statements.map_err(|error| StoreError::Failed(error.to_string()))?;
            let prompt = prompt.take().unwrap_or_else(|| Prompt::after(0));
            *group = Some(Group::new(Arc::clone(hooks), prompt, statements));
        }
        group.as_mut().ok_or(StoreError::Closed)
    }

    /// One transaction, from its first write to its commit; when that is on disk, it is told and answered.
    fn group(
        &self,
        writes: &mut impl Iterator<Item = Box<dyn Write>>,
        since: Option<Duration>,
        group: &mut Group<'_>,
        sync: &Sync,
    ) -> Result<(), StoreError> {
        let mut written = Vec::with_capacity(64);
        if let Err(error) = self.fill(writes, group, &mut written) {
            // Nothing of a group that failed may stay. Should the rollback fail too, closing the
            // connection does it. What was committed before may be good.
            let _rolled_back = self.connection.execute_batch("ROLLBACK");
            let _told = sync.drain();
            let error = StoreError::Failed(error.to_string());
            for write in written {
                write.answer(Err(error.clone()));
            }
            return Err(error);
        }
        let changes = group.ends || !group.webhooks.is_empty() || !group.catalog.is_empty();
        sync.push(Unsynced::of(group, since, written), changes || self.queue.is_empty())?;
        // What follows is matched against what changed.
        if changes { sync.drain() } else { Ok(()) }
    }

    fn fill(
        &self,
        writes: &mut impl Iterator<Item = Box<dyn Write>>,
        group: &mut Group,
        written: &mut Vec<Box<dyn Write>>,
    ) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        group.ends = false;
        while !group.ends
            && let Some(mut write) = writes.next()
        {
            let applied = write.apply(&self.connection, group);
            written.push(write);
            applied?;
        }
        group.ledger.write(&self.connection)?;
        group.types.write(&self.connection)?;
        group.prompt.write(&self.connection)?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn fail(&self, error: &StoreError, hooks: &Arc<dyn Hooks>) {
        tracing::error!(%error, "a write failed: nothing is written any more");
        hooks.failed(error);
        self.queue.close();
        let mut rest = Vec::new();
        while self.queue.take(&mut rest, 0, || self.clock.elapsed(), |_| false).is_some() {
            rest.drain(..).for_each(|it| it.write.answer(Err(error.clone())));
        }
    }
}
