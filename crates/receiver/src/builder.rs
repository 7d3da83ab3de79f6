//! How a receiver is set up and opened.
//!
//! Invariant: it cannot be opened without anything to verify signatures with. Read `accepts.rs` next.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use vai_webhooks_wire::{Secret, UnixMs, VerifyingKey};

use crate::accepts::Accepts;
#[cfg(doc)]
use crate::accepts::{BODY_BYTES_MAX, BODY_TIMEOUT_MS};
use crate::config::SinkConfig;
use crate::console::AccessKey;
use crate::derive::{self, Consumer};
use crate::inbox::{Fed, GIVE_UP_MS, Inbox, RETAIN_MS, Start, Wanted, retention};
use crate::intake::BODIES_BYTES_MAX;
use crate::observe::{Observation, Observer};
use crate::receiver::{BuildError, Receiver, Shared};
use crate::rejected::Rejected;
use crate::route::{Handler, Routes};
use crate::rule::Rule;
use crate::sink::Sink;
use crate::store::reader::Reader;
use crate::store::{OpenError, Store};
use crate::worker::Worker;

/// Sets a [`Receiver`] up.
pub struct ReceiverBuilder {
    accepts: Accepts,
    observer: Option<Observer>,
    configured: Vec<SinkConfig>,
    sinks: Vec<Fed>,
    give_up: Duration,
    consumers: Vec<Box<dyn Consumer>>,
    key: Option<AccessKey>,
    retain: Option<Duration>,
}

impl Default for ReceiverBuilder {
    fn default() -> Self {
        Self {
            accepts: Accepts::default(),
            observer: None,
            configured: Vec::new(),
            sinks: Vec::new(),
            give_up: Duration::from_millis(GIVE_UP_MS),
            consumers: Vec::new(),
            key: None,
            retain: Some(Duration::from_millis(RETAIN_MS)),
        }
    }
}

impl ReceiverBuilder {
    /// Accepts what is signed with this secret. May be called several times, while rotating.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.accepts = self.accepts.secret(secret);
        self
    }

    /// Accepts what is signed (`v1a`) with the private key of this Ed25519 key.
    pub fn verifying_key(mut self, key: VerifyingKey) -> Self {
        self.accepts = self.accepts.verifying_key(key);
        self
    }

    /// How far `webhook-timestamp` may be from now, either way. By default five minutes, as
    /// Standard Webhooks says.
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.accepts = self.accepts.tolerance(tolerance);
        self
    }

    /// Whether a request that carries the legacy signature alone is accepted, as the seed's sender
    /// makes it. On by default. It covers no time, so such a request can be sent again at any time by
    /// whoever saw it: here it is then a duplicate as long as the first is stored.
    pub fn accept_legacy(mut self, accept: bool) -> Self {
        self.accepts = self.accepts.accept_legacy(accept);
        self
    }

    /// The largest body in bytes, by default [`BODY_BYTES_MAX`]. What is larger is answered 413.
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.accepts.limits.body_bytes_max = bytes;
        self
    }

    /// How long a whole body may take to arrive, by default [`BODY_TIMEOUT_MS`]. Then: 408.
    pub fn body_timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.accepts.limits.body_timeout_ms = timeout_ms;
        self
    }

    /// Calls `handler` with every event that `filter` (a name, `prefix.*` or `*`) takes, after it is
    /// stored for the first time. At most once: a crash between the write and the handler skips it.
    /// One event at a time, in stored order; the sender's answer does not wait for it.
    pub fn on(mut self, filter: &str, handler: impl Handler) -> Self {
        self.accepts = self.accepts.on(filter, handler);
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
        if let Some(filter) = self.accepts.filter(filter) {
            self.sinks.push(Fed {
                name: name.into(),
                kind: "custom".to_owned(),
                wanted: Wanted { filters: vec![filter], condition: None },
                start: Start::Now,
                sink: Box::new(sink),
            });
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
        let Accepts { verifier, limits, routes, .. } = self.accepts.checked()?;
        let directory: PathBuf = directory.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || Store::open(&directory)).await;
        let store = opened.map_err(|error| OpenError::Thread(std::io::Error::other(error)))??;
        let mut sinks = self.sinks;
        for config in &self.configured {
            sinks.push(config.fed(store.directory())?);
        }
        let summaries = derive::keep_summaries(&self.consumers);
        let inbox = Inbox::start(&store, sinks, self.consumers, self.give_up).await?;
        let worker = match routes.is_empty() {
            true => None,
            false => Some(tokio::spawn(worker(&store, routes)?.run())),
        };
        let shared = Shared {
            verifier,
            limits,
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
