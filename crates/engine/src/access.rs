//! Who may call: API keys and the tenants they act for.
//!
//! A key is shown once, when it is made; only its SHA-256 is kept, in the store and in memory. Keys are
//! 256 random bits, so that a plain hash is enough and a lookup by it tells nothing to a stopwatch.
//! Read `webhook/mod.rs` next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use vai_webhooks_wire::UnixMs;

use crate::rng::Rng;
use crate::tenant::{TenantId, TenantName};

/// Whom a key speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// Any tenant.
    Admin,
    /// This one.
    Tenant(TenantId),
}

/// An API key as it is read: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: String,
    /// Its first characters, to know it by.
    pub starts_with: String,
    /// The tenant it acts for; `None` for an admin key.
    pub tenant: Option<TenantName>,
    /// A note for people.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMs,
    /// From when it is refused.
    pub expires_at: Option<UnixMs>,
}

/// An API key as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its id.
    pub id: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// Its first characters.
    pub starts_with: String,
    /// The tenant it acts for; `None` for an admin key.
    pub tenant: Option<TenantId>,
    /// A note for people.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMs,
    /// From when it is refused.
    pub expires_at: Option<UnixMs>,
}

const KEY_PREFIX: &str = "vaik_";
const STARTS_WITH_CHARS: usize = 10;
/// Crockford's alphabet: nothing that is read in two ways.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 52 characters of 5 bits: 260 bits.
const KEY_CHARS: usize = 52;

/// A new key's text.
pub(crate) fn make_key(rng: &dyn Rng) -> String {
    let mut bytes = [0; KEY_CHARS];
    rng.fill(&mut bytes);
    let random = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    KEY_PREFIX.chars().chain(random).collect()
}

/// What is kept of a key's text.
pub(crate) fn hash_key(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The part of a key's text that may be shown again.
pub(crate) fn starts_with(text: &str) -> String {
    text.chars().take(STARTS_WITH_CHARS).collect()
}

#[derive(Clone, Default)]
struct Tenants {
    ids: HashMap<TenantName, TenantId>,
    names: HashMap<TenantId, TenantName>,
}

impl Tenants {
    fn add(&mut self, name: TenantName, id: TenantId) {
        self.names.insert(id, name.clone());
        self.ids.insert(name, id);
    }
}

/// All live keys and tenants, in memory.
pub(crate) struct KeyRing {
    keys: ArcSwap<HashMap<[u8; 32], StoredKey>>,
    tenants: ArcSwap<Tenants>,
    /// Held by whoever changes either.
    changing: Mutex<()>,
}

impl KeyRing {
    pub(crate) fn load(keys: Vec<StoredKey>, tenants: Vec<(TenantId, TenantName)>) -> Self {
        let keys: HashMap<_, _> = keys.into_iter().map(|key| (key.hash, key)).collect();
        let mut all = Tenants::default();
        tenants.into_iter().for_each(|(id, name)| all.add(name, id));
        Self {
            keys: ArcSwap::from_pointee(keys),
            tenants: ArcSwap::from_pointee(all),
            changing: Mutex::new(()),
        }
    }

    /// Whom `text` speaks for; `None` where it is no key, or is expired at `now`.
    pub(crate) fn authenticate(&self, text: &str, now: UnixMs) -> Option<Principal> {
        let keys = self.keys.load();
        let key = keys.get(&hash_key(text))?;
        if key.expires_at.is_some_and(|at| at <= now) {
            return None;
        }
        Some(key.tenant.map_or(Principal::Admin, Principal::Tenant))
    }

    pub(crate) fn tenant(&self, name: &TenantName) -> Option<TenantId> {
        self.tenants.load().ids.get(name).copied()
    }

    pub(crate) fn tenant_name(&self, id: TenantId) -> Option<TenantName> {
        self.tenants.load().names.get(&id).cloned()
    }

    pub(crate) fn add_tenant(&self, name: TenantName, id: TenantId) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tenants = Tenants::clone(&self.tenants.load());
        tenants.add(name, id);
        self.tenants.store(Arc::new(tenants));
    }

    pub(crate) fn add(&self, key: StoredKey) {
        self.change(|keys| {
            keys.insert(key.hash, key);
        });
    }

    pub(crate) fn remove(&self, id: &str) {
        self.change(|keys| keys.retain(|_, key| key.id != id));
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<[u8; 32], StoredKey>)) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = HashMap::clone(&self.keys.load());
        change(&mut keys);
        self.keys.store(Arc::new(keys));
    }

    /// All keys, newest first.
    pub(crate) fn list(&self) -> Vec<StoredKey> {
        let mut all: Vec<StoredKey> = self.keys.load().values().cloned().collect();
        all.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        all
    }
}
