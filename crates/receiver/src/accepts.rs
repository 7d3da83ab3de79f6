//! What the builders of `Receiver` and `Inline` share: what is accepted, within which bounds, and who is called.
//!
//! Invariant: nothing is made of it without anything to verify signatures with, or with a filter that is none. Read
//! `builder.rs` next.

use std::time::Duration;

use vai_webhooks_wire::{Secret, Verifier, VerifyingKey};

use crate::receiver::BuildError;
use crate::route::{Filter, Handler, Routes};

/// The largest body by default: the 1 MiB that a sender's event may have, and room for the envelope.
pub const BODY_BYTES_MAX: usize = 1_310_720;
/// How long a whole body may take to arrive, by default.
pub const BODY_TIMEOUT_MS: u64 = 10_000;

/// What bounds a single request.
pub(crate) struct Limits {
    pub(crate) body_bytes_max: usize,
    pub(crate) body_timeout_ms: u64,
}

/// What is accepted, and who is called with it.
pub(crate) struct Accepts {
    pub(crate) verifier: Verifier,
    verifies: bool,
    pub(crate) limits: Limits,
    pub(crate) routes: Routes,
    bad_filter: Option<String>,
}

impl Default for Accepts {
    /// The legacy signature, and nothing to verify it with yet.
    fn default() -> Self {
        Self {
            verifier: Verifier::new().accept_legacy(true),
            verifies: false,
            limits: Limits { body_bytes_max: BODY_BYTES_MAX, body_timeout_ms: BODY_TIMEOUT_MS },
            routes: Routes::default(),
            bad_filter: None,
        }
    }
}

impl Accepts {
    pub(crate) fn secret(self, secret: Secret) -> Self {
        Self { verifier: self.verifier.secret(secret), verifies: true, ..self }
    }

    pub(crate) fn verifying_key(self, key: VerifyingKey) -> Self {
        Self { verifier: self.verifier.verifying_key(key), verifies: true, ..self }
    }

    pub(crate) fn tolerance(self, tolerance: Duration) -> Self {
        Self { verifier: self.verifier.tolerance(tolerance), ..self }
    }

    pub(crate) fn accept_legacy(self, accept: bool) -> Self {
        Self { verifier: self.verifier.accept_legacy(accept), ..self }
    }

    pub(crate) fn on(mut self, filter: &str, handler: impl Handler) -> Self {
        if let Some(filter) = self.filter(filter) {
            self.routes.add(filter, handler);
        }
        self
    }

    /// Reads a filter; one that is none is told by [`Self::checked`].
    pub(crate) fn filter(&mut self, filter: &str) -> Option<Filter> {
        let read = Filter::parse(filter);
        if read.is_none() {
            self.bad_filter = Some(filter.to_owned());
        }
        read
    }

    /// The same, if there is something to verify with and every filter is one.
    pub(crate) fn checked(mut self) -> Result<Self, BuildError> {
        match self.bad_filter.take() {
            _ if !self.verifies => Err(BuildError::NothingToVerifyWith),
            Some(filter) => Err(BuildError::BadFilter(filter)),
            None => Ok(self),
        }
    }
}
