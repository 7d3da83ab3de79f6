//! The engine: what another program holds and calls.
//!
//! It puts the rooms together and is the only way in: calls on events are in `events.rs`, on webhooks in
//! `webhooks.rs`, `trial.rs` and `secrets.rs`, on event types in `catalog.rs`, on transformations in
//! `scripts.rs` and `transform.rs`, through links in `linked.rs`, on API keys and tenants in `access.rs`. Invariant: every call names its tenant, and
//! sees nothing of another. Read `../intake/mod.rs` next.

mod access;
mod catalog;
mod checked;
mod events;
mod hooks;
mod linked;
mod options;
mod scripts;
mod secrets;
mod transform;
mod trial;
mod webhooks;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::access::{KeyRing, StoredKey, hash_key, starts_with};
use crate::catalog::LiveCatalog;
use crate::clock::{Clock, SystemClock};
use crate::counters::{Counters, Counts};
use crate::dispatch::egress::{EgressOptions, HttpTransport, Policy};
use crate::dispatch::inbox::Inbox;
use crate::dispatch::shard::Shard;
use crate::dispatch::transport::Transport;
use crate::error::EngineError;
use crate::key::{KeyMaker, WebhookNo};
use crate::link::Links;
use crate::parts::Parts;
use crate::rng::{Rng, SystemRng};
use crate::store::sqlite::{OpenError, SqliteStore};
use crate::store::{Store, StoreError};
use crate::thread::EngineThread;
use crate::transform::pool::Pool;
use crate::webhook::registry::Registry;

pub use catalog::{EventType, EventTypeVersion, PutEventType};
pub use events::{PAGE_MAX, Page};
pub use options::{EngineOptions, Redacted};
pub use secrets::ROTATION_GRACE_MS;
pub use transform::{Trial, TrialOutput};
pub use trial::TestResult;
pub use webhooks::Registered;

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds cannot be used.
    #[error("{0}")]
    Damaged(String),
    /// A certificate or the network could not be set up.
    #[error("cannot set up sending: {0}")]
    Transport(String),
    /// No thread could be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The durable webhook engine. Cheap to share behind an `Arc`; ends with [`Engine::shutdown`].
pub struct Engine {
    parts: Arc<Parts>,
    policy: Policy,
    inboxes: Arc<Vec<Arc<Inbox>>>,
    shards: Mutex<Vec<oneshot::Receiver<()>>>,
    closing: AtomicBool,
    /// Its threads, until it has shut down.
    threads: Mutex<Vec<EngineThread>>,
    failed: watch::Receiver<Option<StoreError>>,
}

/// The values that an engine works with.
pub struct EngineParts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The network.
    pub transport: Arc<dyn Transport>,
    /// The store.
    pub store: Arc<dyn Store>,
}

/// Shards of an engine: each a future that must be driven until it ends.
pub type Shards = Vec<BoxFuture<'static, ()>>;

impl Engine {
    /// Opens the store in a directory, goes on where it stood, and sends from threads of its own.
    pub async fn open(options: EngineOptions) -> Result<Self, StartError> {
        let rng: Arc<dyn Rng> = Arc::new(SystemRng);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let store =
            SqliteStore::open(&options.data_dir, options.disk_reserve_bytes, Arc::clone(&clock), &*rng)?;
        let extra_roots = options.extra_roots.iter().map(|der| der.clone().into()).collect();
        let egress = EgressOptions {
            policy: Policy::new(options.egress_allow.clone()),
            extra_roots,
            ..EgressOptions::default()
        };
        let transport =
            HttpTransport::new(egress).map_err(|error| StartError::Transport(error.to_string()))?;
        let parts = EngineParts { clock, rng, transport: Arc::new(transport), store: Arc::new(store) };
        let (engine, shards) = Self::assemble(parts, &options).await?;
        let threads = shards.into_iter().map(EngineThread::start).collect::<std::io::Result<_>>()?;
        *engine.lock_threads() = threads;
        Ok(engine)
    }

    /// Puts an engine together from values that the caller chose. The caller drives the shards, as a
    /// simulation does; until each has ended, [`Engine::shutdown`] waits for it.
    pub async fn assemble(parts: EngineParts, options: &EngineOptions) -> Result<(Self, Shards), StartError> {
        let EngineParts { clock, rng, transport, store } = parts;
        let loaded = store.load().await?;
        let registry = Registry::load(loaded.webhooks, &loaded.pending)
            .map_err(|damaged| StartError::Damaged(damaged.to_string()))?;
        let registry = Arc::new(registry);
        let key_ring = KeyRing::load(loaded.keys, loaded.tenants);
        if let Some(Redacted(text)) = &options.admin_key {
            key_ring.add(admin_key_of(text, clock.now()));
        }
        let count = options.shards.max(1);
        let scripts = Pool::new(Arc::clone(&clock), count);
        let parts = Arc::new(Parts {
            long_checks: Arc::new(Semaphore::new(count)),
            scripts,
            clock,
            rng,
            transport,
            store,
            registry,
            catalog: Arc::new(LiveCatalog::load(loaded.catalogs)),
            keys: KeyMaker::above(loaded.highest_key),
            realm: loaded.realm,
            counters: Counters::default(),
            backlog_max: options.backlog_max,
            key_ring,
            links: Links::new(loaded.link_key, options.public_url.as_deref(), options.link_life),
        });
        let inboxes: Arc<Vec<Arc<Inbox>>> = Arc::new((0..count).map(|_| Arc::default()).collect());
        let (failed, on_failure) = watch::channel(None);
        parts.store.start(Arc::new(hooks::EngineHooks::new(
            &parts.registry,
            &parts.catalog,
            &inboxes,
            failed,
        )));
        let mut due: Vec<Vec<_>> = vec![Vec::new(); count];
        for (webhook, at) in loaded.due {
            due[shard_of(webhook, count)].push((webhook, at));
        }
        let mut ended = Vec::with_capacity(count);
        let mut futures: Shards = Vec::with_capacity(count);
        for (inbox, due) in inboxes.iter().zip(due) {
            let shard = Shard::new(Arc::clone(&parts), Arc::clone(inbox), due);
            let (done, on_end) = oneshot::channel();
            ended.push(on_end);
            let run = async move {
                shard.run().await;
                // Nobody waits for it where the engine was dropped without a shutdown.
                let _gone = done.send(());
            };
            futures.push(run.boxed());
        }
        let engine = Self {
            parts,
            policy: Policy::new(options.egress_allow.clone()),
            inboxes,
            shards: Mutex::new(ended),
            closing: AtomicBool::new(false),
            threads: Mutex::default(),
            failed: on_failure,
        };
        Ok((engine, futures))
    }

    /// The engine's threads, each of which drives a part of the webhooks, until it has shut down. What calls the engine
    /// for each event does well to run on them, spread evenly. It must never hold one up: sending waits for it, and to block there
    /// until a call is answered is to wait for ever, since the answer comes on that thread. End what runs there before
    /// [`Engine::shutdown`], which drops the rest. Empty after that, and where the engine was put together with
    /// [`Engine::assemble`].
    #[must_use]
    pub fn threads(&self) -> Vec<Handle> {
        self.lock_threads().iter().map(|thread| thread.handle().clone()).collect()
    }

    fn lock_threads(&self) -> MutexGuard<'_, Vec<EngineThread>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes nothing more, lets what is under way end and be recorded within `deadline`, and closes the
    /// store. What did not end by then is sent again at the next start. Answers whether all ended.
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        self.closing.store(true, Ordering::SeqCst);
        self.inboxes.iter().for_each(|inbox| inbox.close());
        let ended = std::mem::take(&mut *self.shards.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all = join_all(ended).fuse();
        let deadline_ms = i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX);
        let until = self.parts.clock.now().saturating_add(deadline_ms);
        let in_time = loop {
            let mut sleep = self.parts.clock.sleep_until(until).fuse();
            tokio::select! {
                biased;
                _ = &mut all => break true,
                () = &mut sleep => {}
            }
            if self.parts.clock.now() >= until {
                break false;
            }
        };
        if !in_time {
            self.inboxes.iter().for_each(|inbox| inbox.abort());
            all.await;
        }
        self.parts.store.close().await;
        self.lock_threads().clear();
        in_time
    }

    /// Resolves when the store has failed: nothing is accepted or sent any more, and the process should end.
    pub async fn failure(&self) -> StoreError {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(error)) => error.clone(),
            // The store was closed in good order: it cannot fail any more.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Whether events are being accepted and the store can be read.
    pub async fn ready(&self) -> Result<(), EngineError> {
        self.check_open()?;
        self.parts.store.ping().await?;
        Ok(())
    }

    /// What happened since the start, counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.parts.counters.snapshot()
    }

    /// How long the oldest write that is not on disk yet has waited.
    #[must_use]
    pub fn commit_wait(&self) -> Duration {
        self.parts.store.waited()
    }

    /// The engine's time.
    #[must_use]
    pub fn now(&self) -> vai_webhooks_wire::UnixMs {
        self.parts.clock.now()
    }

    fn check_open(&self) -> Result<(), EngineError> {
        if let Some(error) = &*self.failed.borrow() {
            return Err(EngineError::Store(error.clone()));
        }
        if self.closing.load(Ordering::SeqCst) { Err(EngineError::ShuttingDown) } else { Ok(()) }
    }

    fn inbox(&self, webhook: WebhookNo) -> &Inbox {
        &self.inboxes[shard_of(webhook, self.inboxes.len())]
    }
}

/// Which of `count` shards drives a webhook.
fn shard_of(webhook: WebhookNo, count: usize) -> usize {
    usize::try_from(webhook.0).unwrap_or_default() % count
}

fn admin_key_of(text: &str, now: vai_webhooks_wire::UnixMs) -> StoredKey {
    StoredKey {
        id: "environment".to_owned(),
        hash: hash_key(text),
        starts_with: starts_with(text),
        tenant: None,
        name: "from the environment".to_owned(),
        created_at: now,
        expires_at: None,
    }
}
