//! What a signed link leads to: the data of an event that a webhook got in the format `thin`.
//!
//! The link is the key: there is no other. Read `shapes.rs` next.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::Api;
use super::input::json_text;
use super::problem::Problem;

/// Fetch an event by its link
///
/// The link is in the body of deliveries of webhooks with the format `thin`. It needs no key, and is good until some
/// time (a week, if not configured) after the delivery's latest attempt.
#[utoipa::path(get, path = "/v1/links/{token}", tag = "events", security(()),
    params(("token" = String, Path, description = "The last part of the link")),
    responses((status = 200, description = "The envelope", body = super::document::EnvelopeOutput),
        (status = 404, body = Problem), (status = 410, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn read(State(api): State<Api>, Path(token): Path<String>) -> Result<Response, Problem> {
    let event = api.engine.linked_event(&token).await?;
    let damaged = |_| {
        Problem::new(http::StatusCode::INTERNAL_SERVER_ERROR, "damaged", "the stored event cannot be read")
    };
    let text = String::from_utf8(event.body.to_vec()).map_err(damaged)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], json_text(text)).into_response())
}
