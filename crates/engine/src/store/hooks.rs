//! What a store tells the engine about its own commits, and asks of it inside them.
//!
//! It exists so that where an event goes is decided by what was registered when it was committed, and so that
//! what a commit made due is known without reading it back. Read `sqlite/mod.rs` next.

use std::collections::HashMap;
use std::sync::Arc;

use vai_webhooks_wire::UnixMs;

use super::{AcceptEvent, Place, Route, Sendable, StoreError, StoredWebhook};
use crate::catalog::CatalogChange;
use crate::key::{EventKey, WebhookNo};
use crate::tenant::TenantId;
use crate::webhook::Form;

/// What a store tells the engine about its own commits.
pub trait Hooks: Send + Sync {
    /// Where an event goes, as of the last commit. What is answered with a place in memory will be in
    /// [`Committed::fresh`].
    fn route(&self, event: &AcceptEvent) -> Route;
    /// Whether new events of this tenant had better wait a moment: one of its webhooks has so much in memory that it is
    /// about to fall behind.
    fn is_crowded(&self, tenant: TenantId) -> bool;
    /// A webhook was changed. Called before the change is answered and before anything later is committed.
    fn webhook_changed(&self, webhook: StoredWebhook);
    /// The catalog was changed, or whether events are held against it. Called as `webhook_changed` is.
    fn catalog_changed(&self, change: CatalogChange);
    /// So many more of a webhook's deliveries are pending on disk, or fewer. Called before what the change was for is
    /// answered.
    fn pending_changed(&self, webhook: WebhookNo, more: i64);
    /// These deliveries are on disk and pending.
    fn committed(&self, committed: Committed);
    /// The store failed and takes nothing more.
    fn failed(&self, error: &StoreError);
}

/// Pending deliveries that one commit made.
#[derive(Debug, Default)]
pub struct Committed {
    /// Those that are handed over in memory: [`Store::due`] does not know those without a form.
    pub fresh: Vec<Fresh>,
    /// For webhooks with deliveries to be read back, when the first of them is due.
    pub due: HashMap<WebhookNo, UnixMs>,
    /// Those that were made due again by hand.
    pub reopened: Vec<(WebhookNo, EventKey)>,
}

/// A new delivery, handed over in memory. After a crash the store knows it again by its event.
#[derive(Debug)]
pub struct Fresh {
    /// Where to.
    pub webhook: WebhookNo,
    /// What to send.
    pub event: Arc<Sendable>,
    /// Its place in memory.
    pub place: Place,
    /// What makes its bytes, where they are not the event's as it was accepted: such a delivery has a row from the
    /// beginning, which keeps the form.
    pub form: Option<Form>,
}
