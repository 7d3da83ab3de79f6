//! The receiver itself: put into a program, and closed.
//!
//! It exists as the one value that an embedding program holds. Read `builder.rs` for how it is set up, and
//! `intake/receive.rs` for the way of an event.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use vai_webhooks_wire::{UnixMs, Verifier};

use crate::accepts::Limits;
use crate::builder::ReceiverBuilder;
use crate::config::ConfigError;
use crate::console::{self, AccessKey};
use crate::inbox::Inbox;
use crate::intake;
use crate::observe::Observer;
use crate::rejected::Rejected;
use crate::store::{OpenError, Store};

/// Why a receiver could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no secret and no key, so that nothing could be verified.
    #[error("no secret and no verifying key: give at least one, nothing can be verified without")]
    NothingToVerifyWith,
    /// A handler's filter is no event type, no `prefix.*` and not `*`.
    #[error("{0:?} is no filter for events: give a name as \"message.sent\", a \"prefix.*\", or \"*\"")]
    BadFilter(String),
    /// The data directory could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A sink's configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What every request needs.
pub(crate) struct Shared {
    pub(crate) verifier: Verifier,
    pub(crate) limits: Limits,
    pub(crate) store: Store,
    /// One permit for each byte of a body in memory.
    pub(crate) memory: Arc<Semaphore>,
    pub(crate) inbox: Inbox,
    /// Whether summaries are kept, and can be asked for.
    pub(crate) summaries: bool,
    pub(crate) rejected: Rejected,
    pub(crate) observer: Option<Observer>,
    /// What the routes about the receiver itself are opened with.
    pub(crate) key: Option<AccessKey>,
    pub(crate) started_at: UnixMs,
}

/// Verifies, stores each event once, and hands it to handlers.
pub struct Receiver {
    pub(crate) shared: Arc<Shared>,
    /// Taken by the first `close`.
    pub(crate) worker: Mutex<Option<JoinHandle<()>>>,
    pub(crate) retention: Option<JoinHandle<()>>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It holds the store, which ends with its last holder.
        if let Some(retention) = &self.retention {
            retention.abort();
        }
    }
}

impl Receiver {
    /// Begins to set one up.
    pub fn builder() -> ReceiverBuilder {
        ReceiverBuilder::default()
    }

    /// The contract's routes, `POST /webhooks/vai`, `GET /health`, `GET /webhook/status`, and those about the receiver
    /// itself. Any number of routers may be made; all lead to this receiver.
    pub fn router(&self) -> Router {
        intake::router(self.shared.clone()).merge(console::router(self.shared.clone()))
    }

    /// What every request needs.
    pub(crate) fn shared_handle(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Returns when the store has failed for good. From then on every event is answered 503, and
    /// the program should end or open the receiver anew.
    pub async fn failed(&self) {
        let mut down = self.shared.store.down();
        // An error means that the writer was closed in good order, which is no failure.
        if down.wait_for(|down| *down).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Stores what waits, lets sinks finish the batch they have and handlers what is stored, for at most
    /// `deadline`, and closes the file. Requests that come later are answered 503. A second call does nothing.
    ///
    /// Returns false where sinks or handlers were stopped at the deadline. What sinks had not taken they get at
    /// the next start; what handlers had not taken, they will not get.
    pub async fn close(&self, deadline: Duration) -> bool {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let work = async {
            self.shared.inbox.stop().await;
            self.shared.store.close().await;
            match &mut worker {
                Some(worker) => worker.await.is_ok(),
                None => true,
            }
        };
        let finished = tokio::time::timeout(deadline, work).await.unwrap_or(false);
        if !finished {
            // Asked first, but a sink may have kept the store from being closed.
            self.shared.store.close().await;
        }
        if let Some(worker) = worker {
            worker.abort();
        }
        finished
    }
}
