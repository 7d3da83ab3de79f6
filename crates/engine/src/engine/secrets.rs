//! Calls on a webhook's secret: read it, rotate it.
//!
//! Read `access.rs` next.

use vai_webhooks_wire::{Secret, WebhookId};

use super::Engine;
use super::webhooks::call_dedupe;
use crate::error::EngineError;
use crate::store::StoredWebhook;
use crate::tenant::TenantId;
use crate::webhook::Webhook;

/// How long a replaced secret goes on signing where a rotation does not say, in milliseconds: one day.
pub const ROTATION_GRACE_MS: i64 = 24 * 60 * 60 * 1_000;
/// The longest that a replaced secret may go on signing, in milliseconds: 30 days.
pub const ROTATION_GRACE_MS_MAX: i64 = 30 * ROTATION_GRACE_MS;

impl Engine {
    /// The secret that signs.
    pub fn secret(&self, tenant: TenantId, id: &WebhookId) -> Result<Secret, EngineError> {
        secret_of(&self.live(tenant, id)?.stored)
    }

    /// Replaces the secret. The old one goes on signing beside the new one for `grace_ms`; with 0 it
    /// ends at once, which also ends a rotation that is under way. The same `idempotency` key with the same
    /// posted bytes rotates once.
    pub async fn rotate_secret(
        &self,
        tenant: TenantId,
        id: &WebhookId,
        secret: Option<String>,
        grace_ms: i64,
        idempotency: Option<(&str, &[u8])>,
    ) -> Result<(Webhook, Secret), EngineError> {
        self.check_open()?;
        let call = format!("rotate:{id}");
        let idempotency = idempotency.map(|(key, posted)| call_dedupe(&call, key, posted)).transpose()?;
        if let Some(dedupe) = &idempotency
            && let Some(live) = self.repeated(tenant, dedupe).await?
        {
            return Ok((live.view(), secret_of(&live.stored)?));
        }
        if !(0..=ROTATION_GRACE_MS_MAX).contains(&grace_ms) {
            let detail = format!("is {grace_ms}; must be 0 to {ROTATION_GRACE_MS_MAX}");
            return Err(EngineError::invalid("/gracePeriodMs", "out_of_range", detail));
        }
        let secret = secret.unwrap_or_else(|| Secret::from_random(self.random()).expose().to_owned());
        let parsed = Secret::parse(&secret)
            .map_err(|error| EngineError::invalid("/secret", "invalid_secret", error.to_string()))?;
        let old = self.live(tenant, id)?;
        let now = self.parts.clock.now();
        let rotating = old.stored.previous_secret.as_ref().is_some_and(|(_, until)| now < *until);
        if rotating && grace_ms > 0 {
            let detail = "a rotation is under way; wait for its end, or rotate with gracePeriodMs 0 to end the \
                          old secrets at once";
            return Err(EngineError::conflict("rotation_in_progress", detail));
        }
        let until = now.saturating_add(grace_ms);
        let previous_secret = (grace_ms > 0).then(|| (old.stored.secret.clone(), until));
        let new = StoredWebhook { secret, previous_secret, ..old.stored.clone() };
        Ok((self.replace(&old, new, idempotency).await?, parsed))
    }
}

/// A stored secret, read.
pub(super) fn secret_of(stored: &StoredWebhook) -> Result<Secret, EngineError> {
    Secret::parse(&stored.secret).map_err(|error| EngineError::damaged(&error))
}
