//! One event type whose events are checked: its schema, a check against it, and what was found last.
//!
//! A schema is compiled at its first event, once. Invariant: the last mismatch of a type is kept, and no more of them.
//! Read `../engine/checked.rs` next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use vai_webhooks_wire::{EventId, UnixMs};

use super::live::CheckMode;
use super::schema::Schema;
use crate::error::FieldProblem;

/// Mismatches of one event type since the start, or since its schema was last put.
#[derive(Debug, Clone)]
pub struct Mismatches {
    /// Events that were not as the schema has them.
    pub count: u64,
    /// When the last one came.
    pub at: UnixMs,
    /// The last one; `None` where it was refused.
    pub event_id: Option<EventId>,
    /// What was wrong with it.
    pub violations: Vec<FieldProblem>,
}

/// What is wrong with an event, and what that means.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) mode: CheckMode,
    pub(crate) violations: Vec<FieldProblem>,
    event_type: Arc<LiveType>,
}

impl Mismatch {
    /// Remembers it as its type's last.
    pub(crate) fn note(&self, at: UnixMs, event_id: Option<EventId>) {
        let count = self.event_type.count.fetch_add(1, Ordering::Relaxed) + 1;
        let last = Mismatches { count, at, event_id, violations: self.violations.clone() };
        *self.event_type.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }
}

#[derive(Debug)]
enum Source {
    /// One of the six, as it comes.
    Typed(&'static Schema),
    /// A tenant's own, compiled at its first event.
    Own { text: String, compiled: OnceLock<Option<Schema>> },
}

/// An event type whose events are checked.
#[derive(Debug)]
pub(super) struct LiveType {
    source: Source,
    count: AtomicU64,
    last: Mutex<Option<Mismatches>>,
}

impl LiveType {
    fn new(source: Source) -> Arc<Self> {
        Arc::new(Self { source, count: AtomicU64::new(0), last: Mutex::new(None) })
    }

    /// One of the six.
    pub(super) fn typed(schema: &'static Schema) -> Arc<Self> {
        Self::new(Source::Typed(schema))
    }

    /// A tenant's own, with this schema.
    pub(super) fn own(text: String) -> Arc<Self> {
        Self::new(Source::Own { text, compiled: OnceLock::new() })
    }

    /// Its mismatches, where there were any.
    pub(super) fn mismatches(&self) -> Option<Mismatches> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its schema; `None` where that cannot be used.
    pub(super) fn schema(&self) -> Option<&Schema> {
        match &self.source {
            Source::Typed(schema) => Some(schema),
            Source::Own { text, compiled } => {
                let compile = || match Schema::compile(text, "") {
                    Ok(schema) => Some(schema),
                    Err(problems) => {
                        tracing::error!(
                            ?problems,
                            "a stored schema cannot be used; its events are not checked"
                        );
                        None
                    }
                };
                compiled.get_or_init(compile).as_ref()
            }
        }
    }
}

/// A check that is to be made of an event's data.
#[derive(Debug)]
pub(crate) struct Check {
    mode: CheckMode,
    event_type: Arc<LiveType>,
}

impl Check {
    pub(super) fn of(mode: CheckMode, event_type: Arc<LiveType>) -> Self {
        Self { mode, event_type }
    }

    /// Whether it may take long for data of so many bytes. The first of a schema does: it is compiled then, and whoever else
    /// needs it meanwhile waits for it.
    pub(crate) fn takes_long(&self, bytes: usize) -> bool {
        match &self.event_type.source {
            Source::Typed(schema) => schema.takes_long(bytes),
            Source::Own { compiled, .. } => match compiled.get() {
                Some(schema) => schema.as_ref().is_some_and(|schema| schema.takes_long(bytes)),
                None => true,
            },
        }
    }

    /// What is wrong with the data; `None` where nothing is.
    pub(crate) fn make(self, data: &str) -> Option<Mismatch> {
        let Self { mode, event_type } = self;
        let violations = event_type.schema()?.violations(data, "/data");
        (!violations.is_empty()).then_some(Mismatch { mode, violations, event_type })
    }
}
