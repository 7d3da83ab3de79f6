//! The store: every event that was taken in, once by its identity, in one SQLite file.
//!
//! It exists so that the answer 200 can mean "it is on disk". One thread owns the write connection
//! ([`writer`]); whoever reads has a read-only one ([`reader`]); [`inbox`] is what is kept for each sink;
//! [`schema`] holds the tables and refuses files that are not ours.
//!
//! Invariant: a [`Committed`] is made only after the commit that holds the event, and nothing else
//! lets the HTTP part answer 200. After a commit that failed for a reason that is not plainly
//! temporary, the store writes nothing more: it must be opened anew.
//! SQL stands nowhere outside this folder. Read [`writer`] next.

mod checkpoint;
pub(crate) mod derived;
mod error;
pub(crate) mod inbox;
pub(crate) mod reader;
mod schema;
pub(crate) mod seen;
mod totals;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use checkpoint::Checkpoints;
pub use error::{OpenError, StoreError};
pub(crate) use inbox::{Change, Dead, Which};
use reader::Reader;
pub(crate) use totals::{Kind, Totals};
use writer::{Command, Writer};

/// Events that may wait for the writer at once; the next one is answered 503.
pub(crate) const QUEUE_EVENTS_MAX: usize = 8_192;
/// How long a request waits for its commit. Shorter than the ten seconds that a sender waits.
pub(crate) const COMMIT_WAIT_MS: u64 = 8_000;
/// How long SQLite waits for a lock that another program (a tool of the owner) holds on the file.
const LOCK_WAIT_MS: u64 = 1_000;
/// The database's name inside the data directory.
const FILE_NAME: &str = "receiver.db";
/// Locked while a receiver runs on the directory: two would each believe their own counts.
const LOCK_NAME: &str = "receiver.lock";

/// One event on its way to the disk.
pub(crate) struct NewEvent {
    /// What makes it this event and no other: its id, or `sha256:<hex>` of the body.
    pub(crate) identity: String,
    /// SHA-256 of the body, where the body itself holds no id.
    pub(crate) body_sha256: Option<[u8; 32]>,
    /// True where only the legacy signature vouches for the request, so that a body which came
    /// before under *any* identity is the same event again (see `accept.rs` on downgrades).
    pub(crate) same_body_is_same_event: bool,
    /// The event type that the signed body names.
    pub(crate) event_type: String,
    /// `X-VAI-Webhook-ID`, as it was sent.
    pub(crate) webhook_id: Option<String>,
    /// Which signature vouched for it: `legacy`, `v1` or `v1a`.
    pub(crate) scheme: &'static str,
    /// When it arrived, Unix milliseconds.
    pub(crate) received_at_ms: i64,
    /// The body, byte for byte as it was signed.
    pub(crate) body: Bytes,
    /// The body's share of the memory budget; freed after the commit.
    pub(crate) memory: Option<OwnedSemaphorePermit>,
}

/// Proof that an event is on disk. Only the writer makes one, after the commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    /// Whether this request stored the event.
    pub(crate) stored: Stored,
    /// Private, so that no other module can write this value down.
    _after_commit: (),
}

/// What a commit did with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Stored now, for the first time.
    First,
    /// It was there already.
    Duplicate {
        /// False where the same id came with another body: the first one is kept.
        same_body: bool,
    },
}

/// The store's handle: cheap to call from many requests at once, and to clone.
#[derive(Clone)]
pub(crate) struct Store {
    queue: mpsc::Sender<Command>,
    totals: Arc<Mutex<Totals>>,
    down: watch::Receiver<bool>,
    stored_to: watch::Receiver<i64>,
    file: PathBuf,
    reader: Arc<Mutex<Reader>>,
}

impl Store {
    /// Opens `directory`, made where it is missing, and starts the writer. Blocks on the disk.
    pub(crate) fn open(directory: &Path) -> Result<Self, OpenError> {
        make_directory(directory)?;
        let lock = hold(directory)?;
        let file = directory.join(FILE_NAME);
        let connection = schema::open(&file, Duration::from_millis(LOCK_WAIT_MS))?;
        let sqlite = |what| OpenError::Sqlite { path: file.clone(), what };
        let totals = Arc::new(Mutex::new(Totals::read(&connection).map_err(sqlite)?));
        let last = reader::last_seq(&connection).map_err(sqlite)?;
        let reader = Arc::new(Mutex::new(Reader::open(&file).map_err(sqlite)?));
        let checkpoints =
            Checkpoints::start(&connection, &file, Duration::from_millis(LOCK_WAIT_MS)).map_err(sqlite)?;
        let (queue, waiting) = mpsc::channel(QUEUE_EVENTS_MAX);
        let (down_set, down) = watch::channel(false);
        let (stored_to_set, stored_to) = watch::channel(last);
        Writer {
            connection,
            waiting,
            totals: totals.clone(),
            down: down_set,
            stored_to: stored_to_set,
            checkpoints,
            _lock: lock,
        }
        .start()
        .map_err(OpenError::Thread)?;
        Ok(Self { queue, totals, down, stored_to, file, reader })
    }

    /// Stores one event and returns after the commit that holds it.
    pub(crate) async fn put(&self, event: NewEvent) -> Result<Committed, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Put { event: Box::new(event), answer }, answered, COMMIT_WAIT_MS).await?
    }

    /// Makes a change to what the inbox keeps, and returns its answer after the commit that holds it.
    pub(crate) async fn change(&self, change: Change) -> Result<i64, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Change { change, answer }, answered, COMMIT_WAIT_MS).await?
    }

    /// The same without an end to the wait: no answer is then about a change that may still be made.
    pub(crate) async fn change_however_late(&self, change: Change) -> Result<i64, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Change { change, answer })?;
        answered.await.unwrap_or(Err(StoreError::Down))
    }

    /// Reads with a connection that many may ask for in turn. For what people look at, not for feeding.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Reader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self::look(&self.reader, look).await
    }

    /// Asks the writer whether it still reads its database.
    pub(crate) async fn probe(&self, wait_ms: u64) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Probe { answer }, answered, wait_ms).await?
    }

    /// Stores what waits, then closes the file. Later calls answer [`StoreError::Down`].
    pub(crate) async fn close(&self) {
        let (done, ended) = oneshot::channel();
        if self.queue.send(Command::Close { done }).await.is_ok() {
            // An error here means that the writer has ended too, which is what was asked for.
            ended.await.ok();
        }
        // Where it was asked before, it may not have ended yet; the channel ends with it.
        let mut writer = self.stored_to.clone();
        while writer.changed().await.is_ok() {}
    }

    /// Counts since the store was made, as of the last commit.
    pub(crate) fn totals(&self) -> Totals {
        totals::lock(&self.totals).clone()
    }

    /// Becomes true when the store has failed for good.
    pub(crate) fn down(&self) -> watch::Receiver<bool> {
        self.down.clone()
    }

    /// The sequence number of the newest stored event; ends when the writer does.
    pub(crate) fn stored_to(&self) -> watch::Receiver<i64> {
        self.stored_to.clone()
    }

    /// The data directory.
    pub(crate) fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    /// The database's path, for a reader.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    async fn ask<T>(
        &self,
        command: Command,
        answered: oneshot::Receiver<T>,
        wait_ms: u64,
    ) -> Result<T, StoreError> {
        self.tell(command)?;
        match tokio::time::timeout(Duration::from_millis(wait_ms), answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(StoreError::Down),
            Err(_) => Err(StoreError::Late),
        }
    }

    fn tell(&self, command: Command) -> Result<(), StoreError> {
        self.queue.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Full,
            mpsc::error::TrySendError::Closed(_) => StoreError::Down,
        })
    }
}

/// What `directory` is for a receiver that would start on it, for who checks a configuration. Changes nothing; whether
/// another receiver runs on it is not asked.
pub fn look_at_data(directory: &Path) -> Result<String, OpenError> {
    let cannot = |path: &Path, kind: std::io::ErrorKind| {
        Err(OpenError::Directory { path: path.to_owned(), what: kind.into() })
    };
    if !directory.exists() {
        let above = directory.ancestors().skip(1).find(|above| above.exists());
        return match above {
            Some(above) if !above.is_dir() => cannot(above, std::io::ErrorKind::NotADirectory),
            _ => Ok(format!("{} will be made", directory.display())),
        };
    }
    if !directory.is_dir() {
        return cannot(directory, std::io::ErrorKind::NotADirectory);
    }
    let file = directory.join(FILE_NAME);
    if !file.exists() {
        return Ok(format!("{} is there, without an inbox", directory.display()));
    }
    schema::look_at(&file)?;
    Ok(format!("{} is there, with an inbox", directory.display()))
}

/// Makes the directory readable by its owner alone: what people say to an agent is kept in it.
fn make_directory(path: &Path) -> Result<(), OpenError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|what| OpenError::Directory { path: path.to_owned(), what })
}

fn hold(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK_NAME);
    let failed = |what| OpenError::Directory { path: path.clone(), what };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Held(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Reads with a connection that others may be using: after them, off the threads that drive futures.
pub(crate) async fn look<T: Send + 'static>(
    reader: &Arc<Mutex<Reader>>,
    look: impl FnOnce(&Reader) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let reader = Arc::clone(reader);
    let work = move || look(&reader.lock().unwrap_or_else(PoisonError::into_inner));
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "stored events could not be read");
            Err(StoreError::Temporary)
        }
        Err(_) => Err(StoreError::Temporary),
    }
}
