//! Calls on tenants and API keys.
//!
//! Read `../access.rs` next.

use vai_webhooks_wire::UnixMs;

use super::Engine;
use crate::access::{ApiKey, Principal, StoredKey, hash_key, make_key, starts_with};
use crate::error::EngineError;
use crate::tenant::{TenantId, TenantName};

const KEY_NAME_CHARS_MAX: usize = 100;

impl Engine {
    /// The tenant of this name, made at its first use.
    pub async fn tenant(&self, name: &TenantName) -> Result<TenantId, EngineError> {
        if let Some(id) = self.parts.key_ring.tenant(name) {
            return Ok(id);
        }
        self.check_open()?;
        let id = self.parts.store.tenant(name.clone(), self.parts.clock.now()).await?;
        self.parts.key_ring.add_tenant(name.clone(), id);
        Ok(id)
    }

    /// The name of a tenant.
    #[must_use]
    pub fn tenant_name(&self, id: TenantId) -> Option<TenantName> {
        self.parts.key_ring.tenant_name(id)
    }

    /// Whom an API key speaks for; `None` where it is none, was revoked or is expired.
    #[must_use]
    pub fn authenticate(&self, key: &str) -> Option<Principal> {
        self.parts.key_ring.authenticate(key, self.parts.clock.now())
    }

    /// Whether there is an admin key: in the store, or passed in.
    #[must_use]
    pub fn has_admin_key(&self) -> bool {
        let now = self.parts.clock.now();
        self.parts
            .key_ring
            .list()
            .iter()
            .any(|key| key.tenant.is_none() && key.expires_at.is_none_or(|at| at > now))
    }

    /// Makes an API key for a tenant, or an admin key with `None`. The key itself is shown here and
    /// never again.
    pub async fn create_key(
        &self,
        tenant: Option<TenantId>,
        name: &str,
        expires_at: Option<UnixMs>,
    ) -> Result<(ApiKey, String), EngineError> {
        self.check_open()?;
        if name.chars().count() > KEY_NAME_CHARS_MAX || name.chars().any(char::is_control) {
            let detail =
                format!("must have at most {KEY_NAME_CHARS_MAX} characters, and no control characters");
            return Err(EngineError::invalid("/name", "invalid_name", detail));
        }
        let now = self.parts.clock.now();
        if expires_at.is_some_and(|at| at <= now) {
            return Err(EngineError::invalid("/expiresAt", "out_of_range", "is not in the future"));
        }
        let text = make_key(&*self.parts.rng);
        let stored = StoredKey {
            id: format!("key_{:x}", self.parts.keys.next(now)),
            hash: hash_key(&text),
            starts_with: starts_with(&text),
            tenant,
            name: name.to_owned(),
            created_at: now,
            expires_at,
        };
        self.parts.store.add_key(stored.clone()).await?;
        self.parts.key_ring.add(stored.clone());
        Ok((self.key_view(stored), text))
    }

    /// Live and expired API keys, newest first: those of a tenant, or all with `None`.
    #[must_use]
    pub fn api_keys(&self, tenant: Option<TenantId>) -> Vec<ApiKey> {
        let all = self.parts.key_ring.list().into_iter();
        all.filter(|key| tenant.is_none() || key.tenant == tenant).map(|key| self.key_view(key)).collect()
    }

    /// Ends an API key, at once: one of the tenant's, or any with `None`.
    pub async fn revoke_key(&self, tenant: Option<TenantId>, id: &str) -> Result<(), EngineError> {
        self.check_open()?;
        if !self.api_keys(tenant).iter().any(|key| key.id == id) {
            return Err(EngineError::NotFound("key"));
        }
        if !self.parts.store.revoke_key(id.to_owned(), self.parts.clock.now()).await? {
            let detail = "this key is set in the environment of the server; change it there";
            return Err(EngineError::conflict("key_not_stored", detail));
        }
        self.parts.key_ring.remove(id);
        Ok(())
    }

    fn key_view(&self, key: StoredKey) -> ApiKey {
        ApiKey {
            tenant: key.tenant.and_then(|id| self.parts.key_ring.tenant_name(id)),
            id: key.id,
            starts_with: key.starts_with,
            name: key.name,
            created_at: key.created_at,
            expires_at: key.expires_at,
        }
    }
}
