//! A feeder's view of the notices that wait for its sink.
//!
//! It exists so that the feeder asks the disk only when something was written. Invariant: a notice is done with after
//! the sink took or refused it, not before. Read `store/derived/mod.rs` next.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::sink::Notice;
use crate::store::derived::{self, Notices};
use crate::store::{OpenError, Store, StoreError};

/// The notices of one sink.
pub(super) struct Mail {
    notices: Arc<Mutex<Notices>>,
    noticed: watch::Receiver<u64>,
    /// Whether some may wait although nothing was written since.
    look: bool,
}

impl Mail {
    pub(super) fn open(store: &Store, noticed: watch::Receiver<u64>) -> Result<Self, OpenError> {
        let sqlite = |what| OpenError::Sqlite { path: store.directory().join(derived::FILE_NAME), what };
        let notices = Notices::open(store.directory()).map_err(sqlite)?;
        Ok(Self { notices: Arc::new(Mutex::new(notices)), noticed, look: true })
    }

    /// Returns when there may be notices.
    pub(super) async fn wait(&mut self) {
        if !self.look && self.noticed.changed().await.is_err() {
            // Nothing is derived any more.
            std::future::pending::<()>().await;
        }
        // What was heard here is not heard again.
        self.look = true;
    }

    /// The oldest notice for `sink`.
    pub(super) async fn next(&mut self, sink: &Arc<str>) -> Result<Option<(i64, Notice)>, StoreError> {
        let written = self.noticed.has_changed().unwrap_or(false);
        if !written && !self.look {
            return Ok(None);
        }
        self.noticed.borrow_and_update();
        let sink = sink.clone();
        let next = self.blocking(move |notices| notices.next(&sink)).await?;
        self.look = next.is_some();
        Ok(next)
    }

    /// It was sent, or never will be.
    pub(super) async fn done(&mut self, number: i64) -> Result<(), StoreError> {
        self.blocking(move |notices| notices.done(number)).await
    }

    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Notices) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let notices = self.notices.clone();
        let work = move || work(&notices.lock().unwrap_or_else(PoisonError::into_inner));
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                tracing::error!(%error, "waiting notices could not be read");
                Err(StoreError::Temporary)
            }
            Err(_) => Err(StoreError::Temporary),
        }
    }
}
