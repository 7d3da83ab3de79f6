//! How an engine is opened, with defaults that are safe.
//!
//! Read `mod.rs` next.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::intake::admission::{BACKLOG_MAX, DISK_RESERVE_BYTES};
use crate::link::LINK_LIFE;

/// How an engine is opened.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The directory of the store; made where it is not there.
    pub data_dir: PathBuf,
    /// Address ranges that webhooks may have although they are not public ones.
    pub egress_allow: Vec<IpNet>,
    /// Certificates (DER) of further authorities whose servers are trusted.
    pub extra_roots: Vec<Vec<u8>>,
    /// Threads that send, and on which callers may run: see [`Engine::threads`](super::Engine::threads).
    pub shards: usize,
    /// Deliveries that one tenant may have pending: from there on its new events are refused.
    pub backlog_max: u64,
    /// What is kept of the disk for what was accepted: new events are refused when no more is left. In bytes; 0:
    /// nothing.
    pub disk_reserve_bytes: u64,
    /// The address at which receivers reach the API that serves [`Engine::linked_event`](super::Engine::linked_event), as `https://hooks.example.com`.
    /// Without it, no webhook can have the format `thin`.
    pub public_url: Option<String>,
    /// How long the link in a delivery of the format `thin` is good after the latest attempt.
    pub link_life: Duration,
    /// An admin key that is not in the store, as from the environment.
    pub admin_key: Option<Redacted>,
}

/// A text that does not show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted(pub String);

impl std::fmt::Debug for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl EngineOptions {
    /// The defaults, with the store in `data_dir`: public addresses only, one sending thread for each
    /// processor.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            data_dir: data_dir.into(),
            egress_allow: Vec::new(),
            extra_roots: Vec::new(),
            shards: processors,
            backlog_max: BACKLOG_MAX,
            disk_reserve_bytes: DISK_RESERVE_BYTES,
            public_url: None,
            link_life: LINK_LIFE,
            admin_key: None,
        }
    }
}
