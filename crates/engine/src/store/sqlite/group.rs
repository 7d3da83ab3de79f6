//! What a group of writes gathers while it is written, for after its commit.
//!
//! It exists so that hooks are told once for a commit, and that counts change once. Read `events.rs` next
//! for what is written.

use std::collections::HashMap;
use std::sync::Arc;

use super::stats;
use crate::store::{Handed, Hooks, StoredWebhook};

/// What a group gathers while it is written, for after its commit.
pub(super) struct Group {
    pub(super) hooks: Arc<dyn Hooks>,
    /// Deliveries that are pending now.
    pub(super) handed: Vec<Handed>,
    /// Webhooks that changed.
    pub(super) webhooks: Vec<StoredWebhook>,
    /// Counts that changed.
    pub(super) stats: HashMap<u32, stats::Delta>,
    /// Event types and tenants that were seen.
    pub(super) types: HashMap<(i64, Box<str>), i64>,
    /// Rows written so far.
    pub(super) rows: usize,
    /// Whether the group must be committed before anything else is written.
    pub(super) ends: bool,
}
