//! Webhooks: register, list, read, change, remove, test, stop, start, and their delivery log.
//!
//! Read `secrets.rs` next.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use vai_webhooks_engine::{NewWebhook, WebhookChange};
use vai_webhooks_wire::WebhookId;

use super::Api;
use super::auth::Caller;
use super::input::{Id, IdempotencyKey, Members, Paging, Posted};
use super::problem::Problem;
use super::shapes::{Attempt, Page, TestResult, Webhook};

/// Register a webhook
///
/// Its endpoint must accept a signed `webhook.test` first, unless `"verify": false`. The secret is in
/// the answer.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", request_body = super::document::WebhookInput,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of the same call give the same webhook")),
    responses((status = 201, body = Webhook), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 409, body = Problem, description = "The id is in use, or the idempotency key was used for another call"),
        (status = 422, body = Problem, description = "The endpoint did not accept the test")))]
pub(super) async fn register(
    State(api): State<Api>,
    Caller(tenant): Caller,
    IdempotencyKey(key): IdempotencyKey,
    Posted(body): Posted,
) -> Result<Response, Problem> {
    let new = NewWebhook::from_json(&body).map_err(vai_webhooks_engine::EngineError::Invalid)?;
    let idempotency = key.as_deref().map(|key| (key, &body[..]));
    let registered = api.engine.register(tenant, new, idempotency).await?;
    let location = format!("/v1/webhooks/{}", registered.webhook.id);
    let shape = Webhook::with_secret(&registered.webhook, &registered.secret);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(shape)).into_response())
}

/// List webhooks
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", params(super::document::PageQuery),
    responses((status = 200, body = Page<Webhook>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    Caller(tenant): Caller,
    page: Paging,
) -> Result<Json<Page<Webhook>>, Problem> {
    let page = api.engine.webhooks(tenant, page.cursor.as_deref(), page.limit)?;
    Ok(Json(Page::of(page, Webhook::of)))
}

/// Read a webhook
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = Webhook), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn read(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
) -> Result<Json<Webhook>, Problem> {
    Ok(Json(Webhook::of(&api.engine.webhook(tenant, &id)?)))
}

/// Change a webhook
///
/// Members that are left out stay as they are. A new address must accept a signed `webhook.test` first,
/// unless `"verify": false`.
#[utoipa::path(patch, path = "/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)),
    request_body = super::document::WebhookChangeInput,
    responses((status = 200, body = Webhook), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn change(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
    Posted(body): Posted,
) -> Result<Json<Webhook>, Problem> {
    let change = WebhookChange::from_json(&body).map_err(vai_webhooks_engine::EngineError::Invalid)?;
    Ok(Json(Webhook::of(&api.engine.update(tenant, &id, change).await?)))
}

/// Remove a webhook
///
/// Once this is answered, no attempt starts; what waited for it is cancelled.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
) -> Result<StatusCode, Problem> {
    api.engine.delete(tenant, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a webhook
///
/// Sends `webhook.test` to this webhook alone, whatever it subscribes to, once; answers with the result,
/// good or bad.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = TestResult), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn test(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
    Posted(body): Posted,
) -> Result<Json<TestResult>, Problem> {
    Members::read(&body, &[])?;
    Ok(Json(TestResult::of(&api.engine.test(tenant, &id).await?)))
}

/// Stop a webhook
///
/// Once this is answered, no attempt starts; what arrives meanwhile waits.
#[utoipa::path(post, path = "/v1/webhooks/{id}/pause", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = Webhook), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn pause(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
    Posted(body): Posted,
) -> Result<Json<Webhook>, Problem> {
    Members::read(&body, &[])?;
    Ok(Json(Webhook::of(&api.engine.pause(tenant, &id).await?)))
}

/// Start a stopped or disabled webhook
///
/// What waited goes on.
#[utoipa::path(post, path = "/v1/webhooks/{id}/resume", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = Webhook), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn resume(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
    Posted(body): Posted,
) -> Result<Json<Webhook>, Problem> {
    Members::read(&body, &[])?;
    Ok(Json(Webhook::of(&api.engine.resume(tenant, &id).await?)))
}

/// Read a webhook's delivery log
#[utoipa::path(get, path = "/v1/webhooks/{id}/attempts", tag = "webhooks",
    params(("id" = String, Path), super::document::PageQuery),
    responses((status = 200, body = Page<Attempt>), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn attempts(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
    page: Paging,
) -> Result<Json<Page<Attempt>>, Problem> {
    let page = api.engine.attempts(tenant, &id, page.cursor.as_deref(), page.limit).await?;
    Ok(Json(Page::of(page, Attempt::of)))
}
