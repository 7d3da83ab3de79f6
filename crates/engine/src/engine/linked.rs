//! The call that a signed link makes: an event's data, for whoever holds the link.
//!
//! Read `access.rs` next.

use super::Engine;
use crate::error::EngineError;
use crate::event::Event;

impl Engine {
    /// The event behind a link that a delivery of the format `thin` carried, by the link's last part. Fails with
    /// [`EngineError::LinkExpired`] some time after the delivery's latest attempt, and with
    /// [`EngineError::NotFound`] where the link is not ours, or its webhook is deleted.
    pub async fn linked_event(&self, token: &str) -> Result<Event, EngineError> {
        const NO_LINK: EngineError = EngineError::NotFound("link");
        let (webhook, key) = self.parts.links.read(token).ok_or(NO_LINK)?;
        let live = self.parts.registry.by_no(webhook).ok_or(NO_LINK)?;
        let event = self.parts.store.event(live.stored.tenant, key).await?.ok_or(NO_LINK)?;
        let deliveries = self.parts.store.deliveries(key).await?;
        let (_, delivery) = deliveries.into_iter().find(|(no, _)| *no == webhook).ok_or(NO_LINK)?;
        // Without an attempt on record, the first one is under way.
        let latest = delivery.attempts.last().map(|attempt| attempt.started_at);
        let life_ms = i64::try_from(self.parts.links.life.as_millis()).unwrap_or(i64::MAX);
        match latest {
            Some(at) if at.saturating_add(life_ms) <= self.parts.clock.now() => Err(EngineError::LinkExpired),
            _ => Ok(event),
        }
    }
}
