//! The versions of a webhook's transformation, as a store keeps them.
//!
//! It exists because a delivery keeps the version that it was committed with, whatever the webhook has by
//! now. Read `../transform/mod.rs` next.

use vai_webhooks_wire::UnixMs;

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredScript {
    /// Its number, from 1.
    pub version: u32,
    /// When it was set for the first time.
    pub created_at: UnixMs,
    /// How long its code is, in bytes.
    pub code_bytes: u32,
}
