//! The catalog as documents: OpenAPI 3.1 with `webhooks`, and AsyncAPI 3.
//!
//! For consumers, to generate their code from. Read `settings.rs` next.

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use vai_webhooks_engine::TenantId;
use vai_webhooks_engine::catalog;

use super::Api;
use super::auth::Caller;
use super::problem::Problem;

/// Read the catalog as an OpenAPI document
///
/// OpenAPI 3.1; each event type is one of its `webhooks`.
#[utoipa::path(get, path = "/v1/catalog/openapi.json", tag = "catalog",
    responses((status = 200, body = Value), (status = 401, body = Problem)))]
pub(super) async fn openapi(State(api): State<Api>, Caller(tenant): Caller) -> Result<Json<Value>, Problem> {
    let types = api.engine.described(tenant).await?;
    Ok(Json(catalog::openapi(&title(&api, tenant), &types)))
}

/// Read the catalog as an AsyncAPI document
///
/// AsyncAPI 3; each event type is a message of one channel.
#[utoipa::path(get, path = "/v1/catalog/asyncapi.json", tag = "catalog",
    responses((status = 200, body = Value), (status = 401, body = Problem)))]
pub(super) async fn asyncapi(State(api): State<Api>, Caller(tenant): Caller) -> Result<Json<Value>, Problem> {
    let types = api.engine.described(tenant).await?;
    Ok(Json(catalog::asyncapi(&title(&api, tenant), &types)))
}

fn title(api: &Api, tenant: TenantId) -> String {
    let name = api.engine.tenant_name(tenant);
    format!("Events of {}", name.as_ref().map_or("VAI Webhooks", |name| name.as_str()))
}
