//! The commands from their arguments to their output.
//!
//! `arguments` is what clap makes of a line, `signatures` is `verify`, `calls` runs commands against the
//! real API over a real engine, with a real endpoint, all on loopback (`server`).

mod arguments;
mod calls;
mod event_types;
mod server;
mod signatures;
