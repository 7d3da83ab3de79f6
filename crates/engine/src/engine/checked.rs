//! Events that are not as their schema has them: where that is checked, and what becomes of each.
//!
//! What a check finds is the catalog's to say. Invariant: an event that was accepted before is answered as such, whatever
//! is checked now, since a producer that lost the answer asks again. Read `catalog.rs` next.

use std::borrow::Cow;
use std::sync::Arc;

use super::Engine;
use super::events::is_known_by_id;
use crate::catalog::{Check, CheckMode, Mismatch};
use crate::error::EngineError;
use crate::event::Accepted;
use crate::store::AcceptEvent;
use crate::thread::Home;

impl Engine {
    /// What is wrong with an event's data. A check that may take long is not made on a thread that sends, and only so many are
    /// made at once.
    pub(super) async fn mismatch(&self, check: Option<Check>, data: Cow<'_, str>) -> Option<Mismatch> {
        let check = check?;
        if Home::here().is_none() || !check.takes_long(data.len()) {
            return check.make(&data);
        }
        // It is never closed.
        let place = Arc::clone(&self.parts.long_checks).acquire_owned().await.ok();
        let data = data.into_owned();
        let make = move || {
            // Also where nobody waits for it any more.
            let _until_done = place;
            check.make(&data)
        };
        match tokio::task::spawn_blocking(make).await {
            Ok(mismatch) => mismatch,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The thread has ended, and who called with it.
                Err(_cancelled) => std::future::pending().await,
            },
        }
    }

    /// What an event is answered with that goes no further; `None` where it goes on.
    pub(super) async fn stopped(
        &self,
        event: &AcceptEvent,
        mismatch: Option<&Mismatch>,
    ) -> Option<Result<Accepted, EngineError>> {
        let mismatch = mismatch.filter(|it| it.mode == CheckMode::Enforce)?;
        if let Some(dedupe) = &event.dedupe {
            let known = self.parts.store.accepted_before(event.tenant, dedupe.clone()).await;
            match known.map_err(EngineError::from) {
                Ok(None) => {}
                Ok(Some(known)) => {
                    return Some(self.accepted(&event.event.id, is_known_by_id(event), &known));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        mismatch.note(event.now, None);
        self.parts.counters.schema_refused.add(1);
        Some(Err(self.refused(EngineError::Violates(mismatch.violations.clone()))))
    }

    /// Adds what is wrong with an event that was accepted all the same to its answer, and counts it.
    pub(super) fn warned(&self, answer: &mut Result<Accepted, EngineError>, mismatch: Option<Mismatch>) {
        if let (Ok(accepted), Some(mismatch)) = (answer, mismatch) {
            if !accepted.duplicate {
                mismatch.note(self.parts.clock.now(), Some(accepted.id.clone()));
                self.parts.counters.schema_warned.add(1);
            }
            accepted.violations = mismatch.violations;
        }
    }
}
