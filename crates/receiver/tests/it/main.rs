//! Real HTTP over loopback against the real service and the real store, in one binary.
//!
//! `running.rs` starts a service, `client.rs` speaks bytes to it, `request.rs` makes and signs
//! requests; `postgresql.rs` starts a database, `browser.rs` a Chromium; `vendor/` are stand-ins for services that cannot run here, `kinds/` what each kind of sink promises; each
//! other file holds one promise of the crate from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod another_inbox;
mod bodies;
mod browser;
mod client;
mod console;
mod events;
mod feeding;
mod handlers;
mod identity;
mod inline;
mod killed;
mod kinds;
mod mutations;
mod page;
mod postgresql;
mod request;
mod rules;
mod running;
mod service;
mod signatures;
mod status;
mod store;
mod summaries;
mod throughput;
mod told;
mod vendor;
