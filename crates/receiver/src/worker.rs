//! Takes stored events off the disk, oldest first, and gives them to the handlers.
//!
//! It exists so that a sender's 200 waits for the disk and never for a handler, and so that a slow
//! handler costs disk and not memory. Its place (the last event it took) is in memory: it starts at the
//! newest event, so what was stored but not yet handled at a crash is not handled later. Sinks, whose
//! place is on disk, are fed by `inbox/` instead. Invariant: events in stored order, each at
//! most once. Read `store/reader.rs` next.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::route::Routes;
use crate::sink::Stored;
use crate::store::reader::Reader;

/// The worker's place and its means.
pub(crate) struct Worker {
    reader: Arc<Mutex<Reader>>,
    taken_to: i64,
    stored_to: watch::Receiver<i64>,
    routes: Routes,
}

impl Worker {
    /// A worker that begins after what is stored now.
    pub(crate) fn new(reader: Reader, mut stored_to: watch::Receiver<i64>, routes: Routes) -> Self {
        let taken_to = *stored_to.borrow_and_update();
        Self { reader: Arc::new(Mutex::new(reader)), taken_to, stored_to, routes }
    }

    /// Works until the store is closed and everything in it was taken.
    pub(crate) async fn run(mut self) {
        loop {
            let closed = self.stored_to.changed().await.is_err();
            self.catch_up().await;
            if closed {
                return;
            }
        }
    }

    async fn catch_up(&mut self) {
        while *self.stored_to.borrow_and_update() > self.taken_to {
            let Some(slice) = self.next_slice().await else { return };
            if slice.is_empty() {
                return;
            }
            for stored in slice {
                self.taken_to = stored.seq;
                self.routes.run(stored.event).await;
            }
        }
    }

    /// `None` where the store could not be read: the next commit wakes the worker to try again.
    async fn next_slice(&self) -> Option<Vec<Stored>> {
        let (reader, after) = (self.reader.clone(), self.taken_to);
        let read = move || reader.lock().unwrap_or_else(PoisonError::into_inner).after(after, |_| true);
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(slice)) => Some(slice.events),
            Ok(Err(error)) => {
                tracing::error!(%error, "stored events could not be read for the handlers");
                None
            }
            Err(error) => {
                tracing::error!(%error, "reading stored events did not finish");
                None
            }
        }
    }
}
