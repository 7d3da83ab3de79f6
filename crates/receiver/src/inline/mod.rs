//! A receiver without an inbox: the handlers themselves run before the answer.
//!
//! It exists for a program that has a place of its own for events. It verifies as [`Receiver`](crate::Receiver) does,
//! claims the event's id in a [`Seen`] store of the program's choice, runs the handlers, and answers: 200 when they are
//! done or were before; 500 where one failed and 503 where the store is not there or another request is at this event,
//! so that the sender tries again; 400 where the data does not fit a handler's type. Invariants: 200 only after every
//! handler was done with this event; a client that goes away does not stop a handler halfway. A crash between a handler
//! and its noting runs it again: a handler should be fit for that. Read `handle.rs` next.

mod handle;
mod memory;
mod seen;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tokio::sync::Semaphore;
use vai_webhooks_wire::{Secret, Verifier, VerifyingKey};

pub use memory::{MEMORY_IDS_MAX, SeenInMemory};
pub use seen::{CLAIM_MS, Claim, Seen, SeenError};

#[cfg(doc)]
use crate::accepts::BODY_BYTES_MAX;
use crate::accepts::{Accepts, Limits};
use crate::intake::BODIES_BYTES_MAX;
use crate::receiver::BuildError;
use crate::route::{Handler, Routes};

/// What every request needs.
struct Shared {
    verifier: Verifier,
    limits: Limits,
    memory: Arc<Semaphore>,
    routes: Routes,
    seen: Box<dyn Seen>,
}

/// Verifies, knows what it has seen, and runs handlers before it answers.
#[derive(Clone)]
pub struct Inline(Arc<Shared>);

impl Inline {
    /// Begins to set one up that remembers what it has seen in `seen`.
    pub fn builder(seen: impl Seen) -> InlineBuilder {
        InlineBuilder { accepts: Accepts::default(), seen: Box::new(seen) }
    }

    /// `POST <path>` as an axum router.
    pub fn router(&self, path: &str) -> Router {
        Router::new().route(path, post(handle::route)).with_state(self.clone())
    }
}

/// Sets an [`Inline`] up.
pub struct InlineBuilder {
    accepts: Accepts,
    seen: Box<dyn Seen>,
}

impl InlineBuilder {
    /// Accepts what is signed with this secret. May be called several times, while rotating.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.accepts = self.accepts.secret(secret);
        self
    }

    /// Accepts what is signed (`v1a`) with the private key of this Ed25519 key.
    pub fn verifying_key(mut self, key: VerifyingKey) -> Self {
        self.accepts = self.accepts.verifying_key(key);
        self
    }

    /// How far `webhook-timestamp` may be from now, either way. By default five minutes.
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.accepts = self.accepts.tolerance(tolerance);
        self
    }

    /// Whether the legacy signature alone is enough, as the seed's sender makes it. On by default; see
    /// [`ReceiverBuilder::accept_legacy`](crate::ReceiverBuilder::accept_legacy) for the protection it cannot have.
    pub fn accept_legacy(mut self, accept: bool) -> Self {
        self.accepts = self.accepts.accept_legacy(accept);
        self
    }

    /// The largest body in bytes, by default [`BODY_BYTES_MAX`]. What is larger is answered 413.
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.accepts.limits.body_bytes_max = bytes;
        self
    }

    /// Calls `handler` with every event that `filter` (a name, `prefix.*` or `*`) takes, before it is answered.
    pub fn on(mut self, filter: &str, handler: impl Handler) -> Self {
        self.accepts = self.accepts.on(filter, handler);
        self
    }

    /// As [`on`](Self::on) with `*`.
    pub fn on_any(self, handler: impl Handler) -> Self {
        self.on("*", handler)
    }

    /// Puts it together.
    pub fn build(self) -> Result<Inline, BuildError> {
        let Accepts { verifier, limits, routes, .. } = self.accepts.checked()?;
        Ok(Inline(Arc::new(Shared {
            verifier,
            limits,
            memory: Arc::new(Semaphore::new(BODIES_BYTES_MAX)),
            routes,
            seen: self.seen,
        })))
    }
}
