//! Promises of the real binary as a process: killed, stopped, started again.
//!
//! `server.rs` runs the binary, `receiver.rs` takes what it sends, `producer.rs` posts; each other file
//! holds one promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crash;
mod demo;
mod files;
mod flood;
mod inbox;
mod log;
mod outage;
mod producer;
mod receiver;
mod rules;
mod scripted;
mod server;
mod signals;
