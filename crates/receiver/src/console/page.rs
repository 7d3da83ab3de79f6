//! `GET /`: a page that shows what comes in, live, and how each sink is; and what it asks for.
//!
//! It exists for who has no tool but a browser. The page itself holds nothing of anybody, so it needs no key; what it
//! shows it asks for with the key that its reader gives it, which stays in the browser's tab. Invariant: nothing is
//! loaded from elsewhere, and no text of an event becomes markup. Read `page.html` next.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use vai_webhooks_wire::UnixMs;

use super::problem;
use crate::receiver::Shared;

/// Events of one answer.
const EVENTS_MAX: i64 = 100;

const PAGE: &str = include_str!("page.html");

/// Its own style and script, and calls to where it came from: nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page.
pub(super) async fn page() -> Response {
    let headers = [
        (HeaderName::from_static("content-security-policy"), HeaderValue::from_static(POLICY)),
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
        (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
    ];
    (headers, Html(PAGE)).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    after: Option<i64>,
}

/// The newest events after `?after=`, newest first, without what is in them.
pub(super) async fn recent(
    State(shared): State<Arc<Shared>>,
    after: Result<Query<After>, QueryRejection>,
) -> Response {
    let Ok(Query(After { after })) = after else {
        return problem(StatusCode::BAD_REQUEST, "The query takes the number after");
    };
    let after = after.unwrap_or(0);
    match shared.store.look(move |reader| reader.newest(after, EVENTS_MAX)).await {
        Ok(seen) => {
            let data: Vec<Value> = seen
                .into_iter()
                .map(|seen| {
                    json!({
                        "seq": seen.seq,
                        "id": seen.id,
                        "event": seen.event_type,
                        "webhookId": seen.webhook_id,
                        "scheme": seen.scheme,
                        "receivedAt": UnixMs(seen.received_at_ms).to_string(),
                        "bytes": seen.bytes,
                    })
                })
                .collect();
            Json(json!({"data": data})).into_response()
        }
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, &format!("Try again: {error}")),
    }
}
