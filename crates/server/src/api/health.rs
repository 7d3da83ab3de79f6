//! `/health`: alive, and ready to accept.
//!
//! Read `metrics.rs` next.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vai_webhooks_wire::UnixMs;

use super::Api;
use super::problem::Problem;

/// The server is well.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `healthy`: anything else is a problem with status 503.
    status: &'static str,
    version: &'static str,
    #[schema(value_type = String, format = DateTime)]
    timestamp: UnixMs,
}

/// Ask whether the server is well
///
/// Reads the store, and says whether events are being accepted.
#[utoipa::path(get, path = "/health", tag = "server", security(()),
    responses((status = 200, body = Health), (status = 503, body = Problem)))]
pub(super) async fn read(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    api.engine.ready().await?;
    Ok(Json(Health { status: "healthy", version: env!("CARGO_PKG_VERSION"), timestamp: api.engine.now() }))
}
