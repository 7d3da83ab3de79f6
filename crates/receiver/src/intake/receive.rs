//! `POST /webhooks/vai`: read, verify, store, answer, in this order.
//!
//! It exists as the one place where a request becomes a stored event. Invariant: the only way to the
//! answer 200 leads through a `Committed`. What is answered is counted, logged with the reason's code
//! and shown to the observer; the text of a body never is. Read `accept.rs` next.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use vai_webhooks_wire::UnixMs;

use super::body;
use crate::accept::{Accepted, accept};
use crate::observe::{Observation, Outcome};
use crate::receiver::Shared;
use crate::refusal::Refusal;
use crate::store::{Committed, NewEvent, Stored};

/// What a sender is told to wait where we are the ones who cannot.
const RETRY_AFTER_SECS: u32 = 5;

pub(super) async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, request).await
}

/// Takes a request whose path and method were looked at.
pub(crate) async fn answer(shared: &Shared, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut seen = Seen::new(&parts.headers);
    let result = take(shared, &parts.headers, body, &mut seen).await;
    let outcome = match &result {
        Ok(Committed { stored: Stored::First, .. }) => Outcome::Stored,
        Ok(Committed { stored: Stored::Duplicate { same_body }, .. }) => {
            if !same_body {
                tracing::warn!(id = seen.id(), "an id came again with another body: the first is kept");
            }
            Outcome::Duplicate
        }
        Err(refusal) => {
            tracing::warn!(code = refusal.code(), reason = %refusal, "request refused");
            shared.rejected.count(refusal.code());
            Outcome::Refused { status: refusal.status(), code: refusal.code() }
        }
    };
    if let Some(observer) = &shared.observer {
        observer(&seen.observation(outcome));
    }
    match result {
        Ok(committed) => received(committed),
        Err(refusal) => refused(&refusal),
    }
}

async fn take(
    shared: &Shared,
    headers: &HeaderMap,
    body: axum::body::Body,
    seen: &mut Seen,
) -> Result<Committed, Refusal> {
    let limits = &shared.limits;
    let read =
        body::read(headers, body, limits.body_bytes_max, limits.body_timeout_ms, &shared.memory).await?;
    let now = UnixMs::now();
    let accepted = accept(&shared.verifier, headers, &read.body, now)?;
    let accepted = seen.accepted.insert(accepted);
    let event = NewEvent {
        identity: accepted.identity.clone(),
        body_sha256: accepted.body_sha256,
        same_body_is_same_event: accepted.same_body_is_same_event,
        event_type: accepted.event_type.clone(),
        webhook_id: seen.webhook_id.clone(),
        scheme: accepted.scheme,
        received_at_ms: now.0,
        body: read.body,
        memory: read.memory,
    };
    Ok(shared.store.put(event).await?)
}

/// The proof is taken, so that this cannot be called without one.
fn received(_on_disk: Committed) -> Response {
    const BODY: &str = r#"{"received":true}"#;
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], BODY).into_response()
}

/// The answer to what was not taken.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    let status = refusal.status();
    let mut response = (status, Json(json!({"error": refusal.public_text()}))).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECS.into());
    }
    response
}

/// What is known of a request so far, for the observer.
struct Seen {
    webhook_id: Option<String>,
    attempt: Option<u32>,
    accepted: Option<Accepted>,
}

impl Seen {
    fn new(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            webhook_id: text("x-vai-webhook-id").map(str::to_owned),
            attempt: text("x-vai-attempt").and_then(|digits| digits.parse().ok()),
            accepted: None,
        }
    }

    fn id(&self) -> Option<&str> {
        self.accepted.as_ref().map(|accepted| accepted.identity.as_str())
    }

    fn observation(&self, outcome: Outcome) -> Observation<'_> {
        Observation {
            event_type: self.accepted.as_ref().map(|accepted| accepted.event_type.as_str()),
            event_id: self.id(),
            attempt: self.attempt,
            webhook_id: self.webhook_id.as_deref(),
            scheme: self.accepted.as_ref().map(|accepted| accepted.scheme),
            outcome,
        }
    }
}
