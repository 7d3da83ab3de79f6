//! What a group of writes gathers while it is written, for after its commit.
//!
//! It exists so that hooks are told once for a commit, and that counts change once. Read `events.rs` next
//! for what is written.

use std::sync::Arc;

use super::ledger::Ledger;
use super::prompt::Prompt;
use super::types::Types;
use crate::catalog::CatalogChange;
use crate::store::{Committed, Hooks, StoredWebhook};

/// What a group gathers while it is written, for after its commit.
pub(super) struct Group {
    pub(super) hooks: Arc<dyn Hooks>,
    /// Deliveries that are pending now.
    pub(super) committed: Committed,
    /// Webhooks that changed.
    pub(super) webhooks: Vec<StoredWebhook>,
    /// What changed of the catalog.
    pub(super) catalog: Vec<CatalogChange>,
    /// What changed by webhook and tenant; what is to be folded of it stays from one group to the next.
    pub(super) ledger: Ledger,
    /// Event types that were seen; stays from one group to the next.
    pub(super) types: Types,
    /// Prompt deliveries; stays from one group to the next.
    pub(super) prompt: Prompt,
    /// Whether the group must be committed before anything else is written.
    pub(super) ends: bool,
}

impl Group {
    /// An empty group.
    pub(super) fn new(hooks: Arc<dyn Hooks>, prompt: Prompt) -> Self {
        Self {
            hooks,
            committed: Committed::default(),
            webhooks: Vec::new(),
            catalog: Vec::new(),
            ledger: Ledger::default(),
            types: Types::default(),
            prompt,
            ends: false,
        }
    }
}
