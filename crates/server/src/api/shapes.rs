//! The shapes of answers: the engine's values as JSON, in camelCase, with units in the names.
//!
//! What is secret is masked here, so that no call can forget it. Read `webhooks.rs` next.

use serde::Serialize;
use utoipa::ToSchema;
use vai_webhooks_engine as engine;
use vai_webhooks_engine::RetryPolicy;
use vai_webhooks_wire::UnixMs;

/// One page of a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The entries.
    pub(crate) data: Vec<T>,
    /// What to give as `cursor` for the next page; `null` where this is the last.
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    pub(crate) fn of<E>(page: engine::Page<E>, shape: impl Fn(&E) -> T) -> Self {
        Self { data: page.data.iter().map(shape).collect(), next: page.next }
    }
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Webhook {
    id: String,
    /// Where events go.
    url: String,
    /// What it takes: names, `prefix.*`, `*`.
    events: Vec<String>,
    /// Of events that name channels, it takes those that name one of these; empty: all.
    channels: Vec<String>,
    /// Further headers of each request; values that look secret are masked.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    headers: serde_json::Map<String, serde_json::Value>,
    #[schema(value_type = Object)]
    retry_config: serde_json::Value,
    /// The deadline of one attempt, in milliseconds.
    timeout_ms: u32,
    description: Option<String>,
    /// How events are written: `vai`, `standard`, `cloudevents`, `cloudevents-binary`, `raw` or `thin`.
    format: &'static str,
    /// The script that shapes its events.
    data_transform: Option<super::transform::Transform>,
    /// `active`, `paused`, or `disabled` (its endpoint answered 410).
    status: &'static str,
    /// `whpk_…`, where it has an Ed25519 key.
    verifying_key: Option<String>,
    /// Until when the replaced secret signs too, while one is being rotated.
    #[schema(value_type = Option<String>, format = DateTime)]
    rotating_until: Option<UnixMs>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UnixMs,
    #[schema(value_type = String, format = DateTime)]
    updated_at: UnixMs,
    /// The secret; in the answer to a registration and a rotation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Webhook {
    pub(crate) fn of(webhook: &engine::Webhook) -> Self {
        let config = &webhook.config;
        let header = |(name, value): &(String, String)| {
            let shown = if looks_secret(name) { "***" } else { value.as_str() };
            (name.clone(), shown.into())
        };
        Self {
            id: webhook.id.to_string(),
            url: config.url.clone(),
            events: config.events.clone(),
            channels: config.channels.clone(),
            headers: config.headers.iter().map(header).collect(),
            retry_config: retry_config(&config.retry),
            timeout_ms: config.timeout_ms,
            description: config.description.clone(),
            format: config.format.as_str(),
            data_transform: config.transform.as_ref().map(super::transform::Transform::of),
            status: webhook.status.as_str(),
            verifying_key: webhook.verifying_key.clone(),
            rotating_until: webhook.rotating_until,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            secret: None,
        }
    }

    pub(crate) fn with_secret(webhook: &engine::Webhook, secret: &vai_webhooks_wire::Secret) -> Self {
        Self { secret: Some(secret.expose().to_owned()), ..Self::of(webhook) }
    }
}

fn retry_config(retry: &RetryPolicy) -> serde_json::Value {
    match retry {
        RetryPolicy::Schedule { schedule } => serde_json::json!({
            "maxAttempts": retry.max_attempts(), "schedule": schedule
        }),
        RetryPolicy::Backoff { max_attempts, backoff_ms, max_backoff_ms } => serde_json::json!({
            "maxAttempts": max_attempts, "backoffMs": backoff_ms, "maxBackoffMs": max_backoff_ms
        }),
    }
}

fn looks_secret(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    ["auth", "token", "key", "secret", "password", "credential"].iter().any(|part| name.contains(part))
}

/// A URL without what may be secret in it: the values in its query.
pub(crate) fn masked_url(url: &str) -> String {
    let (before, query) = match url.split_once('?') {
        Some((before, query)) => (before, query),
        None => return url.to_owned(),
    };
    let masked: Vec<String> = query
        .split('&')
        .map(|pair| pair.split_once('=').map_or_else(|| "***".to_owned(), |(name, _)| format!("{name}=***")))
        .collect();
    format!("{before}?{}", masked.join("&"))
}

/// What came of one request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exchange {
    /// Whether it was taken: a complete answer with a 2xx status.
    delivered: bool,
    /// The answer's status, where there was one.
    status: Option<u16>,
    /// The kind of failure: `dns`, `refused`, `connect`, `tls`, `timeout`, `closed`, `protocol`.
    failure: Option<&'static str>,
    /// One sentence about the failure.
    detail: Option<String>,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// The address that was dialled.
    address: Option<String>,
    /// The first bytes of the answer's body.
    answer: String,
    /// Whether the answer's body went on after that.
    answer_cut: bool,
}

impl Exchange {
    pub(crate) fn of(exchanged: &engine::Exchanged) -> Self {
        Self {
            delivered: exchanged.delivered(),
            status: exchanged.status,
            failure: exchanged.failure.map(|kind| kind.as_str()),
            detail: exchanged.detail.clone(),
            duration_ms: u64::try_from(exchanged.took.as_millis()).unwrap_or(u64::MAX),
            address: exchanged.address.map(|address| address.to_string()),
            answer: String::from_utf8_lossy(&exchanged.answer).into_owned(),
            answer_cut: exchanged.answer_cut,
        }
    }
}

/// What came of a `webhook.test`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TestResult {
    event_id: String,
    attempt_id: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: UnixMs,
    #[serde(flatten)]
    exchange: Exchange,
}

impl TestResult {
    pub(crate) fn of(result: &engine::TestResult) -> Self {
        Self {
            event_id: result.event_id.to_string(),
            attempt_id: result.attempt_id.to_string(),
            started_at: result.started_at,
            exchange: Exchange::of(&result.exchanged),
        }
    }
}

/// One attempt at a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt {
    id: String,
    event_id: String,
    event: String,
    webhook_id: String,
    /// 1 for the first, then 2, 3 …: `X-VAI-Attempt`.
    number: u32,
    #[schema(value_type = String, format = DateTime)]
    started_at: UnixMs,
    #[serde(flatten)]
    exchange: Exchange,
}

impl Attempt {
    pub(crate) fn of(attempt: &engine::Attempt) -> Self {
        Self {
            id: attempt.id.to_string(),
            event_id: attempt.event_id.to_string(),
            event: attempt.event_type.clone(),
            webhook_id: attempt.webhook_id.to_string(),
            number: attempt.number,
            started_at: attempt.started_at,
            exchange: Exchange::of(&attempt.exchanged),
        }
    }
}

/// What became of an event at one webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    id: String,
    event_id: String,
    webhook_id: String,
    /// `pending`, `delivered`, `exhausted`, `cancelled`, `rejected` or `dropped`.
    state: &'static str,
    /// Whether it waits for its webhook's transformation to be mended.
    held: bool,
    /// Why it is held, or was dropped.
    reason: Option<String>,
    /// How it is written.
    format: &'static str,
    /// The version of the webhook's transformation that shapes it.
    transform_version: Option<u32>,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<UnixMs>,
    /// Oldest first.
    attempts: Vec<Attempt>,
}

impl Delivery {
    pub(crate) fn of(delivery: &engine::Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event_id.to_string(),
            webhook_id: delivery.webhook_id.to_string(),
            state: delivery.state.as_str(),
            held: delivery.held,
            reason: delivery.reason.clone(),
            format: delivery.format.as_str(),
            transform_version: delivery.transform_version,
            next_attempt_at: delivery.next_attempt_at,
            attempts: delivery.attempts.iter().map(Attempt::of).collect(),
        }
    }
}

/// An accepted event, without its data.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventSummary {
    id: String,
    event: String,
    #[schema(value_type = String, format = DateTime)]
    timestamp: UnixMs,
    #[schema(value_type = String, format = DateTime)]
    accepted_at: UnixMs,
    #[schema(value_type = Option<String>, format = DateTime)]
    deliver_at: Option<UnixMs>,
    /// Why it went to no webhook: `no_webhooks`, `none_subscribed`, `other_channels`, `disabled`.
    nowhere: Option<&'static str>,
    deliveries: Counts,
}

/// Deliveries by state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    pending: u32,
    delivered: u32,
    failed: u32,
    cancelled: u32,
    dropped: u32,
}

impl EventSummary {
    pub(crate) fn of(event: &engine::EventSummary) -> Self {
        let counts = event.deliveries;
        Self {
            id: event.id.to_string(),
            event: event.event_type.clone(),
            timestamp: event.timestamp,
            accepted_at: event.accepted_at,
            deliver_at: event.deliver_at,
            nowhere: event.nowhere.map(engine::Nowhere::as_str),
            deliveries: Counts {
                pending: counts.pending,
                delivered: counts.delivered,
                failed: counts.failed,
                cancelled: counts.cancelled,
                dropped: counts.dropped,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_in_a_url_is_masked() {
        assert_eq!(
            masked_url("https://example.com/a?token=abc&x&y=1"),
            "https://example.com/a?token=***&***&y=***"
        );
        assert_eq!(masked_url("https://example.com/a"), "https://example.com/a");
    }

    #[test]
    fn headers_that_look_secret_are_known() {
        assert!(looks_secret("Authorization") && looks_secret("X-Api-Key") && looks_secret("x-TOKEN"));
        assert!(!looks_secret("X-Region"));
    }
}
