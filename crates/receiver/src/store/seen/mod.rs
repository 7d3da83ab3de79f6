//! Stores of seen ids for inline receivers, in a database of the program's own.
//!
//! They exist so that an id is known after a restart, and by every process that shares the database. Invariant: a claim
//! and a note are committed before they are answered. Read `inline/seen.rs` for what is promised, `sqlite.rs` next.

mod postgres;
mod sqlite;

pub use postgres::SeenInPostgres;
pub use sqlite::SeenInSqlite;

/// How long an id is remembered: longer than any sender tries.
pub const SEEN_WINDOW_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
/// Ids that are let go with each new one, at most: more than one, so that they become fewer.
const FORGET_MAX: i64 = 4;
