//! What the store tells the engine about its own commits.
//!
//! It exists so that the registry and the shards learn of a commit in commit order, before anybody is
//! answered. Read `../dispatch/inbox.rs` next.

use std::sync::Arc;

use tokio::sync::watch;

use super::shard_of;
use crate::catalog::{CatalogChange, LiveCatalog};
use crate::dispatch::inbox::Inbox;
use crate::key::WebhookNo;
use crate::store::{AcceptEvent, Committed, Hooks, Route, StoreError, StoredWebhook, Target};
use crate::tenant::TenantId;
use crate::webhook::live::Live;
use crate::webhook::registry::Registry;
use crate::webhook::{Form, WebhookStatus};

/// The engine's side of a store's hooks. It holds the registry and the catalog alone, not the parts: those hold the store,
/// which holds this.
pub(super) struct EngineHooks {
    registry: Arc<Registry>,
    catalog: Arc<LiveCatalog>,
    inboxes: Arc<Vec<Arc<Inbox>>>,
    failed: watch::Sender<Option<StoreError>>,
}

impl EngineHooks {
    pub(super) fn new(
        registry: &Arc<Registry>,
        catalog: &Arc<LiveCatalog>,
        inboxes: &Arc<Vec<Arc<Inbox>>>,
        failed: watch::Sender<Option<StoreError>>,
    ) -> Self {
        Self {
            registry: Arc::clone(registry),
            catalog: Arc::clone(catalog),
            inboxes: Arc::clone(inboxes),
            failed,
        }
    }
}

impl Hooks for EngineHooks {
    fn route(&self, event: &AcceptEvent) -> Route {
        let found = self.registry.targets(event.tenant, &event.event.event_type, &event.channels);
        let later = event.deliver_at.is_some_and(|at| at > event.now);
        let target = |live: Arc<Live>| {
            let at_once = !later && live.stored.status == WebhookStatus::Active;
            let place = if at_once { live.room.reserve(event.event.body.len()) } else { None };
            Target { webhook: live.stored.no, place, form: Form::of(&live.stored.config) }
        };
        Route { targets: found.targets.into_iter().map(target).collect(), nowhere: found.nowhere }
    }

    fn is_crowded(&self, tenant: TenantId) -> bool {
        self.registry.is_crowded(tenant)
    }

    fn webhook_changed(&self, webhook: StoredWebhook) {
        if let Err(damaged) = self.registry.apply(webhook) {
            tracing::error!(%damaged, "a webhook was changed but cannot be used");
        }
    }

    fn catalog_changed(&self, change: CatalogChange) {
        self.catalog.apply(change);
    }

    fn pending_changed(&self, webhook: WebhookNo, more: i64) {
        self.registry.pending_changed(webhook, more);
    }

    fn committed(&self, committed: Committed) {
        let count = self.inboxes.len();
        if count == 1 {
            self.inboxes[0].hand(committed);
            return;
        }
        let mut by_shard: Vec<Option<Committed>> = (0..count).map(|_| None).collect();
        for fresh in committed.fresh {
            by_shard[shard_of(fresh.webhook, count)].get_or_insert_default().fresh.push(fresh);
        }
        for (webhook, due) in committed.due {
            by_shard[shard_of(webhook, count)].get_or_insert_default().due.insert(webhook, due);
        }
        for (webhook, event) in committed.reopened {
            by_shard[shard_of(webhook, count)].get_or_insert_default().reopened.push((webhook, event));
        }
        for (inbox, committed) in self.inboxes.iter().zip(by_shard) {
            if let Some(committed) = committed {
                inbox.hand(committed);
            }
        }
    }

    fn failed(&self, error: &StoreError) {
        self.failed.send_replace(Some(error.clone()));
    }
}
