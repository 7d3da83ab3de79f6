//! From a draft to what is written: checks, defaults, the id, the body.
//!
//! The body is built here, once; it is what every attempt at every webhook signs and sends. Read
//! `store/mod.rs` next.

use std::borrow::Cow;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use vai_webhooks_wire::{EventId, UnixMs, defaults, envelope};

use super::{DELIVER_AHEAD_MS_MAX, Draft, EVENT_BYTES_MAX};
use crate::error::{EngineError, FieldProblem};
use crate::key::EventKey;
use crate::parts::Parts;
use crate::store::sqlite::columns::BY_ID;
use crate::store::{AcceptEvent, Dedupe, Sendable};
use crate::tenant::TenantId;
use crate::webhook::check_channels;

/// The part of a dedupe name before an idempotency key.
const BY_KEY: &str = "key:";
/// The longest idempotency key, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// An event that can be written.
pub(crate) struct Prepared<'d> {
    pub(crate) event: AcceptEvent,
    /// Its data as consumers get it, with its defaults: what is held against its type's schema.
    pub(crate) data: Cow<'d, str>,
}

/// Checks a draft and makes of it what is written. `idempotency_key` is what the caller named this call
/// by; an event's own id stands before it.
pub(crate) fn prepare<'d>(
    parts: &Parts,
    tenant: TenantId,
    draft: &Draft<'d>,
    idempotency_key: Option<&str>,
) -> Result<Prepared<'d>, EngineError> {
    let now = parts.clock.now();
    let problems = check(draft, now);
    if !problems.is_empty() {
        return Err(EngineError::Invalid(problems));
    }
    if draft.id.as_ref().is_some_and(|id| EventKey::of(id, parts.realm).is_some()) {
        let detail = "ids of this form are made here; post the event without an id, or with one of your own";
        return Err(EngineError::conflict("id_reserved", detail));
    }
    let dedupe = match (&draft.id, idempotency_key) {
        (Some(id), _) => Some(Dedupe { name: format!("{BY_ID}{id}"), content: content(draft) }),
        (None, Some(key)) => Some(event_dedupe(key, content(draft))?),
        (None, None) => None,
    };
    let key = parts.keys.event(now);
    let timestamp = draft.timestamp.unwrap_or(now);
    let id = draft.id.clone().unwrap_or_else(|| key.id(parts.realm));
    let data = defaults::complete(&draft.event_type, draft.data, &draft.checked, timestamp)
        .map_err(|error| EngineError::invalid("/data", "wrong_type", error.to_string()))?;
    let body = envelope::write(id.as_str(), &draft.event_type, timestamp, &data);
    if body.len() > EVENT_BYTES_MAX {
        return Err(EngineError::TooLarge { bytes: body.len(), limit: EVENT_BYTES_MAX });
    }
    let event = Sendable { key, id, event_type: draft.event_type.as_ref().into(), body: body.into() };
    let event = AcceptEvent {
        event: Arc::new(event),
        tenant,
        timestamp,
        deliver_at: draft.deliver_at,
        now,
        channels: draft.channels.clone(),
        dedupe,
    };
    Ok(Prepared { event, data })
}

/// How a call is known again by its idempotency key.
pub(crate) fn event_dedupe(key: &str, content: [u8; 32]) -> Result<Dedupe, EngineError> {
    let visible = key.bytes().all(|byte| (0x21..0x7f).contains(&byte) || byte == b' ');
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX || !visible {
        let detail = "Idempotency-Key must have 1 to 255 visible ASCII characters";
        return Err(EngineError::invalid("", "invalid_idempotency_key", detail));
    }
    Ok(Dedupe { name: format!("{BY_KEY}{key}"), content })
}

/// A `webhook.test`, as the seed writes it.
pub(crate) fn prepare_test(parts: &Parts, tenant: TenantId, webhook_id: &str) -> AcceptEvent {
    let now = parts.clock.now();
    let key = parts.keys.event(now);
    let id: EventId = key.id(parts.realm);
    // A webhook's id needs no escaping in JSON.
    let data = format!(
        r#"{{"test":true,"timestamp":"{now}","webhookId":"{webhook_id}","message":"This is a test webhook from VAI Portal"}}"#
    );
    let event_type = vai_webhooks_wire::types::WEBHOOK_TEST;
    let body = envelope::write(id.as_str(), event_type, now, &data);
    let event = Sendable { key, id, event_type: event_type.into(), body: body.into() };
    AcceptEvent {
        event: Arc::new(event),
        tenant,
        timestamp: now,
        deliver_at: None,
        now,
        channels: Vec::new(),
        dedupe: None,
    }
}

fn check(draft: &Draft<'_>, now: UnixMs) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if draft.deliver_at.is_some_and(|at| at.since(now) > DELIVER_AHEAD_MS_MAX) {
        problems.push(FieldProblem::at("/deliverAt", "out_of_range", "is more than a year ahead"));
    }
    check_channels("/channels", &draft.channels, &mut problems);
    problems
}

/// What "the same content" means: type, data as it was spelled, and what else was given.
fn content(draft: &Draft<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(bytes);
    };
    part(draft.event_type.as_bytes());
    part(draft.data.as_bytes());
    for time in [draft.timestamp, draft.deliver_at] {
        part(&time.map_or_else(Vec::new, |at| at.0.to_le_bytes().to_vec()));
    }
    for channel in &draft.channels {
        part(channel.as_bytes());
    }
    hash.finalize().into()
}
