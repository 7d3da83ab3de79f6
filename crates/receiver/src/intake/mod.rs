//! The route of the contract, as an axum router that can stand alone or be merged into another.
//!
//! It exists to keep HTTP out of the rest. Invariants: `POST /webhooks/vai` answers 200 only with a
//! [`Committed`](crate::store::Committed) in hand; every answer is JSON; 405 names what is allowed.
//! Read `receive.rs` next.

pub(crate) mod body;
mod receive;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use serde_json::json;

pub(crate) use body::BODIES_BYTES_MAX;
pub(crate) use receive::{answer, refused};

use crate::receiver::Shared;

/// Makes the router.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/webhooks/vai", post(receive::receive))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(shared)
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": "Not found"}))).into_response()
}

/// Axum adds `Allow`.
pub(crate) async fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({"error": "Method not allowed"}))).into_response()
}
