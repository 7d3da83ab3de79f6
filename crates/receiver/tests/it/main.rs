//! Real HTTP over loopback against the real service and the real store, in one binary.
//!
//! `running.rs` starts a service, `client.rs` speaks bytes to it, `request.rs` makes and signs
//! requests; each other file holds one promise of the crate from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bodies;
mod client;
mod events;
mod handlers;
mod identity;
mod request;
mod running;
mod service;
mod signatures;
mod status;
mod store;
mod throughput;
