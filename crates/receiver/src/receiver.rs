//! The receiver itself: how it is set up, opened, put into a program, and closed.
//!
//! It exists as the one value that an embedding program holds. Invariant: it cannot be opened without
//! anything to verify signatures with. Read `intake/receive.rs` for the way of an event.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use vai_webhooks_wire::{Secret, UnixMs, Verifier, VerifyingKey};

use crate::config::{ConfigError, SinkConfig};
use crate::console::{self, AccessKey};
use crate::derive::{self, Consumer};
use crate::inbox::{Fed, GIVE_UP_MS, Inbox, RETAIN_MS, Start, Wanted, retention};
use crate::intake::{self, BODIES_BYTES_MAX};
use crate::observe::{Observation, Observer};
use crate::rejected::Rejected;
use crate::route::{Filter, Handler, Routes};
use crate::rule::Rule;
use crate::sink::Sink;
use crate::store::reader::Reader;
use crate::store::{OpenError, Store};
use crate::worker::Worker;

/// The largest body by default: the 1 MiB that a sender's event may have, and room for the envelope.
pub const BODY_BYTES_MAX: usize = 1_310_720;
/// How long a whole body may take to arrive, by default.
pub const BODY_TIMEOUT_MS: u64 = 10_000;

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

/// What bounds a single request.
pub(crate) struct Limits {
    pub(crate) body_bytes_max: usize,
    pub(crate) body_timeout_ms: u64,
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
    shared: Arc<Shared>,
    /// Taken by the first `close`.
    worker: Mutex<Option<JoinHandle<()>>>,
    retention: Option<JoinHandle<()>>,
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
        ReceiverBuilder {
            verifier: Verifier::new(),
            verifies: false,
            limits: Limits { body_bytes_max: BODY_BYTES_MAX, body_timeout_ms: BODY_TIMEOUT_MS },
            routes: Routes::default(),
            bad_filter: None,
            observer: None,
            configured: Vec::new(),
            sinks: Vec::new(),
            give_up: Duration::from_millis(GIVE_UP_MS),
            consumers: Vec::new(),
            key: None,
            retain: Some(Duration::from_millis(RETAIN_MS)),
        }
        .accept_legacy(true)
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

/// Sets a [`Receiver`] up.
pub struct ReceiverBuilder {
    verifier: Verifier,
    verifies: bool,
    limits: Limits,
    routes: Routes,
    bad_filter: Option<String>,
    observer: Option<Observer>,
    configured: Vec<SinkConfig>,
    sinks: Vec<Fed>,
    give_up: Duration,
    consumers: Vec<Box<dyn Consumer>>,
    key: Option<AccessKey>,
    retain: Option<Duration>,
}

impl ReceiverBuilder {
    /// Accepts what is signed with this secret. May be called several times, while rotating.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.verifier = self.verifier.secret(secret);
        self.verifies = true;
        self
    }

    /// Accepts what is signed (`v1a`) with the private key of this Ed25519 key.
    pub fn verifying_key(mut self, key: VerifyingKey) -> Self {
        self.verifier = self.verifier.verifying_key(key);
        self.verifies = true;
        self
    }

    /// How far `webhook-timestamp` may be from now, either way. By default five minutes, as
    /// Standard Webhooks says.
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.verifier = self.verifier.tolerance(tolerance);
        self
    }

    /// Whether a request that carries the legacy signature alone is accepted, as the seed's sender
    /// makes it. On by default. It covers no time, so such a request can be sent again at any time by
    /// whoever saw it: here it is then a duplicate as long as the first is stored.
    pub fn accept_legacy(mut self, accept: bool) -> Self {
        self.verifier = self.verifier.accept_legacy(accept);
        self
    }

    /// The largest body in bytes, by default [`BODY_BYTES_MAX`]. What is larger is answered 413.
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.limits.body_bytes_max = bytes;
        self
    }

    /// How long a whole body may take to arrive, by default [`BODY_TIMEOUT_MS`]. Then: 408.
    pub fn body_timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.limits.body_timeout_ms = timeout_ms;
        self
    }

    /// Calls `handler` with every event that `filter` (a name, `prefix.*` or `*`) takes, after it is
    /// stored for the first time. At most once: a crash between the write and the handler skips it.
    /// One event at a time, in stored order; the sender's answer does not wait for it.
    pub fn on(mut self, filter: &str, handler: impl Handler) -> Self {
        match Filter::parse(filter) {
            Some(filter) => self.routes.add(filter, handler),
            None => self.bad_filter = Some(filter.to_owned()),
        }
        self
    }

    /// As [`on`](Self::on) with `*`.
    pub fn on_any(self, handler: impl Handler) -> Self {
        self.on("*", handler)
    }

    /// Feeds these sinks.
    pub fn sinks(mut self, sinks: impl IntoIterator<Item = SinkConfig>) -> Self {
        self.configured.extend(sinks);
        self
    }

    /// Feeds a sink of your own with what `filter` (a name, `prefix.*` or `*`) takes, from the next event on; after a
    /// restart, from the place that is kept under `name`.
    pub fn sink(mut self, name: &str, filter: &str, sink: impl Sink + 'static) -> Self {
        match Filter::parse(filter) {
            Some(filter) => self.sinks.push(Fed {
                name: name.into(),
                kind: "custom".to_owned(),
                wanted: Wanted { filters: vec![filter], condition: None },
                start: Start::Now,
                sink: Box::new(sink),
            }),
            None => self.bad_filter = Some(filter.to_owned()),
        }
        self
    }

    /// Keeps summaries of conversations and agents' hours, in `derived.db` and for `GET /conversations/{sessionId}` and
    /// `GET /agents/{agentId}/metrics`, and judges events by these rules. Messages go to the sinks that rules name as
    /// their targets.
    pub fn summaries_and_rules(self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.derive(derive::consumers(rules.into_iter().collect()))
    }

    /// Has these derive tables and notices from events.
    pub(crate) fn derive(mut self, consumers: impl IntoIterator<Item = Box<dyn Consumer>>) -> Self {
        self.consumers.extend(consumers);
        self
    }

    /// The key to the routes about the receiver itself (`/webhook/status`, `/metrics`, `/sinks`): without one they
    /// are closed.
    pub fn key(mut self, key: AccessKey) -> Self {
        self.key = Some(key);
        self
    }

    /// How long an event stays in the inbox after the last sink is done with it, by default
    /// [`RETAIN_MS`](crate::inbox::RETAIN_MS); `None` keeps all. An event that comes again after that is taken as new.
    pub fn retain(mut self, retain: Option<Duration>) -> Self {
        self.retain = retain;
        self
    }

    /// How long a single event may fail at a sink that is there before it becomes a dead letter, by default
    /// [`GIVE_UP_MS`].
    pub fn give_up(mut self, after: Duration) -> Self {
        self.give_up = after;
        self
    }

    /// Calls `observer` with every request's outcome, before the answer is sent.
    pub fn observe(mut self, observer: impl Fn(&Observation<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Opens the store in `directory` (made where it is missing) and starts. Needs a tokio runtime.
    pub async fn open(self, directory: impl AsRef<Path>) -> Result<Receiver, BuildError> {
        if !self.verifies {
            return Err(BuildError::NothingToVerifyWith);
        }
        if let Some(filter) = self.bad_filter {
            return Err(BuildError::BadFilter(filter));
        }
        let directory: PathBuf = directory.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || Store::open(&directory)).await;
        let store = opened.map_err(|error| OpenError::Thread(std::io::Error::other(error)))??;
        let mut sinks = self.sinks;
        for config in &self.configured {
            sinks.push(config.fed(store.directory())?);
        }
        let summaries = derive::keep_summaries(&self.consumers);
        let inbox = Inbox::start(&store, sinks, self.consumers, self.give_up).await?;
        let worker = match self.routes.is_empty() {
            true => None,
            false => Some(tokio::spawn(worker(&store, self.routes)?.run())),
        };
        let shared = Shared {
            verifier: self.verifier,
            limits: self.limits,
            store,
            memory: Arc::new(Semaphore::new(BODIES_BYTES_MAX)),
            inbox,
            summaries,
            rejected: Rejected::default(),
            observer: self.observer,
            key: self.key,
            started_at: UnixMs::now(),
        };
        let shared = Arc::new(shared);
        let retention = self.retain.map(|retain| tokio::spawn(retention::run(shared.clone(), retain)));
        Ok(Receiver { shared, worker: Mutex::new(worker), retention })
    }
}

fn worker(store: &Store, routes: Routes) -> Result<Worker, OpenError> {
    let path = store.file();
    let reader = Reader::open(path).map_err(|what| OpenError::Sqlite { path: path.to_owned(), what })?;
    Ok(Worker::new(reader, store.stored_to(), routes))
}
