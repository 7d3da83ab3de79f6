//! Counts of refused requests by reason, since this process started.
//!
//! It exists for `/webhook/status`. They are not on disk: else anyone without a secret could make the
//! store write. Invariant: one number per reason code, and the codes are fixed texts of this program.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How many requests were refused, by the reason's code.
#[derive(Debug, Default)]
pub(crate) struct Rejected(Mutex<BTreeMap<&'static str, u64>>);

impl Rejected {
    /// Counts one.
    pub(crate) fn count(&self, code: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    /// The counts so far.
    pub(crate) fn by_code(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
