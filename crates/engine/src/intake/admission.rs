//! Whether new events are taken at all: when the engine has too much to do, it says so before it has done anything.
//!
//! Three bounds, each with its own answer: the writer's queue (it is full, or a tenant's writes have waited too long),
//! the disk's reserve (so that deliveries go on and can be recorded while nothing new comes), and a tenant's own
//! backlog (so that a tenant whose receivers are down fills nobody else's disk). What was accepted is never shed.
//! The first two are the store's; read `../store/sqlite/queue.rs` and `../store/sqlite/disk.rs` next.

use crate::error::EngineError;
use crate::tenant::TenantId;
use crate::webhook::registry::Registry;

/// Deliveries that one tenant may have pending, if not said.
pub const BACKLOG_MAX: u64 = 5_000_000;
/// What is left of the disk for what was accepted, if not said, in bytes.
pub const DISK_RESERVE_BYTES: u64 = 256 * 1024 * 1024;

/// Why events were not taken although nothing was wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
    /// Too much waited to be written, or had waited too long.
    Busy,
    /// The disk's reserve was reached.
    DiskReserve,
    /// The tenant had too many deliveries pending.
    Backlog,
}

impl Shed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Busy, Self::DiskReserve, Self::Backlog];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::DiskReserve => "disk_reserve",
            Self::Backlog => "backlog",
        }
    }

    /// The reason in an error, where it is one.
    pub(crate) fn of(error: &EngineError) -> Option<Self> {
        match error {
            EngineError::Busy => Some(Self::Busy),
            EngineError::DiskReserve { .. } => Some(Self::DiskReserve),
            EngineError::Backlog { .. } => Some(Self::Backlog),
            _ => None,
        }
    }
}

/// Refuses a tenant that has more deliveries pending than it may.
pub(crate) fn check_backlog(registry: &Registry, tenant: TenantId, max: u64) -> Result<(), EngineError> {
    let pending = registry.pending(tenant);
    if pending < max { Ok(()) } else { Err(EngineError::Backlog { pending, max }) }
}
