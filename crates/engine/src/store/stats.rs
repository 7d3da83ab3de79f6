//! Counts, as a store keeps them.
//!
//! They are true, since they change in the same transactions as what they count. Read `sqlite/mod.rs` next.

use vai_webhooks_wire::UnixMs;

use crate::key::WebhookNo;
use crate::tenant::TenantId;

/// Whose counts.
#[derive(Debug, Clone, Copy)]
pub enum StatsOf {
    /// One webhook's.
    Webhook(WebhookNo),
    /// A whole tenant's.
    Tenant(TenantId),
    /// Everybody's.
    All,
}

/// True counts, kept in the same transactions as what they count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Deliveries that were taken.
    pub sent: u64,
    /// Deliveries that ended without being taken.
    pub failed: u64,
    /// Deliveries given up: their webhooks were deleted, or their transformations dropped them.
    pub cancelled: u64,
    /// Deliveries not final yet.
    pub pending: u64,
    /// Attempts made.
    pub attempts: u64,
    /// When the last delivery was taken.
    pub last_sent: Option<UnixMs>,
    /// When the last attempt failed.
    pub last_failed: Option<UnixMs>,
}
