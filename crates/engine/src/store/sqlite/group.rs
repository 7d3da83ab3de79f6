//! What a group of writes gathers while it is written, for after its commit.
//!
//! It exists so that hooks are told once for a commit, and that counts change once. Read `events.rs` next
//! for what is written.

use std::collections::HashMap;
use std::sync::Arc;

use super::prompt::Prompt;
use super::stats;
use super::types::Types;
use crate::key::WebhookNo;
use crate::store::{Committed, Hooks, StoredWebhook};

/// What a group gathers while it is written, for after its commit.
pub(super) struct Group {
    pub(super) hooks: Arc<dyn Hooks>,
    /// Deliveries that are pending now.
    pub(super) committed: Committed,
    /// Webhooks that changed.
    pub(super) webhooks: Vec<StoredWebhook>,
    /// Counts that changed.
    pub(super) stats: HashMap<WebhookNo, stats::Delta>,
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
            stats: HashMap::new(),
            types: Types::default(),
            prompt,
            ends: false,
        }
    }
}
