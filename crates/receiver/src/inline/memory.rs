//! Seen ids in memory: for tests, and for programs that may handle an event again after a restart.
//!
//! Invariant: at most [`MEMORY_IDS_MAX`] ids; the one that was done first goes first. Read `handle.rs` next.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use vai_webhooks_wire::UnixMs;

use super::seen::{CLAIM_MS, Claim, Seen, SeenError};

/// Ids that are remembered as done.
pub const MEMORY_IDS_MAX: usize = 100_000;

/// Remembers the newest [`MEMORY_IDS_MAX`] ids.
#[derive(Debug, Default)]
pub struct SeenInMemory(Mutex<Ids>);

#[derive(Debug, Default)]
struct Ids {
    /// `None`: done; a time: claimed then.
    all: HashMap<String, Option<UnixMs>>,
    /// What is done, in this order.
    done: VecDeque<String>,
}

impl SeenInMemory {
    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen for SeenInMemory {
    fn claim<'a>(&'a self, id: &'a str, now: UnixMs) -> BoxFuture<'a, Result<Claim, SeenError>> {
        let mut ids = self.ids();
        let claim = match ids.all.get(id) {
            Some(None) => Claim::Done,
            Some(Some(since)) if now.0 - since.0 < CLAIM_MS => Claim::Busy,
            _ => {
                ids.all.insert(id.to_owned(), Some(now));
                Claim::Yours
            }
        };
        Box::pin(async move { Ok(claim) })
    }

    fn done<'a>(&'a self, id: &'a str, _: UnixMs) -> BoxFuture<'a, Result<(), SeenError>> {
        let mut ids = self.ids();
        if ids.all.insert(id.to_owned(), None) != Some(None) {
            ids.done.push_back(id.to_owned());
        }
        if ids.done.len() > MEMORY_IDS_MAX
            && let Some(oldest) = ids.done.pop_front()
        {
            ids.all.remove(&oldest);
        }
        Box::pin(async { Ok(()) })
    }

    fn release<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), SeenError>> {
        let mut ids = self.ids();
        if ids.all.get(id).is_some_and(Option::is_some) {
            ids.all.remove(id);
        }
        Box::pin(async { Ok(()) })
    }
}
