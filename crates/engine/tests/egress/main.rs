//! Receivers as bad as they come: each leads to a recorded attempt with its own reason, in bounded time
//! and memory.
//!
//! Most cases go the whole way: a webhook of a real engine, a `webhook.test` over a real socket, and
//! the record that is read back. `nasty.rs` holds the receivers, `tls.rs` those with certificates.
//! What can be seen only beside a whole engine is sent with the transport alone (`direct.rs`): `limits`,
//! `late`, `reuse` and `http2`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "the rules are the engine's; a test is the world around it")]

#[path = "../patience/mod.rs"]
mod patience;

mod bench;
mod direct;
mod http2;
mod late;
mod limits;
mod nasty;
mod refused;
mod reuse;
mod tls;
mod told;
