//! What lanes promise: due times, backlogs, and that no receiver hurts another.
//!
//! `world.rs` is an engine with receivers around it; each other file holds one group of promises.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "the rules are the engine's; a test is the world around it")]

#[path = "../patience/mod.rs"]
mod patience;

mod backlog;
mod due;
mod neighbours;
mod stops;
mod world;
