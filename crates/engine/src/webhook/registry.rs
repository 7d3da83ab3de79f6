//! Every live webhook, in memory: which of them take an event, found without a lock.
//!
//! The store's writer is the only one that changes it, after each commit and in commit order, so that
//! what an event matches is what was registered when it was committed. Readers see whole snapshots.
//! A change rebuilds one tenant's index; tenants and numbers are spread over stripes so that it does not
//! copy the rest. Read `dispatch/mod.rs` next.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use arc_swap::ArcSwap;
use vai_webhooks_wire::WebhookId;

use super::live::{Damaged, Live, StoredWebhook};
use super::pattern::{Pattern, prefixes};
use super::{Form, WebhookStatus};
use crate::event::Nowhere;
use crate::key::{ByNumber, WebhookNo};
use crate::schedule::backlog::{Backlog, OfTenant};
use crate::schedule::room::{Memory, Place, Room};
use crate::tenant::TenantId;

const STRIPES: usize = 256;

type Tenants = ByNumber<TenantId, Arc<TenantIndex>>;
type Numbers = ByNumber<WebhookNo, Arc<Live>>;

/// All webhooks that are not deleted.
pub(crate) struct Registry {
    tenants: Vec<ArcSwap<Tenants>>,
    numbers: Vec<RwLock<Numbers>>,
    memory: Arc<Memory>,
}

/// Where one event goes.
#[derive(Debug)]
pub struct Route {
    /// The webhooks, each once, by number.
    pub targets: Vec<Target>,
    /// Why there are none, where there are none.
    pub nowhere: Option<Nowhere>,
}

/// One webhook that takes an event.
#[derive(Debug)]
pub struct Target {
    /// Which.
    pub webhook: WebhookNo,
    /// With it, the delivery is handed over in memory.
    pub place: Option<Place>,
    /// What makes the bytes, where they are not the event's as it was accepted.
    pub form: Option<Form>,
}

impl Registry {
    /// A registry of these webhooks, with so many deliveries pending.
    pub(crate) fn load(stored: Vec<StoredWebhook>, pending: &[(WebhookNo, i64)]) -> Result<Self, Damaged> {
        let mut by_tenant: HashMap<TenantId, Vec<Arc<Live>>> = HashMap::new();
        let numbers: Vec<RwLock<Numbers>> = (0..STRIPES).map(|_| RwLock::default()).collect();
        let memory = Arc::default();
        let mut backlogs: HashMap<TenantId, Arc<OfTenant>> = HashMap::new();
        for webhook in stored {
            let backlog = Backlog::of(backlogs.entry(webhook.tenant).or_default());
            let live = Arc::new(Live::compile(webhook)?.in_room(Arc::new(Room::within(&memory, backlog))));
            let (no, tenant) = (live.stored.no, live.stored.tenant);
            write(&numbers[stripe(no.0.into())]).insert(no, Arc::clone(&live));
            by_tenant.entry(tenant).or_default().push(live);
        }
        let mut tenants: Vec<Tenants> = (0..STRIPES).map(|_| Tenants::default()).collect();
        for (tenant, all) in by_tenant {
            let backlog = backlogs.remove(&tenant).unwrap_or_default();
            tenants[stripe(tenant.0)].insert(tenant, Arc::new(TenantIndex::of(all, backlog)));
        }
        let tenants = tenants.into_iter().map(ArcSwap::from_pointee).collect();
        let registry = Self { tenants, numbers, memory };
        pending.iter().for_each(|(webhook, count)| registry.pending_changed(*webhook, *count));
        Ok(registry)
    }

    /// So many more deliveries of a webhook are pending, or fewer. Those of deleted ones do not count.
    pub(crate) fn pending_changed(&self, webhook: WebhookNo, more: i64) {
        if let Some(live) = self.by_no(webhook) {
            live.room.backlog.change(more);
        }
    }

    /// How many deliveries of a tenant are pending.
    pub(crate) fn pending(&self, tenant: TenantId) -> u64 {
        self.index(tenant).map_or(0, |index| index.backlog.pending())
    }

    /// Whether a webhook of this tenant has so much in memory that it is about to fall behind.
    pub(crate) fn is_crowded(&self, tenant: TenantId) -> bool {
        self.index(tenant).is_some_and(|index| index.backlog.is_crowded())
    }

    /// Puts in one webhook as it was just committed, in place of its former self. Deleted ones are
    /// taken out. Called by one thread at a time, the store's writer.
    pub(crate) fn apply(&self, stored: StoredWebhook) -> Result<(), Damaged> {
        let before = self.by_no(stored.no).map(|live| Arc::clone(&live.room));
        let backlog = self.index(stored.tenant).map(|index| Arc::clone(&index.backlog)).unwrap_or_default();
        let room = before.unwrap_or_else(|| Arc::new(Room::within(&self.memory, Backlog::of(&backlog))));
        let live = Arc::new(Live::compile(stored)?.in_room(room));
        let (no, tenant) = (live.stored.no, live.stored.tenant);
        let gone = live.stored.status == WebhookStatus::Deleted;
        {
            let mut numbers = write(&self.numbers[stripe(no.0.into())]);
            if gone {
                numbers.remove(&no);
                live.room.backlog.drop_all();
            } else {
                numbers.insert(no, Arc::clone(&live));
            }
        }
        let slot = &self.tenants[stripe(tenant.0)];
        let mut tenants = Tenants::clone(&slot.load());
        let old = tenants.get(&tenant);
        let mut all: BTreeMap<WebhookNo, Arc<Live>> =
            old.map(|index| index.by_no.clone()).unwrap_or_default();
        if gone {
            all.remove(&no);
        } else {
            all.insert(no, live);
        }
        tenants.insert(tenant, Arc::new(TenantIndex::of(all.into_values().collect(), backlog)));
        slot.store(Arc::new(tenants));
        Ok(())
    }

    /// The webhook of a number, as it is now.
    pub(crate) fn by_no(&self, no: WebhookNo) -> Option<Arc<Live>> {
        let numbers = &self.numbers[stripe(no.0.into())];
        numbers.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&no).cloned()
    }

    /// The webhook of an id.
    pub(crate) fn by_id(&self, tenant: TenantId, id: &WebhookId) -> Option<Arc<Live>> {
        self.index(tenant)?.by_id.get(id).cloned()
    }

    /// Up to `limit` webhooks of a tenant, newest first, those below `before` where it is given.
    pub(crate) fn page(&self, tenant: TenantId, before: Option<u32>, limit: usize) -> Vec<Arc<Live>> {
        let Some(index) = self.index(tenant) else { return Vec::new() };
        let end = WebhookNo(before.unwrap_or(u32::MAX));
        index.by_no.range(..end).rev().take(limit).map(|(_, live)| Arc::clone(live)).collect()
    }

    /// How many webhooks a tenant has.
    pub(crate) fn count(&self, tenant: TenantId) -> usize {
        self.index(tenant).map_or(0, |index| index.by_no.len())
    }

    /// Which webhooks take an event of this type and these channels now.
    pub(crate) fn targets(&self, tenant: TenantId, event_type: &str, channels: &[String]) -> Targets {
        match self.index(tenant) {
            Some(index) => index.targets(event_type, channels),
            None => Targets::nowhere(Nowhere::NoWebhooks),
        }
    }

    fn index(&self, tenant: TenantId) -> Option<Arc<TenantIndex>> {
        self.tenants[stripe(tenant.0)].load().get(&tenant).cloned()
    }
}

fn stripe(number: i64) -> usize {
    usize::try_from(number.unsigned_abs()).unwrap_or_default() % STRIPES
}

fn write(numbers: &RwLock<Numbers>) -> std::sync::RwLockWriteGuard<'_, Numbers> {
    numbers.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The webhooks that take an event.
pub(crate) struct Targets {
    /// Each once, by number.
    pub(crate) targets: Vec<Arc<Live>>,
    /// Why there are none, where there are none.
    pub(crate) nowhere: Option<Nowhere>,
}

impl Targets {
    fn nowhere(why: Nowhere) -> Self {
        Self { targets: Vec::new(), nowhere: Some(why) }
    }
}

/// One tenant's webhooks, by what they subscribe to.
struct TenantIndex {
    by_no: BTreeMap<WebhookNo, Arc<Live>>,
    by_id: HashMap<WebhookId, Arc<Live>>,
    exactly: HashMap<Box<str>, Vec<Arc<Live>>>,
    under: HashMap<Box<str>, Vec<Arc<Live>>>,
    all: Vec<Arc<Live>>,
    /// The same for all states of one tenant.
    backlog: Arc<OfTenant>,
}

impl TenantIndex {
    fn of(webhooks: Vec<Arc<Live>>, backlog: Arc<OfTenant>) -> Self {
        let mut index = Self {
            backlog,
            by_no: BTreeMap::new(),
            by_id: HashMap::with_capacity(webhooks.len()),
            exactly: HashMap::new(),
            under: HashMap::new(),
            all: Vec::new(),
        };
        for live in webhooks {
            for pattern in &live.patterns {
                let subscribed = match pattern {
                    Pattern::All => &mut index.all,
                    Pattern::Under(prefix) => index.under.entry(prefix.clone()).or_default(),
                    Pattern::Exactly(name) => index.exactly.entry(name.clone()).or_default(),
                };
                subscribed.push(Arc::clone(&live));
            }
            index.by_id.insert(live.stored.id.clone(), Arc::clone(&live));
            index.by_no.insert(live.stored.no, live);
        }
        index
    }

    fn targets(&self, event_type: &str, channels: &[String]) -> Targets {
        let under = prefixes(event_type).filter_map(|prefix| self.under.get(prefix)).flatten();
        let subscribed = self.exactly.get(event_type).into_iter().flatten().chain(under).chain(&self.all);
        let mut targets = Vec::new();
        let mut nowhere = match self.by_no.is_empty() {
            true => Nowhere::NoWebhooks,
            false => Nowhere::NoneSubscribed,
        };
        for live in subscribed {
            if !live.takes_channels(channels) {
                if nowhere == Nowhere::NoneSubscribed {
                    nowhere = Nowhere::OtherChannels;
                }
            } else if matches!(live.stored.status, WebhookStatus::Active | WebhookStatus::Paused) {
                targets.push(Arc::clone(live));
            } else {
                nowhere = Nowhere::Disabled;
            }
        }
        targets.sort_unstable_by_key(|live| live.stored.no);
        targets.dedup_by_key(|live| live.stored.no);
        let nowhere = targets.is_empty().then_some(nowhere);
        Targets { targets, nowhere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::WebhookConfig;
    use vai_webhooks_wire::UnixMs;

    const TENANT: TenantId = TenantId(1);

    fn webhook(no: u32, events: &[&str]) -> StoredWebhook {
        StoredWebhook {
            no: WebhookNo(no),
            tenant: TENANT,
            id: format!("w{no}").parse().unwrap(),
            status: WebhookStatus::Active,
            config: WebhookConfig::new("https://example.com/", events.iter().copied()),
            secret: "secret".to_owned(),
            previous_secret: None,
            signing_key: None,
            created_at: UnixMs(0),
            updated_at: UnixMs(0),
        }
    }

    fn targets(registry: &Registry, event_type: &str) -> Vec<u32> {
        registry.targets(TENANT, event_type, &[]).targets.iter().map(|live| live.stored.no.0).collect()
    }

    #[test]
    fn names_prefixes_and_the_star_match_each_webhook_once() {
        let all = [
            webhook(1, &["message.sent"]),
            webhook(2, &["message.*"]),
            webhook(3, &["*", "message.*", "message.sent"]),
            webhook(4, &["message"]),
        ];
        let registry = Registry::load(all.to_vec(), &[]).ok().unwrap();
        assert_eq!(targets(&registry, "message.sent"), [1, 2, 3]);
        assert_eq!(targets(&registry, "message.sent.late"), [2, 3]);
        assert_eq!(targets(&registry, "message"), [3, 4]);
        assert_eq!(targets(&registry, "messages.sent"), [3]);
        assert_eq!(registry.targets(TenantId(2), "message", &[]).nowhere, Some(Nowhere::NoWebhooks));
    }

    #[test]
    fn a_change_is_seen_at_once_and_a_deleted_webhook_is_gone() {
        let registry = Registry::load(vec![webhook(1, &["a"])], &[]).ok().unwrap();
        assert_eq!(registry.targets(TENANT, "b", &[]).nowhere, Some(Nowhere::NoneSubscribed));
        registry.apply(webhook(1, &["b"])).unwrap();
        assert_eq!(targets(&registry, "b"), [1]);
        assert_eq!(targets(&registry, "a"), [0; 0]);
        registry.apply(StoredWebhook { status: WebhookStatus::Disabled, ..webhook(1, &["b"]) }).unwrap();
        assert_eq!(registry.targets(TENANT, "b", &[]).nowhere, Some(Nowhere::Disabled));
        registry.apply(StoredWebhook { status: WebhookStatus::Paused, ..webhook(1, &["b"]) }).unwrap();
        assert_eq!(targets(&registry, "b"), [1]);
        registry.apply(StoredWebhook { status: WebhookStatus::Deleted, ..webhook(1, &["b"]) }).unwrap();
        assert_eq!(registry.targets(TENANT, "b", &[]).nowhere, Some(Nowhere::NoWebhooks));
        assert!(registry.by_no(WebhookNo(1)).is_none());
    }

    #[test]
    fn channels_narrow_only_where_both_sides_name_some() {
        let mut with = webhook(1, &["*"]);
        with.config.channels = vec!["eu".to_owned()];
        let registry = Registry::load(vec![with], &[]).ok().unwrap();
        let route = |channels: &[&str]| {
            let channels: Vec<String> = channels.iter().map(|&it| it.to_owned()).collect();
            registry.targets(TENANT, "a", &channels)
        };
        assert_eq!(route(&[]).targets.len(), 1);
        assert_eq!(route(&["us", "eu"]).targets.len(), 1);
        assert_eq!(route(&["us"]).nowhere, Some(Nowhere::OtherChannels));
    }

    #[test]
    fn a_tenants_backlog_is_what_its_webhooks_have_pending_and_goes_with_them() {
        let all = vec![webhook(1, &["a"]), webhook(2, &["a"])];
        let registry = Registry::load(all, &[(WebhookNo(1), 7), (WebhookNo(9), 100)]).ok().unwrap();
        registry.pending_changed(WebhookNo(2), 3);
        registry.apply(webhook(3, &["b"])).unwrap();
        registry.pending_changed(WebhookNo(3), 1);
        registry.apply(webhook(1, &["b"])).unwrap();
        assert_eq!((registry.pending(TENANT), registry.pending(TenantId(2))), (11, 0));
        registry.apply(StoredWebhook { status: WebhookStatus::Deleted, ..webhook(1, &["a"]) }).unwrap();
        registry.pending_changed(WebhookNo(1), -7);
        assert_eq!(registry.pending(TENANT), 4);
    }
}
