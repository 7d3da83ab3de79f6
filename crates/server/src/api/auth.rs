//! Who calls: the key in `Authorization` decides for which tenant.
//!
//! A tenant's key acts for that tenant alone; an admin key for any, named in `X-VAI-Tenant`, or
//! `default`. Read `input.rs` next.

use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use vai_webhooks_engine::{DEFAULT_TENANT, Principal, TenantId, TenantName, TenantNameError};

use super::Api;
use super::problem::Problem;

static TENANT_HEADER: HeaderName = HeaderName::from_static("x-vai-tenant");
/// Read once: most calls name no tenant.
static DEFAULT: LazyLock<Result<TenantName, TenantNameError>> = LazyLock::new(|| DEFAULT_TENANT.parse());

/// The tenant that a call is for.
pub(crate) struct Caller(pub(crate) TenantId);

/// Proof that an admin key was given.
pub(crate) struct Admin;

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        Self::of(&parts.headers, api).await
    }
}

impl Caller {
    /// Who calls with these headers.
    pub(crate) async fn of(headers: &HeaderMap, api: &Api) -> Result<Self, Problem> {
        let principal = principal(headers, api)?;
        let named = named(headers)?;
        match (principal, named) {
            (Principal::Tenant(id), None) => Ok(Self(id)),
            (Principal::Tenant(id), Some(name)) if api.engine.tenant_name(id).as_ref() == Some(&name) => {
                Ok(Self(id))
            }
            (Principal::Tenant(_), Some(_)) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "wrong_tenant",
                "this key acts for another tenant than X-VAI-Tenant names; leave the header out",
            )),
            (Principal::Admin, name) => {
                let name = match &name {
                    Some(name) => name,
                    None => default_tenant()?,
                };
                Ok(Self(api.engine.tenant(name).await?))
            }
        }
    }
}

impl FromRequestParts<Api> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match principal(&parts.headers, api)? {
            Principal::Admin => Ok(Self),
            Principal::Tenant(_) => {
                Err(Problem::new(StatusCode::FORBIDDEN, "admin_only", "this call needs an admin key"))
            }
        }
    }
}

fn principal(headers: &HeaderMap, api: &Api) -> Result<Principal, Problem> {
    let unauthorized = |code, detail: &str| Problem::new(StatusCode::UNAUTHORIZED, code, detail);
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return Err(unauthorized("no_key", "an API key is needed: Authorization: Bearer <key>"));
    };
    let given = given.to_str().unwrap_or_default();
    let key = match given.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => return Err(unauthorized("no_key", "the key goes like this: Authorization: Bearer <key>")),
    };
    api.engine
        .authenticate(key)
        .ok_or_else(|| unauthorized("unknown_key", "this API key is unknown, was revoked, or has expired"))
}

fn named(headers: &HeaderMap) -> Result<Option<TenantName>, Problem> {
    let Some(value) = headers.get(&TENANT_HEADER) else { return Ok(None) };
    let name = value.to_str().unwrap_or_default().parse::<TenantName>();
    name.map(Some).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_tenant", format!("X-VAI-Tenant: {error}"))
    })
}

fn default_tenant() -> Result<&'static TenantName, Problem> {
    DEFAULT
        .as_ref()
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "invalid_tenant", "name a tenant in X-VAI-Tenant"))
}
