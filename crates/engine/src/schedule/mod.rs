//! What is to be sent next: lanes, and the times at which something becomes due.
//!
//! Pure state, no I/O and no clock: the dispatcher asks and tells. Invariant: what is held here grows
//! with what is active, never with the backlog. Read `lane.rs` next.

pub(crate) mod due;
pub(crate) mod lane;
