//! Transformations: an event's body in the shape that the other side wants, made by a script.
//!
//! A script is JavaScript of whoever registered the webhook, and is run as what nobody trusts: in a
//! `sandbox` of its own with limits on time, memory, stack and output, without input or output, without
//! a clock or randomness of its own, over a frozen event. Invariants: the same event and the same script
//! give the same bytes, always; a run leaves nothing behind for the next one; no run takes place on a
//! thread that serves requests or sends. `prelude.js` is what a sandbox begins with, `compile` tells the
//! two forms of a script apart, `numbers` keeps whole numbers whole.

mod compile;
mod meter;
mod numbers;
pub(crate) mod pool;
mod sandbox;
mod worker;

use std::time::Duration;

use sha2::{Digest, Sha256};

/// The processor time that one run may use.
pub const CPU_TIME_MAX: Duration = Duration::from_millis(50);
/// The memory of one sandbox, in bytes.
pub const MEMORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The stack of a script, in bytes.
const STACK_BYTES_MAX: usize = 256 * 1024;
/// The longest script, in bytes.
pub const CODE_BYTES_MAX: usize = 64 * 1024;

/// Why a script gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// What kind of failure it is.
    pub kind: ScriptErrorKind,
    /// One sentence, as the script's author needs it.
    pub message: String,
    /// Where in the author's own code, counted from 1, where that is known.
    pub line: Option<u32>,
    /// The column in that line, counted from 1.
    pub column: Option<u32>,
}

/// The kinds of failure that something is done differently for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptErrorKind {
    /// The script does not compile, threw, or returned what cannot be sent: it would again.
    Code,
    /// The script ran into a limit of time or memory.
    Limit,
    /// The script could not be run now.
    Unavailable,
}

impl std::fmt::Display for ScriptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: {}", self.message),
            (Some(line), None) => write!(f, "line {line}: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl ScriptError {
    fn new(kind: ScriptErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), line: None, column: None }
    }
}

/// What a run works on.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// The event's envelope.
    pub(crate) body: bytes::Bytes,
    /// The script's randomness begins with it.
    pub(crate) seed: [u32; 4],
    /// The webhook's id, for the script to read.
    pub(crate) webhook_id: String,
}

impl Input {
    /// An event as a script gets it: its time is in it, its randomness comes from its id.
    pub(crate) fn new(event_id: &str, body: bytes::Bytes, webhook_id: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(event_id).into();
        let word =
            |at: usize| hash[at * 4..].first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let seed = [word(0), word(1), word(2), word(3)];
        Self { body, seed, webhook_id: webhook_id.to_owned() }
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) result: Result<Made, ScriptError>,
    /// What the script printed.
    pub(crate) console: Vec<String>,
    /// The processor time it took, loading apart.
    pub(crate) took: Duration,
}

/// What a script made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Made {
    /// A body to send.
    Body(Shaped),
    /// Nothing is to be sent, and why, where the script said so.
    Dropped(Option<String>),
}

/// A body, and what the script set for its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shaped {
    /// JSON.
    pub(crate) body: bytes::Bytes,
    /// Headers, checked.
    pub(crate) headers: Vec<(String, String)>,
    /// In place of the URL's path.
    pub(crate) path: Option<String>,
    /// In place of the URL's query.
    pub(crate) query: Option<String>,
}

#[cfg(test)]
mod tests;
