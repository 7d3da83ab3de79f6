//! What the store tells the engine about its own commits.
//!
//! It exists so that the registry and the shards learn of a commit in commit order, before anybody is
//! answered. Read `../dispatch/inbox.rs` next.

use std::sync::Arc;

use tokio::sync::watch;

use super::shard_of;
use crate::dispatch::inbox::Inbox;
use crate::store::{Handed, Hooks, Route, StoreError, StoredWebhook};
use crate::tenant::TenantId;
use crate::webhook::registry::Registry;

/// The engine's side of a store's hooks. It holds the registry alone, not the parts: those hold the store,
/// which holds this.
pub(super) struct EngineHooks {
    registry: Arc<Registry>,
    inboxes: Arc<Vec<Arc<Inbox>>>,
    failed: watch::Sender<Option<StoreError>>,
}

impl EngineHooks {
    pub(super) fn new(
        registry: &Arc<Registry>,
        inboxes: &Arc<Vec<Arc<Inbox>>>,
        failed: watch::Sender<Option<StoreError>>,
    ) -> Self {
        Self { registry: Arc::clone(registry), inboxes: Arc::clone(inboxes), failed }
    }
}

impl Hooks for EngineHooks {
    fn route(&self, tenant: TenantId, event_type: &str, channels: &[String]) -> Route {
        self.registry.route(tenant, event_type, channels)
    }

    fn webhook_changed(&self, webhook: StoredWebhook) {
        if let Err(damaged) = self.registry.apply(webhook) {
            tracing::error!(%damaged, "a webhook was changed but cannot be used");
        }
    }

    fn handed(&self, deliveries: Vec<Handed>) {
        let count = self.inboxes.len();
        if count == 1 {
            self.inboxes[0].hand(deliveries.into_iter());
            return;
        }
        let mut by_shard: Vec<Vec<Handed>> = (0..count).map(|_| Vec::new()).collect();
        for delivery in deliveries {
            by_shard[shard_of(delivery.webhook, count)].push(delivery);
        }
        for (inbox, deliveries) in self.inboxes.iter().zip(by_shard) {
            if !deliveries.is_empty() {
                inbox.hand(deliveries.into_iter());
            }
        }
    }

    fn failed(&self, error: &StoreError) {
        self.failed.send_replace(Some(error.clone()));
    }
}
