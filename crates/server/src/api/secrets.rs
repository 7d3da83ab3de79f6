//! A webhook's secret: read it, rotate it.
//!
//! Read `events.rs` next.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vai_webhooks_engine::ROTATION_GRACE_MS;
use vai_webhooks_wire::WebhookId;

use super::Api;
use super::auth::Caller;
use super::input::{Id, IdempotencyKey, Members, Posted};
use super::problem::Problem;
use super::shapes::Webhook;

/// A webhook's secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secret {
    webhook_id: String,
    /// The secret that signs; after a rotation, the new one.
    secret: String,
}

/// Read the secret
#[utoipa::path(get, path = "/v1/webhooks/{id}/secret", tag = "secrets", params(("id" = String, Path)),
    responses((status = 200, body = Secret), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn read(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
) -> Result<Json<Secret>, Problem> {
    let secret = api.engine.secret(tenant, &id)?.expose().to_owned();
    Ok(Json(Secret { webhook_id: id.to_string(), secret }))
}

/// Rotate the secret
///
/// The old secret goes on signing beside the new one for `gracePeriodMs` (a day, if not said); with 0
/// it ends at once. `X-VAI-Signature`, which has room for one, stays with the old one until then.
#[utoipa::path(post, path = "/v1/webhooks/{id}/secret/rotate", tag = "secrets", params(("id" = String, Path),
    ("Idempotency-Key" = Option<String>, Header, description = "Repeats of the same call rotate once")),
    request_body = Option<super::document::RotateInput>,
    responses((status = 200, body = Webhook), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn rotate(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
    IdempotencyKey(key): IdempotencyKey,
    Posted(body): Posted,
) -> Result<Json<Webhook>, Problem> {
    let mut members = Members::read(&body, &["secret", "gracePeriodMs"])?;
    let secret = members.take::<String>("secret", "a string")?;
    let grace_ms = members.take::<i64>("gracePeriodMs", "a whole number of milliseconds")?;
    let grace_ms = grace_ms.unwrap_or(ROTATION_GRACE_MS);
    let idempotency = key.as_deref().map(|key| (key, &body[..]));
    let (webhook, secret) = api.engine.rotate_secret(tenant, &id, secret, grace_ms, idempotency).await?;
    Ok(Json(Webhook::with_secret(&webhook, &secret)))
}
