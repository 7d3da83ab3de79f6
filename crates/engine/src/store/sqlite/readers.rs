//! Reading beside the writer: a few threads, each with its own connection that cannot write.
//!
//! The dispatcher has a pool of its own, so that no page that somebody looks at can hold up a delivery.
//! Read `deliveries.rs` next for what it reads.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::open;
use crate::store::{Later, StoreError};

/// Reads that wait for a thread. A caller beyond that waits for its place.
const QUEUE_MAX: usize = 1_024;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The way to a pool's threads; they end when it is dropped.
pub(super) struct Readers {
    queue: mpsc::Sender<Read>,
}

impl Readers {
    /// Starts `threads` threads on the file at `path`.
    pub(super) fn start(path: &Path, name: &str, threads: usize) -> Result<Self, StartError> {
        let (queue, waiting) = mpsc::channel::<Read>(QUEUE_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let connection = open::reader(path)?;
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&connection, &waiting))?;
        }
        Ok(Self { queue })
    }

    /// Queues a read and resolves with what it found.
    pub(super) fn read<T, F>(&self, read: F) -> Later<T>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let queue = self.queue.clone();
        async move {
            let (reply, answer) = oneshot::channel();
            let job: Read = Box::new(move |connection| {
                // A caller that has gone away gets no answer.
                let _gone = reply.send(read(connection));
            });
            queue.send(job).await.map_err(|_| StoreError::Closed)?;
            drop(queue);
            let found = answer.await.map_err(|_| StoreError::Closed)?;
            found.map_err(|error| StoreError::Read(error.to_string()))
        }
        .boxed()
    }
}

/// Why a pool could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Thread(#[from] std::io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

fn run(connection: &Connection, waiting: &Mutex<mpsc::Receiver<Read>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match next {
            Some(read) => read(connection),
            None => return,
        }
    }
}
