//! What is checked as events come in: the schemas of those tenants that have them checked, in memory.
//!
//! It exists so that an event never waits for the store, and one of a tenant that checks nothing costs a look at one
//! flag. The store says what changed, in the order of its commits. Invariant: what is off is not in memory. Read `check.rs`
//! next.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use super::check::{Check, LiveType, Mismatches};
use super::typed::typed;
use crate::tenant::TenantId;

/// What happens to events that are not as their schema has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CheckMode {
    /// Nothing is checked.
    #[default]
    Off,
    /// They are accepted; the answer says what is wrong, and they are counted.
    Warn,
    /// They are refused.
    Enforce,
}

impl CheckMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Warn, Self::Enforce];

    /// The name in the API and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }

    /// The mode of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

/// What the store says of the catalog's changes, and at the start.
#[derive(Debug, Clone)]
pub enum CatalogChange {
    /// A tenant's mode was set; with it, its own event types, each with its schema where it has one.
    Mode(TenantId, CheckMode, Vec<(String, Option<String>)>),
    /// An event type of a tenant was put.
    EventType(TenantId, String, Option<String>),
}

#[derive(Debug, Clone)]
struct Checked {
    mode: CheckMode,
    types: HashMap<String, Arc<LiveType>>,
}

impl Checked {
    fn of(mode: CheckMode, own: Vec<(String, Option<String>)>) -> Self {
        let six = typed().iter().map(|it| (it.name.to_owned(), LiveType::typed(&it.compiled)));
        let mut checked = Self { mode, types: six.collect() };
        for (name, schema) in own {
            checked.put(name, schema);
        }
        checked
    }

    fn put(&mut self, name: String, schema: Option<String>) {
        match schema {
            Some(text) => self.types.insert(name, LiveType::own(text)),
            None => self.types.remove(&name),
        };
    }
}

/// The schemas that events are held against.
#[derive(Debug, Default)]
pub(crate) struct LiveCatalog {
    /// Whether anybody's events are checked.
    any: AtomicBool,
    /// Tenants whose events are checked.
    tenants: ArcSwap<HashMap<TenantId, Arc<Checked>>>,
}

impl LiveCatalog {
    pub(crate) fn load(all: Vec<CatalogChange>) -> Self {
        let live = Self::default();
        all.into_iter().for_each(|change| live.apply(change));
        live
    }

    /// Takes up a change. Only the store's writer calls it, one change after the other.
    pub(crate) fn apply(&self, change: CatalogChange) {
        let mut tenants = HashMap::clone(&self.tenants.load());
        match change {
            CatalogChange::Mode(tenant, CheckMode::Off, _) => {
                tenants.remove(&tenant);
            }
            CatalogChange::Mode(tenant, mode, own) => match tenants.get_mut(&tenant) {
                // Its types are known: what was compiled and counted stays.
                Some(checked) => Arc::make_mut(checked).mode = mode,
                None => {
                    tenants.insert(tenant, Arc::new(Checked::of(mode, own)));
                }
            },
            CatalogChange::EventType(tenant, name, schema) => match tenants.get_mut(&tenant) {
                Some(checked) => Arc::make_mut(checked).put(name, schema),
                None => return,
            },
        }
        let any = !tenants.is_empty();
        self.tenants.store(Arc::new(tenants));
        self.any.store(any, Ordering::Release);
    }

    /// What an event's data is to be held against; `None` where its tenant has nothing checked, or not this type.
    pub(crate) fn check(&self, tenant: TenantId, event_type: &str) -> Option<Check> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let tenants = self.tenants.load();
        let checked = tenants.get(&tenant)?;
        let event_type = Arc::clone(checked.types.get(event_type)?);
        Some(Check::of(checked.mode, event_type))
    }

    /// A tenant's mode.
    pub(crate) fn mode(&self, tenant: TenantId) -> CheckMode {
        self.tenants.load().get(&tenant).map_or(CheckMode::Off, |checked| checked.mode)
    }

    /// The last mismatch of an event type.
    pub(crate) fn mismatches(&self, tenant: TenantId, event_type: &str) -> Option<Mismatches> {
        let tenants = self.tenants.load();
        let live = tenants.get(&tenant)?.types.get(event_type)?;
        live.mismatches()
    }
}

#[cfg(test)]
mod tests {
    use vai_webhooks_wire::UnixMs;

    use super::super::check::Mismatch;
    use super::*;

    const ONE: TenantId = TenantId(1);
    const TWO: TenantId = TenantId(2);

    fn own(name: &str, schema: &str) -> (String, Option<String>) {
        (name.to_owned(), Some(schema.to_owned()))
    }

    fn wrong(live: &LiveCatalog, tenant: TenantId, name: &str, data: &str) -> Option<Mismatch> {
        live.check(tenant, name)?.make(data)
    }

    fn put(live: &LiveCatalog, tenant: TenantId, name: &str, schema: Option<&str>) {
        live.apply(CatalogChange::EventType(tenant, name.to_owned(), schema.map(str::to_owned)));
    }

    #[test]
    fn a_schema_is_compiled_once_and_kept_until_it_is_replaced() {
        let types = vec![own("a", r#"{"type":"string"}"#), own("b", "{}")];
        let live = LiveCatalog::load(vec![CatalogChange::Mode(ONE, CheckMode::Warn, types)]);
        let address = |name: &str| {
            let tenants = live.tenants.load();
            std::ptr::from_ref(tenants[&ONE].types[name].schema().unwrap()).addr()
        };
        let first = address("a");
        assert!(wrong(&live, ONE, "a", "1").is_some() && wrong(&live, ONE, "a", "\"x\"").is_none());
        live.apply(CatalogChange::Mode(ONE, CheckMode::Enforce, Vec::new()));
        put(&live, ONE, "b", Some(r#"{"type":"null"}"#));
        assert_eq!(address("a"), first, "another type and the mode leave it alone");
        put(&live, ONE, "a", Some(r#"{"type":"integer"}"#));
        assert!(wrong(&live, ONE, "a", "1").is_none() && wrong(&live, ONE, "a", "\"x\"").is_some());
        put(&live, ONE, "a", None);
        assert!(wrong(&live, ONE, "a", "\"x\"").is_none());
    }

    #[test]
    fn what_is_off_is_not_in_memory_and_tenants_do_not_meet() {
        let live = LiveCatalog::default();
        put(&live, ONE, "a", Some("false"));
        assert!(!live.any.load(Ordering::SeqCst) && live.tenants.load().is_empty());
        live.apply(CatalogChange::Mode(ONE, CheckMode::Enforce, vec![own("a", r#"{"type":"null"}"#)]));
        assert_eq!(wrong(&live, ONE, "a", "1").unwrap().mode, CheckMode::Enforce);
        assert!(wrong(&live, TWO, "a", "1").is_none() && wrong(&live, TWO, "message.sent", "{}").is_none());
        assert!(wrong(&live, ONE, "message.sent", "{}").is_some(), "the six come with theirs");
        live.apply(CatalogChange::Mode(ONE, CheckMode::Off, Vec::new()));
        assert!(!live.any.load(Ordering::SeqCst) && wrong(&live, ONE, "a", "1").is_none());
    }

    #[test]
    fn a_types_last_mismatch_is_remembered() {
        let live = LiveCatalog::load(vec![CatalogChange::Mode(ONE, CheckMode::Warn, Vec::new())]);
        for at in [1, 2] {
            wrong(&live, ONE, "message.sent", "{}").unwrap().note(UnixMs(at), None);
        }
        let found = live.mismatches(ONE, "message.sent").unwrap();
        assert_eq!((found.count, found.at), (2, UnixMs(2)));
        assert!(
            live.mismatches(ONE, "message.received").is_none()
                && live.mismatches(TWO, "message.sent").is_none()
        );
    }
}
