//! What a store of seen ids promises.
//!
//! It exists so that a program may remember ids where it keeps everything else. Invariant: of all requests with one id,
//! at most one holds its claim at a time; an id that was noted as done is done until the window of the store is over.
//! Read `memory.rs` for the simplest one.

use futures_util::future::BoxFuture;
use vai_webhooks_wire::UnixMs;

/// How long a claim holds without a word from who has it: longer than any handler may work.
pub const CLAIM_MS: i64 = 120_000;

/// What a request that came is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Handle the event, then say `done` or `release`.
    Yours,
    /// Another request is at it.
    Busy,
    /// It was handled.
    Done,
}

/// The store is not there. The sender is answered 503.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store of seen ids is not there: {0}")]
pub struct SeenError(pub String);

/// Remembers ids. The ids are events' (see [`Event::id`](crate::Event::id)), of 256 bytes at most.
pub trait Seen: Send + Sync + 'static {
    /// Claims `id`. A claim that is older than [`CLAIM_MS`] at `now` counts no more: its holder died.
    fn claim<'a>(&'a self, id: &'a str, now: UnixMs) -> BoxFuture<'a, Result<Claim, SeenError>>;

    /// Notes that `id`, claimed or not, was handled.
    fn done<'a>(&'a self, id: &'a str, now: UnixMs) -> BoxFuture<'a, Result<(), SeenError>>;

    /// Gives a claim back: the event was not handled.
    fn release<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), SeenError>>;
}
