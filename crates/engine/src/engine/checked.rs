//! Events that are not as their schema has them: what becomes of each.
//!
//! Checking is done by then; this decides. Invariant: an event that was accepted before is answered as such, whatever
//! is checked now, since a producer that lost the answer asks again. Read `catalog.rs` next.

use super::Engine;
use super::events::is_known_by_id;
use crate::catalog::{CheckMode, Mismatch};
use crate::error::EngineError;
use crate::event::Accepted;
use crate::store::AcceptEvent;

impl Engine {
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
