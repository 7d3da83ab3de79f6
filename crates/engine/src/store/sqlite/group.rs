//! What a group of writes gathers while it is written, for after its commit.
//!
//! It exists so that hooks are told once for a commit, and that counts change once. Read `events.rs` next
//! for what is written.

use std::sync::Arc;

use super::attempts::LastAddress;
use super::ledger::Ledger;
use super::prompt::Prompt;
use super::statements::Statements;
use super::types::Types;
use crate::catalog::CatalogChange;
use crate::store::{Committed, Hooks, StoredWebhook};

/// What a group gathers while it is written, for after its commit.
pub(super) struct Group<'c> {
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
    /// What is run for nearly every event.
    pub(super) statements: Statements<'c>,
    /// Stays from one group to the next.
    pub(super) address: LastAddress,
    /// Whether the group must be committed before anything else is written.
    pub(super) ends: bool,
}

impl<'c> Group<'c> {
    /// An empty group.
    pub(super) fn new(hooks: Arc<dyn Hooks>, prompt: Prompt, statements: Statements<'c>) -> Self {
        Self {
            hooks,
            committed: Committed::default(),
            webhooks: Vec::new(),
            catalog: Vec::new(),
            ledger: Ledger::default(),
            types: Types::default(),
            prompt,
            statements,
            address: LastAddress::default(),
            ends: false,
        }
    }
}
