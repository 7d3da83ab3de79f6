//! One request to an inline receiver: read, verify, claim, handle, note, answer.
//!
//! It exists as the way of an event where there is no inbox. The work after the claim is a task of its own, so that a
//! client that goes away leaves no claim behind. What has no id in its body is noted under its bytes too, so that the
//! legacy signature alone cannot bring it in again (see `accept.rs`). Read `seen.rs` next.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use vai_webhooks_wire::UnixMs;

use super::{Claim, Inline, SeenError, Shared};
use crate::accept::{Accepted, accept, sha256_identity};
use crate::event::Event;
use crate::intake::{body, refused};
use crate::route::HandlerError;
use crate::typed::BadData;

pub(super) async fn route(State(inline): State<Inline>, request: Request) -> Response {
    inline.answer(request).await
}

impl Inline {
    /// Handles a request whose path and method were looked at.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let shared = &self.0;
        let (parts, body) = request.into_parts();
        let limits = &shared.limits;
        let read =
            body::read(&parts.headers, body, limits.body_bytes_max, limits.body_timeout_ms, &shared.memory)
                .await;
        let now = UnixMs::now();
        let taken = read.and_then(|read| {
            let accepted = accept(&shared.verifier, &parts.headers, &read.body, now)?;
            Ok((accepted, read))
        });
        let (accepted, read) = match taken {
            Ok(taken) => taken,
            Err(refusal) => {
                tracing::warn!(code = refusal.code(), reason = %refusal, "request refused");
                return refused(&refusal);
            }
        };
        let webhook_id = parts.headers.get("x-vai-webhook-id").and_then(|value| value.to_str().ok());
        let event = Event {
            id: accepted.identity.clone(),
            event_type: accepted.event_type.clone(),
            webhook_id: webhook_id.map(str::to_owned),
            scheme: accepted.scheme.to_owned(),
            received_at: now,
            body: read.body,
        };
        let work = tokio::spawn(claim_and_handle(shared.clone(), accepted, event));
        let answer = work.await.unwrap_or_else(|_| failed());
        drop(read.memory);
        answer
    }
}

async fn claim_and_handle(shared: Arc<Shared>, accepted: Accepted, event: Event) -> Response {
    let id = event.id.clone();
    match shared.seen.claim(&id, UnixMs::now()).await {
        Ok(Claim::Yours) => {}
        Ok(Claim::Done) => return received(),
        Ok(Claim::Busy) => return later("Another request is at this event, try again"),
        Err(error) => return not_there(&error),
    }
    if let Err(error) = shared.routes.try_run(event).await {
        tracing::error!(%id, %error, "a handler did not finish");
        // Where this fails the claim ends by itself.
        let _released: Result<(), SeenError> = shared.seen.release(&id).await;
        return answer_of(&error);
    }
    let now = UnixMs::now();
    if let Err(error) = shared.seen.done(&id, now).await {
        return not_there(&error);
    }
    let bytes = accepted.body_sha256.map(|digest| sha256_identity(&digest)).filter(|bytes| *bytes != id);
    if let Some(bytes) = bytes
        && let Err(error) = shared.seen.done(&bytes, now).await
    {
        return not_there(&error);
    }
    received()
}

fn received() -> Response {
    Json(json!({"received": true})).into_response()
}

fn answer_of(error: &HandlerError) -> Response {
    match error.downcast_ref::<BadData>() {
        Some(bad) => (StatusCode::BAD_REQUEST, Json(json!({"error": bad.to_string()}))).into_response(),
        None => failed(),
    }
}

fn failed() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": "The event was not handled, try again"})))
        .into_response()
}

fn not_there(error: &SeenError) -> Response {
    tracing::error!(%error, "an event was not taken");
    later("Service unavailable, try again")
}

fn later(what: &str) -> Response {
    let mut answer = (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": what}))).into_response();
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}
