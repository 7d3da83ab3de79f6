//! The API over real HTTP, with a real engine behind it.
//!
//! `server.rs` runs it, `endpoint.rs` is a webhook's endpoint; each other file holds one group of promises.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../../engine/tests/patience/mod.rs"]
mod patience;

mod admission;
mod bad_events;
mod bad_webhooks;
mod calls;
mod catalog;
mod catalog_documents;
mod direct;
mod document;
mod endpoint;
mod formats;
mod hostile;
mod keys;
mod problems;
mod repeats;
mod returned;
mod server;
mod tenants;
mod transform;
mod transformed;
