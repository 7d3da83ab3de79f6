//! What a call can be answered with instead of its result.
//!
//! One enum for the engine's calls, a variant for each thing a caller does differently. A failed
//! delivery is not among them: that is an outcome, and is recorded. No variant holds a secret.

use crate::attempt::Exchanged;
use crate::store::StoreError;

/// One field of an input that cannot be taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Where: a JSON pointer into what was sent (`/retryConfig/maxAttempts`); empty for the whole.
    pub pointer: String,
    /// A stable name for the kind: `missing`, `unknown_field`, `wrong_type`, `out_of_range` …
    pub code: &'static str,
    /// One sentence that says what was wrong and what would be right.
    pub detail: String,
}

impl FieldProblem {
    /// A problem at `pointer`.
    pub(crate) fn at(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

/// Why a call changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The input is at fault: every field that is, at once.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldProblem>),
    /// The event's data is not as the schema of its type has it: every place where it is not, at once.
    #[error("{}", list(.0))]
    Violates(Vec<FieldProblem>),
    /// The new schema breaks consumers of the one before: everything that it breaks, at once.
    #[error("{}", list(.0))]
    Breaking(Vec<FieldProblem>),
    /// The named thing does not exist for this tenant.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The input is good, but what is stored stands against it.
    #[error("{detail}")]
    Conflict {
        /// A stable name for the kind: `id_taken`, `content_differs`, `idempotency_key_reused` …
        code: &'static str,
        /// One sentence with the way out.
        detail: String,
    },
    /// The event's body would be over the limit.
    #[error("the event takes {bytes} bytes on the wire; the limit is {limit}")]
    TooLarge {
        /// Its size on the wire, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The endpoint did not take the `webhook.test` that a registration sends.
    #[error("the endpoint did not accept the test event: {}", .0.summary())]
    Unreachable(Box<Exchanged>),
    /// Too much is waiting to be written; the same call can succeed later.
    #[error("the engine is busy; try again in a moment")]
    Busy,
    /// The disk has no more room than its reserve, which is for what was accepted before; the same call can succeed
    /// when there is room again.
    #[error(
        "the disk has {free_mib} MiB left and keeps {reserve_mib} for what was accepted; deliveries go on, new events \
         are taken when there is room again"
    )]
    DiskReserve {
        /// What is left, in MiB.
        free_mib: u64,
        /// What is kept, in MiB.
        reserve_mib: u64,
    },
    /// The tenant has too many deliveries pending; the same call can succeed when its webhooks have taken some.
    #[error(
        "{pending} deliveries of this tenant wait already, and {max} may; see which webhooks do not take theirs \
         (GET /v1/webhooks/{{id}}/stats), and mend, pause or delete them"
    )]
    Backlog {
        /// How many are.
        pending: u64,
        /// How many may.
        max: u64,
    },
    /// The link to an event was good once.
    #[error("this link has expired; ask the sender to send the event again, which renews it")]
    LinkExpired,
    /// The engine is closing, or has closed.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// The store failed. After a failed write the engine takes nothing more.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::DiskReserve { free_mib, reserve_mib } => Self::DiskReserve { free_mib, reserve_mib },
            other => Self::Store(other),
        }
    }
}

impl EngineError {
    /// One field at fault.
    pub(crate) fn invalid(pointer: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem::at(pointer, code, detail)])
    }

    /// What the store holds cannot be used: somebody else changed its file.
    pub(crate) fn damaged(error: &dyn std::error::Error) -> Self {
        Self::Store(StoreError::Read(error.to_string()))
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into() }
    }
}

fn list(problems: &[FieldProblem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| match problem.pointer.as_str() {
            "" => problem.detail.clone(),
            pointer => format!("{pointer}: {}", problem.detail),
        })
        .collect();
    lines.join("; ")
}
