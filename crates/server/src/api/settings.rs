//! A tenant's settings: what holds for all of its events.
//!
//! Any key of the tenant may read and change them, as it may its webhooks. Read `event_types.rs` next.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vai_webhooks_engine::catalog::CheckMode;

use super::Api;
use super::auth::Caller;
use super::input::{Members, Posted};
use super::problem::Problem;

/// A tenant's settings.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    /// What happens to events whose data is not as the schema of their type has it: `off`, nothing is checked; `warn`,
    /// they are accepted, and the answer says what is wrong; `enforce`, they are refused.
    event_schemas: &'static str,
}

/// Read the settings
#[utoipa::path(get, path = "/v1/settings", tag = "catalog",
    responses((status = 200, body = Settings), (status = 401, body = Problem)))]
pub(super) async fn read(State(api): State<Api>, Caller(tenant): Caller) -> Json<Settings> {
    Json(Settings { event_schemas: api.engine.check_mode(tenant).as_str() })
}

/// Change the settings
///
/// Events that are posted once this is answered are held to them.
#[utoipa::path(patch, path = "/v1/settings", tag = "catalog", request_body = super::document::SettingsInput,
    responses((status = 200, body = Settings), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn change(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Posted(body): Posted,
) -> Result<Json<Settings>, Problem> {
    let mut members = Members::read(&body, &["eventSchemas"])?;
    if let Some(name) = members.take::<String>("eventSchemas", "off, warn or enforce")? {
        let mode = CheckMode::named(&name)
            .ok_or_else(|| Problem::field("/eventSchemas", "out_of_range", "must be off, warn or enforce"))?;
        api.engine.set_check_mode(tenant, mode).await?;
    }
    Ok(read(State(api), Caller(tenant)).await)
}
