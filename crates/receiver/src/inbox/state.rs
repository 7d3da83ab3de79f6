//! What is known of a sink while it is fed: its place, and how it is.
//!
//! It exists for health, status, metrics and the page, which read it and change nothing. Invariant: `taken_to` is on
//! disk, or a crash leads there again by skipping what the sink's filter does not take. Read `feeder.rs` next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by a sink's feeder and whoever looks.
#[derive(Debug)]
pub(crate) struct SinkState {
    name: Arc<str>,
    kind: String,
    numbers: Mutex<SinkNumbers>,
}

/// How a sink is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SinkNumbers {
    /// It is done with every event up to this one.
    pub(crate) taken_to: i64,
    /// Events that it took since this process started, replays included.
    pub(crate) taken: u64,
    /// Its dead letters.
    pub(crate) dead: i64,
    /// Events that it is to get again.
    pub(crate) replays: i64,
    /// Since when it does not take what it is given, Unix milliseconds; `None` where it does.
    pub(crate) failing_since_ms: Option<i64>,
    /// Tries that failed since then.
    pub(crate) tries: u32,
    /// What it said last when it failed.
    pub(crate) error: Option<String>,
    /// When it last took something, Unix milliseconds.
    pub(crate) last_taken_ms: Option<i64>,
}

impl SinkState {
    pub(crate) fn new(name: Arc<str>, kind: String, taken_to: i64) -> Self {
        let numbers = SinkNumbers { taken_to, ..SinkNumbers::default() };
        Self { name, kind, numbers: Mutex::new(numbers) }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The kind in the configuration, or `custom`.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn numbers(&self) -> SinkNumbers {
        self.lock().clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut SinkNumbers)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, SinkNumbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
