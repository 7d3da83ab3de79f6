//! `webhook.test`: sent outside the lanes, once, with its result as the answer.
//!
//! It exists so that a test is neither held up by a backlog nor retried. A registration and a change of
//! address pass through it before anything is written. Read `secrets.rs` next.

use vai_webhooks_wire::{AttemptId, EventId, UnixMs, WebhookId};

use super::Engine;
use crate::attempt::Exchanged;
use crate::dispatch::{format, render, signing};
use crate::error::EngineError;
use crate::event::DeliveryState;
use crate::intake::prepare_test;
use crate::outcome;
use crate::store::{AcceptEvent, Settlement};
use crate::tenant::TenantId;
use crate::webhook::live::Live;

/// What came of a `webhook.test`.
#[derive(Debug, Clone)]
pub struct TestResult {
    /// The test event.
    pub event_id: EventId,
    /// The attempt.
    pub attempt_id: AttemptId,
    /// When it was sent.
    pub started_at: UnixMs,
    /// What came of it.
    pub exchanged: Exchanged,
}

impl Engine {
    /// Sends a `webhook.test`, and gives the record of it, where it was accepted.
    pub(super) async fn verify(&self, live: &Live) -> Result<(AcceptEvent, Settlement), EngineError> {
        let (event, settlement) = self.send_test(live).await;
        if settlement.exchanged.delivered() {
            return Ok((event, settlement));
        }
        Err(EngineError::Unreachable(Box::new(settlement.exchanged)))
    }

    // Without the script: a test is for the endpoint, and a transformation made for other types would fail on it.
    async fn send_test(&self, live: &Live) -> (AcceptEvent, Settlement) {
        let parts = &self.parts;
        let event = prepare_test(parts, live.stored.tenant, live.stored.id.as_str());
        let began = parts.clock.elapsed();
        let started_at = event.now;
        let (form, outgoing) = format::test(parts, live, &event.event).unwrap_or_default();
        let signatures = signing::sign(live, &event.event, outgoing.as_ref(), started_at);
        let request = render::request(live, &event.event, outgoing.as_ref(), 1, &signatures, &*parts.rng);
        let exchange = parts.transport.send(request).await;
        let took = parts.clock.elapsed().saturating_sub(began);
        let delivered = outcome::delivered(&exchange);
        let settlement = Settlement {
            event: event.event.key,
            webhook: live.stored.no,
            attempt: parts.keys.attempt(started_at),
            number: 1,
            started_at,
            ended_at: parts.clock.now(),
            exchanged: Exchanged::new(exchange, took),
            state: if delivered { DeliveryState::Delivered } else { DeliveryState::Exhausted },
            due: None,
            disables: false,
            note: None,
            form,
        };
        (event, settlement)
    }

    /// Sends `webhook.test` to this webhook alone, whatever it subscribes to and whether it is stopped
    /// or not, once; answers with the result, good or bad, when that is recorded.
    pub async fn test(&self, tenant: TenantId, id: &WebhookId) -> Result<TestResult, EngineError> {
        self.check_open()?;
        let live = self.live(tenant, id)?;
        let (event, settlement) = self.send_test(&live).await;
        let result = TestResult {
            event_id: event.event.id.clone(),
            attempt_id: settlement.attempt.id(self.parts.realm),
            started_at: settlement.started_at,
            exchanged: settlement.exchanged.clone(),
        };
        self.parts.store.record_test(event, settlement).await?;
        Ok(result)
    }
}
