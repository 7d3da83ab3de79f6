//! Taking events in: from what was posted to what is written.
//!
//! The way: JSON becomes a [`Draft`] (`parse.rs`), which is checked, completed with the seed's defaults
//! and given its id and its one body, and, where its tenant wants that, held against the schema of its type
//! (`prepare.rs`); the store does the rest. Invariant: everything that
//! can be wrong with an event is found here, before anything is written. `admission.rs` says when no event is taken.

pub(crate) mod admission;
mod parse;
mod prepare;

pub(crate) use parse::Draft;
pub use parse::split_batch;
pub(crate) use prepare::{Prepared, event_dedupe, prepare, prepare_test};

/// The most bytes that one event may take on the wire.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// The most events that one batch may hold.
pub const BATCH_MAX: usize = 1_000;
/// How far ahead `deliverAt` may be, in milliseconds: one year.
pub(crate) const DELIVER_AHEAD_MS_MAX: i64 = 366 * 24 * 60 * 60 * 1_000;
