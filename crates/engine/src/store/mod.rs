//! The store: what the engine asks of it, and nothing about how it does it.
//!
//! Invariants that every store keeps: a write is answered after it is on disk, never before; a failed
//! commit is final, and every later call fails; [`Hooks`] are told of what was committed in commit
//! order, before the writes are answered. `sqlite/` is the one there is. Another store (PostgreSQL) is a
//! folder beside it. Read `sqlite/mod.rs` next.

mod catalog;
mod hooks;
mod script;
pub mod sqlite;
mod stats;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use vai_webhooks_wire::{EventId, UnixMs};

pub use self::catalog::{
    CATALOG_BYTES_MAX, CatalogEntry, CatalogStore, CatalogVersion, PutDone, PutEntry, TYPES_PER_TENANT_MAX,
    VERSIONS_KEPT,
};
pub use self::hooks::{Committed, Fresh, Hooks};
pub use self::script::StoredScript;
pub use self::stats::{Stats, StatsOf};
use crate::access::StoredKey;
use crate::attempt::{Attempt, Exchanged};
use crate::catalog::CatalogChange;
use crate::event::{Delivery, DeliveryState, Event, EventSummary};
use crate::key::{AttemptKey, EventKey, Realm, WebhookNo};
pub use crate::schedule::room::Place;
use crate::tenant::{TenantId, TenantName};
pub use crate::webhook::live::StoredWebhook;
pub use crate::webhook::registry::{Route, Target};
pub use crate::webhook::{Form, Format};

/// The store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A write or commit failed. The store takes nothing more, so that nothing is answered that is not
    /// on disk.
    #[error("the store failed and takes nothing more: {0}")]
    Failed(String),
    /// A read failed; others may succeed.
    #[error("the store cannot be read: {0}")]
    Read(String),
    /// Too much waits to be written, or has waited too long. Nothing of this call was written.
    #[error("too much waits to be written")]
    Busy,
    /// The disk has no more room than its reserve. Nothing of this call was written.
    #[error("the disk has {free_mib} MiB left and keeps {reserve_mib}")]
    DiskReserve {
        /// What is left, in MiB.
        free_mib: u64,
        /// What is kept, in MiB.
        reserve_mib: u64,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// The result of a store's call, at some later time.
pub type Later<T> = BoxFuture<'static, Result<T, StoreError>>;

/// Durable storage of one installation.
pub trait Store: CatalogStore + Send + Sync + 'static {
    /// Everything that the engine holds in memory, read once at start.
    fn load(&self) -> Later<Loaded>;
    /// From now on, `hooks` are asked where events go and told what was committed. Called once, before any write.
    fn start(&self, hooks: Arc<dyn Hooks>);
    /// Writes what waits and closes.
    fn close(&self) -> BoxFuture<'static, ()>;

    /// Keeps these events with their deliveries, each or none of them known before. Answers in order.
    fn accept(&self, events: Vec<AcceptEvent>) -> Later<Vec<Acceptance>>;
    /// Records attempts and moves their deliveries.
    fn settle(&self, settlements: Vec<Settlement>) -> Later<()>;
    /// Makes pending deliveries that were only handed over in memory known to [`Store::due`].
    fn park(&self, parked: Vec<Parked>) -> Later<()>;
    /// Makes deliveries of an event due: of those webhooks (at least one), whether they had one or not.
    /// With `call`, once for each call of that name.
    fn reopen(
        &self,
        event: EventKey,
        webhooks: Vec<WebhookNo>,
        now: UnixMs,
        call: Option<(TenantId, Dedupe)>,
    ) -> Later<()>;
    /// The versions of a webhook's transformation, newest first, without their code.
    fn scripts(&self, webhook: WebhookNo) -> Later<Vec<StoredScript>>;
    /// The code of one version.
    fn script(&self, webhook: WebhookNo, version: u32) -> Later<Option<String>>;
    /// From now on the delivery goes out without a script.
    fn pin_original(&self, event: EventKey, webhook: WebhookNo) -> Later<()>;
    /// Makes up to `limit` held deliveries due, with the transformation that the webhook has now; answers how
    /// many there were.
    fn release(&self, webhook: WebhookNo, limit: u32, now: UnixMs) -> Later<u32>;
    /// Cancels up to `limit` pending deliveries of a deleted webhook; answers how many there were.
    fn cancel(&self, webhook: WebhookNo, limit: u32, now: UnixMs) -> Later<u32>;
    /// Records a `webhook.test` that was sent outside the lanes: event, delivery and attempt at once.
    fn record_test(&self, event: AcceptEvent, settlement: Settlement) -> Later<()>;

    /// The tenant of this name, made at its first use.
    fn tenant(&self, name: TenantName, now: UnixMs) -> Later<TenantId>;
    /// Changes webhooks.
    fn change_webhook(&self, change: ChangeWebhook) -> Later<Changed>;
    /// What a call with this idempotency key made before: [`Changed::Repeated`] or [`Changed::KeyReused`].
    fn call(&self, tenant: TenantId, dedupe: Dedupe) -> Later<Option<Changed>>;
    /// Keeps an API key.
    fn add_key(&self, key: StoredKey) -> Later<()>;
    /// Ends an API key; answers whether there was one.
    fn revoke_key(&self, id: String, now: UnixMs) -> Later<bool>;

    /// How long the oldest write that is not answered yet has waited.
    fn waited(&self) -> Duration;
    /// Whether it can be read.
    fn ping(&self) -> Later<()>;
    /// The next deliveries of a webhook that are due, oldest first, apart from `skip`.
    fn due(&self, query: DueQuery) -> Later<Due>;
    /// Events of a tenant, newest first.
    fn events(&self, tenant: TenantId, before: Option<EventKey>, limit: usize) -> Later<Vec<EventSummary>>;
    /// The key of a tenant's event that a producer gave this id.
    fn event_key(&self, tenant: TenantId, id: EventId) -> Later<Option<EventKey>>;
    /// One event of a tenant.
    fn event(&self, tenant: TenantId, key: EventKey) -> Later<Option<Event>>;
    /// The deliveries of an event, with all their attempts.
    fn deliveries(&self, key: EventKey) -> Later<Vec<(WebhookNo, Delivery)>>;
    /// The attempts at a webhook, newest first.
    fn attempts(&self, webhook: WebhookNo, before: Option<AttemptKey>, limit: usize) -> Later<Vec<Attempt>>;
    /// The counts of one webhook, or of all of a tenant's webhooks, deleted ones among them.
    fn stats(&self, of: StatsOf) -> Later<Stats>;
    /// Event types of a tenant that were seen, with the time of the latest, by name.
    fn event_types(&self, tenant: TenantId) -> Later<Vec<(String, UnixMs)>>;
    /// When the delivery that has waited longest to be read back became due, if any is due at `now`.
    fn oldest_due(&self, now: UnixMs) -> Later<Option<UnixMs>>;
}

/// A delivery that stays on disk, to be read back.
#[derive(Debug, Clone, Copy)]
pub struct Parked {
    /// The event.
    pub event: EventKey,
    /// The webhook.
    pub webhook: WebhookNo,
    /// When it became due.
    pub due: UnixMs,
}

/// What is loaded at start.
pub struct Loaded {
    /// The installation's realm.
    pub realm: Realm,
    /// The highest key of any event or attempt.
    pub highest_key: i64,
    /// All webhooks that are not deleted.
    pub webhooks: Vec<StoredWebhook>,
    /// All API keys that are not revoked.
    pub keys: Vec<StoredKey>,
    /// All tenants.
    pub tenants: Vec<(TenantId, TenantName)>,
    /// The catalogs of those whose events are checked.
    pub catalogs: Vec<CatalogChange>,
    /// For each webhook with pending deliveries, deleted ones among them, when the first is due.
    pub due: Vec<(WebhookNo, UnixMs)>,
    /// What links to events are signed with.
    pub link_key: [u8; 32],
    /// For each webhook with pending deliveries, deleted ones among them, how many.
    pub pending: Vec<(WebhookNo, i64)>,
}

/// What is sent of an event, shared by all its deliveries.
#[derive(Debug)]
pub struct Sendable {
    /// Its key.
    pub key: EventKey,
    /// Its public id: the `webhook-id` header.
    pub id: EventId,
    /// Its type: the `X-VAI-Event` header.
    pub event_type: Box<str>,
    /// The body.
    pub body: Bytes,
}

/// An event to keep.
#[derive(Debug, Clone)]
pub struct AcceptEvent {
    /// What is sent.
    pub event: Arc<Sendable>,
    /// Whose it is.
    pub tenant: TenantId,
    /// When it happened.
    pub timestamp: UnixMs,
    /// Not to be sent before this time.
    pub deliver_at: Option<UnixMs>,
    /// When it was accepted.
    pub now: UnixMs,
    /// Channels that it names.
    pub channels: Vec<String>,
    /// What makes it the same event when it is posted again, and a hash of what was posted.
    pub dedupe: Option<Dedupe>,
}

/// How an event is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedupe {
    /// `id:<producer's id>` or `key:<idempotency key>`, unique for the tenant.
    pub name: String,
    /// A hash of what was posted.
    pub content: [u8; 32],
}

/// What became of an event that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It is on disk.
    New,
    /// The same was there already, under this key.
    Same(EventKey),
    /// Something else is there under its name.
    Differs,
    /// It waited too long to be written, and was not.
    Late,
}

/// A delivery that is ready for an attempt.
#[derive(Debug, Clone)]
pub struct Ready {
    /// What to send.
    pub event: Arc<Sendable>,
    /// Attempts made, in all.
    pub attempts: u32,
    /// How many of them were made before it was last sent again by hand.
    pub attempts_before: u32,
    /// What makes its bytes, where they are not the event's as it was accepted.
    pub form: Option<Form>,
}

/// One attempt and what it means for its delivery.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The event.
    pub event: EventKey,
    /// The webhook.
    pub webhook: WebhookNo,
    /// The attempt's key.
    pub attempt: AttemptKey,
    /// The attempt's number: all that were made, this one among them.
    pub number: u32,
    /// When it started.
    pub started_at: UnixMs,
    /// When it ended.
    pub ended_at: UnixMs,
    /// What came of it.
    pub exchanged: Exchanged,
    /// The delivery's state after it.
    pub state: DeliveryState,
    /// When the next attempt is due: with [`DeliveryState::Pending`] only.
    pub due: Option<UnixMs>,
    /// Whether the webhook is disabled by it.
    pub disables: bool,
    /// Why the delivery is held or dropped. Pending without `due` is held.
    pub note: Option<String>,
    /// What made its bytes.
    pub form: Option<Form>,
}

/// Which deliveries to read back.
#[derive(Debug, Clone)]
pub struct DueQuery {
    /// Of this webhook.
    pub webhook: WebhookNo,
    /// Due at this time.
    pub now: UnixMs,
    /// These are in memory already.
    pub skip: Vec<EventKey>,
    /// At most so many.
    pub limit: usize,
    /// Stop after so many bytes of bodies, but not before the first delivery.
    pub body_bytes_max: usize,
}

/// Deliveries that were read back.
#[derive(Debug, Default)]
pub struct Due {
    /// Due ones, oldest first.
    pub ready: Vec<Ready>,
    /// Whether more are due than were read.
    pub more: bool,
    /// When the first that is not due yet will be; known only without `more`.
    pub next_due: Option<UnixMs>,
}

/// A change of one webhook, checked by the engine, to be made if it still applies.
#[derive(Clone)]
pub struct ChangeWebhook {
    /// Whose.
    pub tenant: TenantId,
    /// When.
    pub now: UnixMs,
    /// What.
    pub what: WebhookWrite,
    /// Repeats of the same call find this.
    pub idempotency: Option<Dedupe>,
}

/// The kinds of webhook changes.
#[derive(Clone)]
pub enum WebhookWrite {
    /// A new one; its number is given by the store. With it, the test that it passed.
    Insert(Box<StoredWebhook>, Option<Box<(AcceptEvent, Settlement)>>),
    /// This one in place of the one of the same number, if that was last changed at `expected`.
    Replace {
        /// The new state.
        webhook: Box<StoredWebhook>,
        /// `updated_at` of the state that the change was made from.
        expected: UnixMs,
    },
}

/// What became of a webhook change.
pub enum Changed {
    /// Made: the webhook as it is now.
    Done(Box<StoredWebhook>),
    /// The same call was made before: the webhook it made, as it is now; `None` where it was deleted since.
    Repeated(Option<WebhookNo>),
    /// The idempotency key was used for another call.
    KeyReused,
    /// The id is in use.
    IdTaken,
    /// It was changed by somebody else meanwhile, or is gone.
    Outdated,
}
