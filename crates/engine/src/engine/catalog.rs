//! Calls on event types: list, read, put; and whether events are held against them.
//!
//! Invariant: what is put compiles, its examples are good by it, and it breaks no consumer of what was there before,
//! unless it is forced. Read `../catalog/mod.rs` next.

use std::collections::BTreeMap;

use serde_json::json;
use vai_webhooks_wire::{UnixMs, is_event_type};

use super::Engine;
use crate::catalog::{CheckMode, Described, Mismatches, NewEventType, TypedEventType, breaks, typed};
use crate::error::{EngineError, FieldProblem};
use crate::store::{
    CATALOG_BYTES_MAX, CatalogEntry, CatalogVersion, PutDone, PutEntry, TYPES_PER_TENANT_MAX, VERSIONS_KEPT,
};
use crate::tenant::TenantId;

/// The version of a schema that comes with one of the six.
const TYPED_VERSION: u32 = 1;

/// An event type as it is read.
#[derive(Debug, Clone)]
pub struct EventType {
    /// Its name.
    pub name: String,
    /// Whether it is one of the six that come with a schema.
    pub typed: bool,
    /// What it is, for people.
    pub description: Option<String>,
    /// The JSON Schema of its data, as JSON text.
    pub schema: Option<String>,
    /// Examples of its data: a JSON array.
    pub examples: String,
    /// The number of its schema, from 1; `None` where it is in no catalog and was only seen.
    pub version: Option<u32>,
    /// When it was last put.
    pub updated_at: Option<UnixMs>,
    /// When an event of it was last accepted.
    pub last_seen: Option<UnixMs>,
    /// Events that were not as it has them, since the start.
    pub mismatches: Option<Mismatches>,
}

/// One schema that an event type had.
#[derive(Debug, Clone)]
pub struct EventTypeVersion {
    /// Its number.
    pub version: u32,
    /// The schema as JSON text.
    pub schema: Option<String>,
    /// When it was put; `None` for what comes with one of the six.
    pub created_at: Option<UnixMs>,
    /// What it broke, where it was forced: a JSON array.
    pub breaks: String,
}

impl From<CatalogVersion> for EventTypeVersion {
    fn from(it: CatalogVersion) -> Self {
        Self { version: it.version, schema: it.schema, created_at: Some(it.created_at), breaks: it.breaks }
    }
}

/// What putting an event type did.
#[derive(Debug, Clone)]
pub struct PutEventType {
    /// The event type as it is now.
    pub event_type: EventType,
    /// Whether it was in no catalog before.
    pub created: bool,
    /// What it breaks, where that was forced.
    pub breaks: Vec<FieldProblem>,
}

impl EventType {
    fn typed(it: &TypedEventType) -> Self {
        Self {
            name: it.name.to_owned(),
            typed: true,
            description: Some(it.description.clone()),
            schema: Some(it.schema.clone()),
            examples: format!("[{}]", it.examples.join(",")),
            version: Some(TYPED_VERSION),
            updated_at: None,
            last_seen: None,
            mismatches: None,
        }
    }

    fn seen(name: String) -> Self {
        Self {
            name,
            typed: false,
            description: None,
            schema: None,
            examples: "[]".to_owned(),
            version: None,
            updated_at: None,
            last_seen: None,
            mismatches: None,
        }
    }

    fn put(entry: CatalogEntry) -> Self {
        Self {
            typed: typed().iter().any(|it| it.name == entry.name),
            name: entry.name,
            description: entry.description,
            schema: entry.schema,
            examples: entry.examples,
            version: Some(entry.version),
            updated_at: Some(entry.updated_at),
            last_seen: None,
            mismatches: None,
        }
    }
}

impl Engine {
    /// A tenant's event types, by name: the six typed ones first, then those that it put, and those that it has sent.
    pub async fn event_types(&self, tenant: TenantId) -> Result<Vec<EventType>, EngineError> {
        let put = self.parts.store.catalog(tenant).await?;
        let seen = self.parts.store.event_types(tenant).await?;
        let mut all: BTreeMap<String, EventType> = BTreeMap::new();
        for it in typed() {
            all.insert(it.name.to_owned(), EventType::typed(it));
        }
        for entry in put {
            all.insert(entry.name.clone(), EventType::put(entry));
        }
        for (name, at) in seen {
            all.entry(name.clone()).or_insert_with(|| EventType::seen(name)).last_seen = Some(at);
        }
        let mut types: Vec<EventType> = typed().iter().filter_map(|it| all.remove(it.name)).collect();
        types.extend(all.into_values());
        for it in &mut types {
            it.mismatches = self.parts.catalog.mismatches(tenant, &it.name);
        }
        Ok(types)
    }

    /// One event type, with its versions, newest first. `version` asks for an earlier schema in place of the last one.
    pub async fn event_type(
        &self,
        tenant: TenantId,
        name: &str,
        version: Option<u32>,
    ) -> Result<(EventType, Vec<EventTypeVersion>), EngineError> {
        let all = self.event_types(tenant).await?;
        let mut found =
            all.into_iter().find(|it| it.name == name).ok_or(EngineError::NotFound("event type"))?;
        let versions = self.parts.store.catalog_versions(tenant, name.to_owned()).await?;
        let mut versions: Vec<EventTypeVersion> = versions.into_iter().map(Into::into).collect();
        let newest = versions.first().map_or(0, |it| it.version);
        if let Some(it) = typed().iter().find(|it| it.name == name)
            && newest <= VERSIONS_KEPT
            && !versions.iter().any(|it| it.version == TYPED_VERSION)
        {
            versions.push(EventTypeVersion {
                version: TYPED_VERSION,
                schema: Some(it.schema.clone()),
                created_at: None,
                breaks: "[]".to_owned(),
            });
        }
        if let Some(wanted) = version {
            let of = versions.iter().find(|it| it.version == wanted);
            let of = of.ok_or(EngineError::NotFound("version of this event type"))?;
            found.version = Some(wanted);
            found.schema.clone_from(&of.schema);
        }
        Ok((found, versions))
    }

    /// A tenant's catalog as its documents describe it: [`crate::catalog::openapi`] and [`crate::catalog::asyncapi`].
    /// Types that were only seen are not in it.
    pub async fn described(&self, tenant: TenantId) -> Result<Vec<Described>, EngineError> {
        let all = self.event_types(tenant).await?.into_iter();
        let described = |it: EventType| {
            let EventType { name, description, schema, examples, version, .. } = it;
            Some(Described { name, description, schema, examples, version: version? })
        };
        Ok(all.filter_map(described).collect())
    }

    /// Puts an event type in place of what there is. A schema that breaks consumers of the one before is refused
    /// with what it breaks, unless it is forced.
    pub async fn put_event_type(
        &self,
        tenant: TenantId,
        name: &str,
        new: NewEventType,
    ) -> Result<PutEventType, EngineError> {
        self.check_open()?;
        if !is_event_type(name) {
            let detail = "the name in the path is no event type: letters, digits and _, in parts with dots between, \
                          128 characters at most, as message.received";
            return Err(EngineError::invalid("", "invalid_event_type", detail));
        }
        new.check().map_err(EngineError::Invalid)?;
        let before = self.parts.store.catalog_entry(tenant, name.to_owned()).await?;
        let (old_schema, old_version) = match (&before, typed().iter().find(|it| it.name == name)) {
            (Some(before), _) => (before.schema.as_deref(), before.version),
            (None, Some(it)) => (Some(it.schema.as_str()), TYPED_VERSION),
            (None, None) => (None, 0),
        };
        let broken = old_schema.map_or_else(Vec::new, |old| breaks(old, new.schema.as_deref(), "/schema"));
        if !broken.is_empty() && !new.force {
            return Err(EngineError::Breaking(broken));
        }
        let changed = old_version == 0 || !same(old_schema, new.schema.as_deref());
        let now = self.parts.clock.now();
        let expected = before.as_ref().map(|it| it.updated_at);
        let entry = CatalogEntry {
            name: name.to_owned(),
            description: new.description,
            examples: format!("[{}]", new.examples.join(",")),
            version: if changed { old_version.saturating_add(1) } else { old_version },
            schema: new.schema,
            created_at: before.as_ref().map_or(now, |it| it.created_at),
            // Later than what it replaces, whatever the clock says: this is what tells the two apart.
            updated_at: expected.map_or(now, |at| now.max(at.saturating_add(1))),
        };
        let event_type = EventType::put(entry.clone());
        let put = PutEntry { tenant, entry, expected, breaks: told(&broken) };
        match self.parts.store.put_catalog_entry(put).await? {
            PutDone::Done => Ok(PutEventType { event_type, created: old_version == 0, breaks: broken }),
            PutDone::Outdated => Err(EngineError::conflict(
                "changed_meanwhile",
                "the event type was changed by somebody else meanwhile; read it again",
            )),
            PutDone::TooMany => {
                let detail =
                    format!("this tenant has {TYPES_PER_TENANT_MAX} event types, the most there may be");
                Err(EngineError::conflict("too_many_event_types", detail))
            }
            PutDone::TooLarge => {
                let detail = format!(
                    "with this one, the tenant's catalog would take more than {CATALOG_BYTES_MAX} bytes, the most it may"
                );
                Err(EngineError::conflict("catalog_too_large", detail))
            }
        }
    }

    /// What happens to a tenant's events that are not as their schemas have them.
    #[must_use]
    pub fn check_mode(&self, tenant: TenantId) -> CheckMode {
        self.parts.catalog.mode(tenant)
    }

    /// Sets that. Events that are accepted once this is answered are held to it.
    pub async fn set_check_mode(&self, tenant: TenantId, mode: CheckMode) -> Result<(), EngineError> {
        self.check_open()?;
        Ok(self.parts.store.set_check_mode(tenant, mode).await?)
    }
}

/// Whether two schemas say the same, however they are spelled.
fn same(one: Option<&str>, other: Option<&str>) -> bool {
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    one.map(read) == other.map(read)
}

fn told(breaks: &[FieldProblem]) -> String {
    let all = breaks.iter().map(|it| json!({"pointer": it.pointer, "code": it.code, "detail": it.detail}));
    serde_json::Value::Array(all.collect()).to_string()
}
