//! API keys, managed with an admin key.
//!
//! Read `health.rs` next.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use vai_webhooks_engine::{ApiKey, TenantName};
use vai_webhooks_wire::UnixMs;

use super::Api;
use super::auth::{Admin, Caller};
use super::input::{Id, IdempotencyKey, Members, Posted};
use super::problem::Problem;

/// An API key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    id: String,
    /// The key's first characters, to know it by.
    starts_with: String,
    /// The tenant it acts for; `null` for an admin key.
    tenant: Option<String>,
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: UnixMs,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<UnixMs>,
    /// The key itself; in the answer to its making only.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl Key {
    fn of(key: ApiKey) -> Self {
        Self {
            id: key.id,
            starts_with: key.starts_with,
            tenant: key.tenant.map(|name| name.to_string()),
            name: key.name,
            created_at: key.created_at,
            expires_at: key.expires_at,
            key: None,
        }
    }
}

/// All keys.
#[derive(Serialize, ToSchema)]
pub(super) struct Keys {
    data: Vec<Key>,
    next: Option<String>,
}

/// Make an API key
///
/// For the tenant that `X-VAI-Tenant` names (or `default`), or with `"admin": true` an admin key. Needs
/// an admin key.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = Option<super::document::KeyInput>,
    responses((status = 201, body = Key), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    _admin: Admin,
    Caller(tenant): Caller,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Posted(body): Posted,
) -> Result<Response, Problem> {
    if idempotency_key.is_some() {
        let detail = "a key is shown once and never again, so that this call cannot be repeated: leave \
                      Idempotency-Key out, and revoke a key whose answer was lost";
        return Err(Problem::field("", "no_idempotency", detail));
    }
    let mut members = Members::read(&body, &["name", "admin", "expiresAt", "tenant"])?;
    let name = members.take::<String>("name", "a string")?.unwrap_or_default();
    let admin = members.take::<bool>("admin", "true or false")?.unwrap_or(false);
    let expires_at = members.take::<UnixMs>("expiresAt", "a time as 2026-01-31T12:00:00Z")?;
    let tenant = match members.take::<String>("tenant", "the name of a tenant")? {
        _ if admin => None,
        None => Some(tenant),
        Some(text) => {
            let invalid = |error: vai_webhooks_engine::TenantNameError| {
                Problem::field("/tenant", "invalid_tenant", error.to_string())
            };
            let named: TenantName = text.parse().map_err(invalid)?;
            Some(api.engine.tenant(&named).await?)
        }
    };
    let (key, text) = api.engine.create_key(tenant, &name, expires_at).await?;
    let shape = Key { key: Some(text), ..Key::of(key) };
    Ok((StatusCode::CREATED, Json(shape)).into_response())
}

/// List API keys
///
/// All of them, newest first. Needs an admin key.
#[utoipa::path(get, path = "/v1/keys", tag = "keys",
    responses((status = 200, body = Keys), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(api): State<Api>, _admin: Admin) -> Json<Keys> {
    let data = api.engine.api_keys(None).into_iter().map(Key::of).collect();
    Json(Keys { data, next: None })
}

/// Revoke an API key
///
/// At once. Needs an admin key.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys", params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn revoke(
    State(api): State<Api>,
    _admin: Admin,
    Id(id): Id<String>,
) -> Result<StatusCode, Problem> {
    api.engine.revoke_key(None, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
