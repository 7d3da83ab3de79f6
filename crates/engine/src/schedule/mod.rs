//! What is to be sent next: lanes, turns, and the times at which something becomes due.
//!
//! Pure state, no I/O and no clock: the dispatcher asks and tells. `fair` is the rule by which turns are
//! given, `turn` gives them to tenants and webhooks; `pace`, `slots` and `circuit` say how much may be
//! under way; `room` is what may wait in memory, `lane` what does. Invariant: what is held here grows
//! with what is active, never with the backlog. Read `room.rs` next.

pub(crate) mod backlog;
pub(crate) mod circuit;
pub(crate) mod due;
pub(crate) mod fair;
pub(crate) mod lane;
pub(crate) mod pace;
pub(crate) mod room;
pub(crate) mod slots;
pub(crate) mod turn;
