//! What every room of the engine works with: the values that were passed in, and what is shared.
//!
//! Read `dispatch/mod.rs` next.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::access::KeyRing;
use crate::catalog::LiveCatalog;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::dispatch::transport::Transport;
use crate::key::{KeyMaker, Realm};
use crate::link::Links;
use crate::rng::Rng;
use crate::store::Store;
use crate::transform::pool::Pool;
use crate::webhook::registry::Registry;

/// Shared by the engine's calls and its shards.
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) catalog: Arc<LiveCatalog>,
    pub(crate) keys: KeyMaker,
    pub(crate) realm: Realm,
    pub(crate) counters: Counters,
    /// Deliveries that one tenant may have pending.
    pub(crate) backlog_max: u64,
    /// Keys and tenants.
    pub(crate) key_ring: KeyRing,
    /// Links to events.
    pub(crate) links: Links,
    /// Places for long checks of events' data, one for each of the engine's threads.
    pub(crate) long_checks: Arc<Semaphore>,
    /// The threads that run scripts.
    pub(crate) scripts: Pool,
}
