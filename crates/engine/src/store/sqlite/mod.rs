//! The embedded store: one SQLite file, one writer, a few readers.
//!
//! Why SQLite, and why this layout: `docs/adr/0002-store.md`. The way of a write: `writer.rs` groups it,
//! a file for each table writes it, the hooks are told, it is answered. SQL stands in this folder and
//! nowhere else. Read `open.rs` next.

mod attempts;
mod catalog;
mod checkpoint;
pub(crate) mod columns;
mod deliveries;
mod disk;
mod due;
mod events;
mod fates;
mod group;
mod ledger;
mod open;
mod prompt;
mod queue;
mod readers;
mod schema;
mod scripts;
mod statements;
mod stats;
mod sync;
mod tenants;
mod types;
mod webhooks;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use vai_webhooks_wire::{EventId, UnixMs};

use self::disk::Disk;
pub use self::open::OpenError;
use self::prompt::Prompt;
use self::queue::Kind;
use self::readers::{Readers, StartError};
use self::writer::Writer;
use super::{
    AcceptEvent, Acceptance, ChangeWebhook, Changed, Dedupe, Due, DueQuery, Hooks, Later, Loaded, Parked,
    Settlement, Stats, StatsOf, Store, StoreError, StoredScript,
};
use crate::access::StoredKey;
use crate::attempt::Attempt;
use crate::clock::Clock;
use crate::event::{Delivery, Event, EventSummary};
use crate::key::{AttemptKey, EventKey, Realm, WebhookNo};
use crate::rng::Rng;
use crate::tenant::{TenantId, TenantName};

/// Threads that read for callers.
const CALL_READERS: usize = 2;
/// Threads that read back deliveries for the dispatcher.
const DISPATCH_READERS: usize = 1;

/// A store in one directory.
pub struct SqliteStore {
    /// `None` once it was closed.
    open: Mutex<Option<Open>>,
    calls: Readers,
    dispatch: Readers,
    realm: Realm,
}

struct Open {
    disk: Disk,
    writer: Arc<Writer>,
    thread: JoinHandle<()>,
    /// Held for as long as anything is written.
    lock: File,
}

impl SqliteStore {
    /// Opens the store in `dir`, making both where they are not there, and migrating an older file. New events are
    /// taken as long as its disk has more room than the reserve, in bytes.
    pub fn open(
        dir: &Path,
        reserve_bytes: u64,
        clock: Arc<dyn Clock>,
        rng: &dyn Rng,
    ) -> Result<Self, OpenError> {
        let open::Opened { mut writer, path, lock } = open::open(dir, rng)?;
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        let io = |source| OpenError::Io { path: path.clone(), source };
        let realm = writer
            .query_row("SELECT value FROM meta WHERE name = 'realm'", [], |row| row.get(0).map(Realm))
            .map_err(sqlite)?;
        let readers = |name, threads| match Readers::start(&path, name, threads) {
            Ok(readers) => Ok(readers),
            Err(StartError::Sqlite(source)) => Err(sqlite(source)),
            Err(StartError::Thread(source)) => Err(io(source)),
        };
        let calls = readers("vai-store-reader", CALL_READERS)?;
        let dispatch = readers("vai-store-due", DISPATCH_READERS)?;
        ledger::fold_all(&mut writer).map_err(sqlite)?;
        prompt::recover(&mut writer).map_err(sqlite)?;
        scripts::recover(&writer, clock.now()).map_err(sqlite)?;
        match checkpoint::start(&mut writer, &path) {
            Ok(()) => {}
            Err(checkpoint::Error::Sqlite(source)) => return Err(sqlite(source)),
            Err(checkpoint::Error::Thread(source)) => return Err(io(source)),
        }
        let prompt = Prompt::after(prompt::above_all(&writer).map_err(sqlite)?);
        let (writer, thread) = Writer::start(writer, clock, prompt).map_err(io)?;
        let open = Open { disk: Disk::of(dir, reserve_bytes), writer: Arc::new(writer), thread, lock };
        Ok(Self { open: Mutex::new(Some(open)), calls, dispatch, realm })
    }

    /// Writes for a caller.
    fn write<T, F>(&self, write: F) -> Later<T>
    where
        F: FnOnce(&Connection, &mut group::Group) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.write_as(Kind::Call { tenant: None, rows: 1, bytes: 0 }, write)
    }

    fn check_disk(&self) -> Result<(), StoreError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map_or(Ok(()), |open| open.disk.check(open.writer.now()))
    }

    fn write_as<T, F>(&self, kind: Kind, write: F) -> Later<T>
    where
        F: FnOnce(&Connection, &mut group::Group) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.as_ref() {
            Some(open) => open.writer.write(kind, write),
            None => std::future::ready(Err(StoreError::Closed)).boxed(),
        }
    }
}

impl Store for SqliteStore {
    fn load(&self) -> Later<Loaded> {
        let realm = self.realm;
        self.calls.read(move |connection| {
            Ok(Loaded {
                realm,
                link_key: connection
                    .query_row("SELECT key FROM keys WHERE name = 'links'", [], |row| row.get(0))?,
                highest_key: prompt::above_all(connection)?,
                webhooks: webhooks::load(connection)?,
                keys: tenants::load_keys(connection)?,
                tenants: tenants::load(connection)?,
                catalogs: catalog::load(connection)?,
                due: due::first_due(connection)?,
                pending: stats::pending(connection)?,
            })
        })
    }

    fn start(&self, hooks: Arc<dyn Hooks>) {
        if let Some(open) = self.open.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            open.writer.set_hooks(hooks);
        }
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let Some(Open { writer, thread, lock, .. }) = open else { return };
            drop(writer);
            // The thread ends when what waits is written; a thread of its own waits for that, so that
            // no thread that drives futures does.
            let (done, closed) = tokio::sync::oneshot::channel();
            let waiter = std::thread::Builder::new().name("vai-store-close".to_owned()).spawn(move || {
                let _panicked = thread.join();
                drop(lock);
                let _gone = done.send(());
            });
            if waiter.is_ok() {
                let _closed = closed.await;
            }
        }
        .boxed()
    }

    fn accept(&self, events: Vec<AcceptEvent>) -> Later<Vec<Acceptance>> {
        let bytes = events.iter().map(|event| event.event.body.len()).sum();
        let tenant = events.first().map(|event| event.tenant);
        if let Err(full) = self.check_disk() {
            return std::future::ready(Err(full)).boxed();
        }
        self.write_as(Kind::Call { tenant, rows: events.len(), bytes }, move |connection, group| {
            events.into_iter().map(|event| events::accept(connection, group, event)).collect()
        })
    }

    fn settle(&self, settlements: Vec<Settlement>) -> Later<()> {
        self.write_as(Kind::Result { rows: settlements.len() }, move |connection, group| {
            for settlement in &settlements {
                deliveries::settle(connection, group, settlement)?;
                if settlement.disables {
                    webhooks::disable(connection, group, settlement.webhook, settlement.ended_at)?;
                }
            }
            Ok(())
        })
    }

    fn park(&self, parked: Vec<Parked>) -> Later<()> {
        self.write_as(Kind::Result { rows: parked.len() }, move |connection, group| {
            parked.into_iter().try_for_each(|parked| deliveries::park(connection, group, parked))
        })
    }

    fn reopen(
        &self,
        event: EventKey,
        webhooks: Vec<WebhookNo>,
        now: UnixMs,
        call: Option<(TenantId, Dedupe)>,
    ) -> Later<()> {
        self.write(move |connection, group| {
            if let (Some((tenant, dedupe)), Some(first)) = (&call, webhooks.first()) {
                if webhooks::made_before(connection, *tenant, dedupe)?.is_some() {
                    return Ok(());
                }
                webhooks::insert_call(connection, *tenant, dedupe, *first, now)?;
            }
            webhooks
                .into_iter()
                .try_for_each(|webhook| deliveries::reopen(connection, group, event, webhook, now))
        })
    }

    fn scripts(&self, webhook: WebhookNo) -> Later<Vec<StoredScript>> {
        self.calls.read(move |connection| scripts::list(connection, webhook))
    }

    fn script(&self, webhook: WebhookNo, version: u32) -> Later<Option<String>> {
        self.dispatch.read(move |connection| scripts::code(connection, webhook, version))
    }

    fn pin_original(&self, event: EventKey, webhook: WebhookNo) -> Later<()> {
        self.write_as(Kind::Result { rows: 1 }, move |connection, group| {
            scripts::pin_original(connection, group, event, webhook)
        })
    }

    fn release(&self, webhook: WebhookNo, limit: u32, now: UnixMs) -> Later<u32> {
        self.write_as(Kind::Result { rows: limit as usize }, move |connection, group| {
            scripts::release(connection, group, webhook, limit, now)
        })
    }

    fn cancel(&self, webhook: WebhookNo, limit: u32, _now: UnixMs) -> Later<u32> {
        self.write_as(Kind::Result { rows: limit as usize }, move |connection, group| {
            deliveries::cancel(connection, group, webhook, limit)
        })
    }

    fn record_test(&self, event: AcceptEvent, settlement: Settlement) -> Later<()> {
        self.write_as(Kind::Result { rows: 3 }, move |connection, group| {
            webhooks::record_test(connection, group, &event, &settlement)
        })
    }

    fn tenant(&self, name: TenantName, now: UnixMs) -> Later<TenantId> {
        self.write(move |connection, _| tenants::get_or_make(connection, &name, now))
    }

    fn change_webhook(&self, change: ChangeWebhook) -> Later<Changed> {
        self.write(move |connection, group| webhooks::change(connection, group, change))
    }

    fn call(&self, tenant: TenantId, dedupe: Dedupe) -> Later<Option<Changed>> {
        self.calls.read(move |connection| webhooks::made_before(connection, tenant, &dedupe))
    }

    fn add_key(&self, key: StoredKey) -> Later<()> {
        self.write(move |connection, _| tenants::add_key(connection, &key))
    }

    fn revoke_key(&self, id: String, now: UnixMs) -> Later<bool> {
        self.write(move |connection, _| tenants::revoke_key(connection, &id, now))
    }

    fn waited(&self) -> Duration {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map_or(Duration::ZERO, |open| open.writer.waited())
    }

    fn ping(&self) -> Later<()> {
        self.calls.read(|connection| connection.query_row("SELECT 1 FROM meta", [], |_| Ok(())))
    }

    fn due(&self, query: DueQuery) -> Later<Due> {
        let realm = self.realm;
        self.dispatch.read(move |connection| due::due(connection, &query, realm))
    }

    fn events(&self, tenant: TenantId, before: Option<EventKey>, limit: usize) -> Later<Vec<EventSummary>> {
        let realm = self.realm;
        self.calls.read(move |connection| events::list(connection, tenant, before, limit, realm))
    }

    fn event_key(&self, tenant: TenantId, id: EventId) -> Later<Option<EventKey>> {
        self.calls.read(move |connection| events::key_of(connection, tenant, &id))
    }

    fn event(&self, tenant: TenantId, key: EventKey) -> Later<Option<Event>> {
        let realm = self.realm;
        self.calls.read(move |connection| events::get(connection, tenant, key, realm))
    }

    fn deliveries(&self, key: EventKey) -> Later<Vec<(WebhookNo, Delivery)>> {
        let realm = self.realm;
        self.calls.read(move |connection| fates::list(connection, key, realm))
    }

    fn attempts(&self, webhook: WebhookNo, before: Option<AttemptKey>, limit: usize) -> Later<Vec<Attempt>> {
        let realm = self.realm;
        self.calls.read(move |connection| attempts::of_webhook(connection, webhook, before, limit, realm))
    }

    fn stats(&self, of: StatsOf) -> Later<Stats> {
        self.calls.read(move |connection| stats::read(connection, of))
    }

    fn event_types(&self, tenant: TenantId) -> Later<Vec<(String, UnixMs)>> {
        self.calls.read(move |connection| types::list(connection, tenant))
    }

    fn oldest_due(&self, now: UnixMs) -> Later<Option<UnixMs>> {
        self.calls.read(move |connection| due::oldest_due(connection, now))
    }
}
