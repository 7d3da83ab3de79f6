//! Webhooks as JSON says them: `POST` and `PATCH` bodies become [`NewWebhook`] and [`WebhookChange`].
//!
//! Names and shapes are the contract's, which are the seed's. Invariant: a member that is not known is
//! refused, so that nothing unknown is ever applied. What the values must be is checked after this, in
//! `validate.rs`, for JSON and for Rust callers alike.

use vai_webhooks_wire::WebhookId;

use super::retry::{RetryPolicy, SEED_ATTEMPTS, SEED_BACKOFF_MS, WAIT_MS_MAX};
use super::{Format, NewWebhook, WebhookChange, WebhookConfig, transform};
use crate::error::FieldProblem;
use crate::fields::{Field, Fields};

const KNOWN_NEW: &str = "id, url, events, channels, secret, ed25519, headers, retryConfig, timeoutMs, format, dataTransform, description and verify";
const KNOWN_CHANGE: &str = "url, events, channels, headers, retryConfig, timeoutMs, format, dataTransform, description and verify (secrets change by rotation)";

impl NewWebhook {
    /// Reads the body of a registration. Every problem is told, each with its place.
    pub fn from_json(body: &[u8]) -> Result<Self, Vec<FieldProblem>> {
        let mut fields = Fields::of_body(body).map_err(|it| vec![it])?;
        let id = fields.optional::<String>("id").and_then(|text| match text.parse::<WebhookId>() {
            Ok(id) => Some(id),
            Err(error) => {
                fields.problem("id", "invalid_id", error.to_string());
                None
            }
        });
        let new = Self {
            id,
            secret: fields.optional("secret"),
            ed25519: fields.optional("ed25519").unwrap_or(false),
            verify: fields.optional("verify").unwrap_or(true),
            transform: transform::read(&mut fields).flatten(),
            config: WebhookConfig {
                channels: fields.optional("channels").unwrap_or_default(),
                headers: fields.optional::<Headers>("headers").map(|Headers(all)| all).unwrap_or_default(),
                retry: retry(&mut fields).unwrap_or_default(),
                description: fields.optional("description"),
                format: format(&mut fields).unwrap_or_default(),
                ..WebhookConfig::new(
                    fields.required::<String>("url").unwrap_or_default(),
                    fields.required::<Vec<String>>("events").unwrap_or_default(),
                )
            },
        };
        let timeout_ms = timeout_ms(&mut fields).unwrap_or(new.config.timeout_ms);
        let config = WebhookConfig { timeout_ms, ..new.config };
        done(Self { config, ..new }, fields, KNOWN_NEW)
    }
}

impl WebhookChange {
    /// Reads the body of an update. Every problem is told, each with its place.
    pub fn from_json(body: &[u8]) -> Result<Self, Vec<FieldProblem>> {
        let mut fields = Fields::of_body(body).map_err(|it| vec![it])?;
        let change = Self {
            url: fields.optional("url"),
            events: fields.optional("events"),
            channels: fields.optional("channels"),
            headers: fields.optional::<Headers>("headers").map(|Headers(all)| all),
            retry: retry(&mut fields),
            timeout_ms: timeout_ms(&mut fields),
            description: description_change(&mut fields),
            format: format(&mut fields),
            transform: transform::read(&mut fields),
            verify: fields.optional("verify"),
        };
        done(change, fields, KNOWN_CHANGE)
    }
}

fn done<T>(value: T, fields: Fields<'_>, known: &str) -> Result<T, Vec<FieldProblem>> {
    let problems = fields.finish(known);
    if problems.is_empty() { Ok(value) } else { Err(problems) }
}

fn timeout_ms(fields: &mut Fields<'_>) -> Option<u32> {
    fields.optional::<u64>("timeoutMs").map(|ms| u32::try_from(ms).unwrap_or(u32::MAX))
}

fn format(fields: &mut Fields<'_>) -> Option<Format> {
    let name = fields.optional::<String>("format")?;
    let named = Format::ALL.into_iter().find(|format| format.as_str() == name);
    if named.is_none() {
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
        fields.problem("format", "unknown_value", format!("must be one of {}", names.join(", ")));
    }
    named
}

/// Absent: no change. `null`: taken away.
fn description_change(fields: &mut Fields<'_>) -> Option<Option<String>> {
    let text = Option::<String>::read(fields.raw("description")?);
    if text.is_none() {
        fields.problem("description", "wrong_type", format!("must be {}", Option::<String>::SHAPE));
    }
    text
}

impl Field for Option<String> {
    const SHAPE: &'static str = "a string or null";

    fn read(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }
}

struct Headers(Vec<(String, String)>);

impl Field for Headers {
    const SHAPE: &'static str = "an object of header names and their values, all strings";

    fn read(json: &str) -> Option<Self> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).ok()?;
        let text = |(name, value)| match value {
            serde_json::Value::String(value) => Some((name, value)),
            _ => None,
        };
        object.into_iter().map(text).collect::<Option<Vec<_>>>().map(Headers)
    }
}

/// `retryConfig`: the seed's `maxAttempts` and `backoffMs` with `maxBackoffMs`, or a `schedule` of waits.
fn retry(fields: &mut Fields<'_>) -> Option<RetryPolicy> {
    let raw = fields.raw("retryConfig").filter(|raw| *raw != "null")?;
    let mut inner = match Fields::of(raw, "/retryConfig") {
        Ok(inner) => inner,
        Err(problem) => {
            fields.problems.push(problem);
            return None;
        }
    };
    let attempts = inner.optional::<u64>("maxAttempts");
    let backoff_ms = inner.optional::<u64>("backoffMs");
    let max_backoff_ms = inner.optional::<u64>("maxBackoffMs");
    let schedule = inner.optional::<Vec<u64>>("schedule");
    if schedule.is_some() && (attempts.is_some() || backoff_ms.is_some() || max_backoff_ms.is_some()) {
        let detail = "stands in place of maxAttempts, backoffMs and maxBackoffMs; give the one or the others";
        inner.problem("schedule", "conflicts", detail);
    }
    let policy = match schedule {
        Some(schedule) => RetryPolicy::Schedule { schedule },
        None => {
            let backoff_ms = backoff_ms.unwrap_or(SEED_BACKOFF_MS);
            RetryPolicy::Backoff {
                max_attempts: attempts.map_or(SEED_ATTEMPTS, |many| u32::try_from(many).unwrap_or(u32::MAX)),
                backoff_ms,
                max_backoff_ms: max_backoff_ms.unwrap_or(WAIT_MS_MAX),
            }
        }
    };
    let problems = inner.finish("maxAttempts, backoffMs, maxBackoffMs and schedule");
    let good = problems.is_empty();
    fields.problems.extend(problems);
    good.then_some(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(problems: Vec<FieldProblem>) -> Vec<(String, &'static str)> {
        problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    #[test]
    fn the_seeds_configuration_is_read() {
        let body = br#"{"id":"crm","url":"https://example.com/h","events":["message.*"],"secret":"s3cret",
            "headers":{"X-Key":"k"},"retryConfig":{"maxAttempts":5,"backoffMs":500},"dataTransform":null}"#;
        let new = NewWebhook::from_json(body).unwrap();
        assert_eq!(new.id.unwrap().as_str(), "crm");
        assert_eq!(new.config.headers, [("X-Key".to_owned(), "k".to_owned())]);
        let expected = RetryPolicy::Backoff { max_attempts: 5, backoff_ms: 500, max_backoff_ms: WAIT_MS_MAX };
        assert_eq!(new.config.retry, expected);
    }

    #[test]
    fn every_problem_of_a_registration_is_told() {
        let body =
            br#"{"events":"x","retryConfig":{"maxAttempts":-1,"extra":1},"unknown":1,"dataTransform":{"onError":"x","version":1,"code":"e => e"}}"#;
        let found = pointers(NewWebhook::from_json(body).unwrap_err());
        let expected = [
            ("/dataTransform/onError", "unknown_value"),
            ("/dataTransform/version", "conflicts"),
            ("/retryConfig/maxAttempts", "wrong_type"),
            ("/retryConfig/extra", "unknown_field"),
            ("/url", "missing"),
            ("/events", "wrong_type"),
            ("/unknown", "unknown_field"),
        ];
        assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    }

    #[test]
    fn an_update_knows_its_fields() {
        let found = pointers(WebhookChange::from_json(br#"{"status":"active","stats":{}}"#).unwrap_err());
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(_, code)| *code == "unknown_field"));
        let change = WebhookChange::from_json(br#"{"description":null}"#).unwrap();
        assert_eq!(change.description, Some(None));
    }
}
