//! What the API answers, as far as this client shows it.
//!
//! Members that it does not know are passed over, so that an older client works with a newer server.
//! Read `webhook.rs` next.

use serde::Deserialize;
use vai_webhooks_wire::UnixMs;

use super::screen::{Piece, Tone, toned};

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Webhook {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) events: Vec<String>,
    #[serde(default)]
    pub(super) channels: Vec<String>,
    #[serde(default)]
    pub(super) headers: serde_json::Map<String, serde_json::Value>,
    pub(super) retry_config: Option<RetryConfig>,
    pub(super) timeout_ms: u64,
    pub(super) description: Option<String>,
    pub(super) format: Option<String>,
    pub(super) status: String,
    pub(super) verifying_key: Option<String>,
    pub(super) created_at: UnixMs,
    /// In the answer to a registration only.
    pub(super) secret: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RetryConfig {
    pub(super) max_attempts: Option<u64>,
    pub(super) backoff_ms: Option<u64>,
}

/// `GET /v1/webhooks/{id}/stats`.
#[derive(Debug, Deserialize)]
pub(super) struct WebhookStats {
    pub(super) stats: Stats,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) pending: u64,
    pub(super) last_sent: Option<UnixMs>,
}

/// What came of one request to an endpoint.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Exchange {
    pub(super) delivered: bool,
    pub(super) status: Option<u16>,
    pub(super) failure: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) duration_ms: u64,
    pub(super) address: Option<String>,
    #[serde(default)]
    pub(super) answer: String,
}

impl Exchange {
    /// In a few words: `200 in 12 ms from 127.0.0.1:3004`, `timeout after 10000 ms`.
    pub(super) fn summary(&self) -> String {
        let duration_ms = self.duration_ms;
        let from = self.address.as_ref().map(|address| format!(" from {address}")).unwrap_or_default();
        match (&self.failure, self.status) {
            (Some(kind), _) => format!("{kind} after {duration_ms} ms"),
            (None, Some(status)) => format!("{status} in {duration_ms} ms{from}"),
            (None, None) => format!("no answer after {duration_ms} ms"),
        }
    }

    pub(super) fn tone(&self) -> Tone {
        if self.delivered { Tone::Good } else { Tone::Bad }
    }
}

/// `POST /v1/webhooks/{id}/test`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TestResult {
    pub(super) event_id: String,
    #[serde(flatten)]
    pub(super) exchange: Exchange,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) started_at: UnixMs,
    #[serde(flatten)]
    pub(super) exchange: Exchange,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delivery {
    pub(super) webhook_id: String,
    pub(super) state: String,
    pub(super) next_attempt_at: Option<UnixMs>,
    /// Why it waits for its transformation, or was dropped.
    #[serde(default)]
    pub(super) reason: Option<String>,
    pub(super) attempts: Vec<Attempt>,
}

/// `POST /v1/events`.
#[derive(Debug, Deserialize)]
pub(super) struct Accepted {
    pub(super) id: String,
    pub(super) duplicate: bool,
    #[serde(default)]
    pub(super) violations: Vec<Violation>,
}

/// Where an event is not as its schema has it.
#[derive(Debug, Deserialize)]
pub(super) struct Violation {
    pub(super) pointer: String,
    pub(super) detail: String,
}

impl Violation {
    /// A line of its own: `    /data/total: must be 0 or more`.
    pub(super) fn line(&self) -> [Piece<'_>; 4] {
        ["    ".into(), toned(Tone::Waiting, self.pointer.as_str()), ": ".into(), self.detail.as_str().into()]
    }
}

/// `GET /v1/settings`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    pub(super) event_schemas: String,
}

/// `GET /v1/event-types/{name}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventType {
    pub(super) name: String,
    pub(super) typed: bool,
    pub(super) description: Option<String>,
    pub(super) schema: Option<Box<serde_json::value::RawValue>>,
    pub(super) examples: Box<serde_json::value::RawValue>,
    pub(super) version: Option<u32>,
    pub(super) last_seen: Option<UnixMs>,
    pub(super) mismatches: Option<Mismatches>,
    /// Where one event type is read.
    pub(super) versions: Option<Vec<EventTypeVersion>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mismatches {
    pub(super) count: u64,
    pub(super) last_at: UnixMs,
    pub(super) last_violations: Vec<Violation>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventTypeVersion {
    pub(super) version: u32,
    pub(super) created_at: Option<UnixMs>,
    pub(super) breaks: Vec<Violation>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) event: String,
    pub(super) timestamp: UnixMs,
    pub(super) accepted_at: UnixMs,
    pub(super) deliver_at: Option<UnixMs>,
    pub(super) nowhere: Option<Nowhere>,
    pub(super) deliveries: Counts,
    /// Where one event is read.
    pub(super) data: Option<Box<serde_json::value::RawValue>>,
}

/// Why an event went to no webhook: a name, or a name with a sentence.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Nowhere {
    Named(String),
    Explained { detail: String },
}

impl Nowhere {
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Explained { detail } => detail,
            Self::Named(name) => match name.as_str() {
                "no_webhooks" => "there was no webhook",
                "none_subscribed" => "no webhook subscribes to this type",
                "other_channels" => "the webhooks that take this type are of other channels",
                "disabled" => "the webhooks that take this type are disabled",
                other => other,
            },
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Counts {
    pub(super) pending: u64,
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    #[serde(default)]
    pub(super) dropped: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) starts_with: String,
    pub(super) tenant: Option<String>,
    pub(super) name: String,
    pub(super) expires_at: Option<UnixMs>,
    /// In the answer to its making only.
    pub(super) key: Option<String>,
}

/// The state of a webhook or a delivery, in its colour.
pub(super) fn state(name: &str) -> Piece<'_> {
    let tone = match name {
        "active" | "delivered" => Tone::Good,
        "pending" | "paused" => Tone::Waiting,
        "disabled" | "exhausted" | "rejected" => Tone::Bad,
        _ => Tone::Plain,
    };
    toned(tone, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(text: &str) -> Exchange {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_attempt_is_told_in_a_few_words() {
        let answered = exchange(r#"{"delivered":true,"status":204,"durationMs":12,"address":"127.0.0.1:1"}"#);
        assert_eq!(answered.summary(), "204 in 12 ms from 127.0.0.1:1");
        let failed = exchange(r#"{"delivered":false,"failure":"tls","detail":"wrong name","durationMs":3}"#);
        assert_eq!(failed.summary(), "tls after 3 ms");
    }

    #[test]
    fn why_an_event_went_nowhere_is_told_in_words() {
        for text in
            [r#""none_subscribed""#, r#"{"reason":"x","detail":"no webhook subscribes to this type"}"#]
        {
            let nowhere: Nowhere = serde_json::from_str(text).unwrap();
            assert_eq!(nowhere.words(), "no webhook subscribes to this type");
        }
    }
}
