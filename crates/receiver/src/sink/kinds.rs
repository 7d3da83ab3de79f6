//! The kinds of sinks that a configuration can name.
//!
//! It exists as the one place that knows all of them: a new kind is a file beside this one and a line in [`KINDS`].
//! Read `jsonl.rs` next.

use super::settings::{Settings, SettingsError};
use super::{Sink, clickhouse, email, http, jsonl, parquet, postgres, slack, sqlite, teams};

/// Makes a sink of its settings. Checks all it can without a network, and says in a sentence what is wrong.
type Open = fn(Settings) -> Result<Box<dyn Sink>, SettingsError>;

/// Every kind: its name in `kind = "…"`, what opens it, and whether it takes messages ([`Sink::notify`]).
const KINDS: &[(&str, Open, bool)] = &[
    ("clickhouse", clickhouse::open, false),
    ("email", email::open, true),
    ("http", http::open, false),
    ("jsonl", jsonl::open, false),
    ("parquet", parquet::open, false),
    ("postgres", postgres::open, false),
    ("slack", slack::open, true),
    ("sqlite", sqlite::open, false),
    ("teams", teams::open, true),
];

/// Makes a sink of the kind `kind`. Reaches nothing over a network.
pub fn open(kind: &str, settings: Settings) -> Result<Box<dyn Sink>, SettingsError> {
    match KINDS.iter().find(|(name, ..)| *name == kind) {
        Some((_, open, _)) => open(settings),
        None => {
            let known: Vec<&str> = KINDS.iter().map(|(name, ..)| *name).collect();
            Err(SettingsError(format!("there is no kind {kind:?}: the kinds are {}", known.join(", "))))
        }
    }
}

/// Whether sinks of the kind `kind` take messages; `None` where there is no such kind.
pub(crate) fn takes_messages(kind: &str) -> Option<bool> {
    KINDS.iter().find(|(name, ..)| *name == kind).map(|(_, _, takes)| *takes)
}

/// The kinds that take messages.
pub(crate) fn messengers() -> Vec<&'static str> {
    KINDS.iter().filter(|(_, _, takes)| *takes).map(|(name, ..)| *name).collect()
}
