//! Lets events go when every sink has been done with them for long enough.
//!
//! It exists so that the inbox's file does not grow for ever. It notes now and then how far every sink is, and lets go
//! what was done at a note that is old enough, in slices that never hold up a sender for long. Invariant: what a sink
//! still waits for, a dead letter, and what is to be replayed never go. With an event its id goes: the same one is then
//! taken as new. Read `store/inbox.rs` next.

use std::sync::Arc;
use std::time::Duration;

use vai_webhooks_wire::UnixMs;

use crate::receiver::Shared;
use crate::store::{Change, StoreError};

/// How long an event stays after the last sink is done with it, by default: 30 days.
pub const RETAIN_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// How many notes are made within that time: it is kept to a part of it this small.
const NOTES: u64 = 720;
/// The shortest time between two notes.
const NOTE_MS_MIN: u64 = 100;

/// Works until the store is closed.
pub(crate) async fn run(shared: Arc<Shared>, retain: Duration) {
    let retain_ms = i64::try_from(retain.as_millis()).unwrap_or(i64::MAX);
    let between = (retain / u32::try_from(NOTES).unwrap_or(1)).max(Duration::from_millis(NOTE_MS_MIN));
    loop {
        let at_ms = UnixMs::now().0;
        let change = || Change::Retain {
            done_to: shared.inbox.done_to(),
            at_ms,
            before_ms: at_ms.saturating_sub(retain_ms),
        };
        loop {
            match shared.store.change(change()).await {
                Ok(0) => break,
                Ok(_) => tokio::task::yield_now().await,
                Err(StoreError::Down) => return,
                Err(error) => {
                    tracing::warn!(%error, "old events could not be let go; tried again later");
                    break;
                }
            }
        }
        tokio::time::sleep(between).await;
    }
}
