//! The server: HTTP API, command line and demo around the engine and the receiver.
//!
//! The only place that knows them: the engine knows no HTTP API, the API no command line. `main.rs`
//! reads the command line and calls a room here.

pub mod api;
pub mod client;
pub mod config;
pub mod demo;
pub mod receive;
pub mod serve;
mod signals;
mod units;
