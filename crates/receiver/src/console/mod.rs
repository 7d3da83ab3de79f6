//! The routes about the receiver itself: health, status, metrics, each sink's dead letters, and summaries.
//!
//! They exist for its owner, beside the one route for senders. Invariants: but for health and the empty page, each asks
//! for the key (`Authorization: Bearer …`); without one in the configuration they are closed; every answer is JSON but the metrics
//! and the page. Read `status.rs` next.

mod access;
mod metrics;
mod page;
mod sinks;
mod status;
mod summary;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::request::Parts;
use serde_json::json;

pub use access::{AccessKey, AccessKeyError};

use crate::intake::method_not_allowed;
use crate::receiver::Shared;

/// Makes the router.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let summaries = Router::new()
        .route("/conversations/{sessionId}", get(summary::conversation))
        .route("/agents/{agentId}/metrics", get(summary::metrics));
    let closed = if shared.summaries { summaries } else { Router::new() };
    let closed = closed
        .route("/webhook/status", get(status::status))
        .route("/webhook/recent", get(page::recent))
        .route("/metrics", get(metrics::metrics))
        .route("/sinks/{name}/dead-letters", get(sinks::dead_letters))
        .route("/sinks/{name}/replay", post(sinks::replay))
        .route("/sinks/{name}/discard", post(sinks::discard))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(shared.clone(), access::check));
    let open = Router::new()
        .route("/", get(page::page))
        .route("/health", get(status::health))
        .route("/health/live", get(status::live))
        .route("/health/ready", get(status::ready))
        .method_not_allowed_fallback(method_not_allowed);
    closed.merge(open).with_state(shared)
}

/// A name in the path.
struct Named(String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(problem(StatusCode::BAD_REQUEST, "The name in the path is not UTF-8")),
        }
    }
}

/// An answer that says what is wrong.
fn problem(status: StatusCode, what: &str) -> Response {
    (status, Json(json!({"error": what}))).into_response()
}
