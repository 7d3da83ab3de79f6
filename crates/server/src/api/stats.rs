//! Statistics, in the seed's shape, and true.
//!
//! Read `keys.rs` next.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vai_webhooks_wire::{UnixMs, WebhookId};

use super::Api;
use super::auth::Caller;
use super::input::Id;
use super::problem::Problem;
use super::shapes::masked_url;

/// A webhook's statistics.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookStats {
    webhook_id: String,
    status: &'static str,
    events: Vec<String>,
    stats: Stats,
    /// Values in its query are masked.
    url: String,
}

/// Read a webhook's statistics
#[utoipa::path(get, path = "/v1/webhooks/{id}/stats", tag = "stats", params(("id" = String, Path)),
    responses((status = 200, body = WebhookStats), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn of_webhook(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
) -> Result<Json<WebhookStats>, Problem> {
    let webhook = api.engine.webhook(tenant, &id)?;
    let stats = api.engine.webhook_stats(tenant, &id).await?;
    Ok(Json(WebhookStats {
        webhook_id: id.to_string(),
        status: webhook.status.as_str(),
        url: masked_url(&webhook.config.url),
        events: webhook.config.events,
        stats: Stats::of(&stats),
    }))
}

/// A tenant's statistics.
#[derive(Serialize, ToSchema)]
pub(super) struct TenantStats {
    stats: Stats,
}

/// Read the totals of all webhooks
#[utoipa::path(get, path = "/v1/stats", tag = "stats",
    responses((status = 200, body = TenantStats), (status = 401, body = Problem)))]
pub(super) async fn of_tenant(
    State(api): State<Api>,
    Caller(tenant): Caller,
) -> Result<Json<TenantStats>, Problem> {
    Ok(Json(TenantStats { stats: Stats::of(&api.engine.stats(tenant).await?) }))
}

/// True counts, in the seed's shape.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    /// Deliveries that were taken.
    sent: u64,
    /// Deliveries that ended without being taken.
    failed: u64,
    /// When the last one was taken.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_sent: Option<UnixMs>,
    /// When the last attempt failed.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_failed: Option<UnixMs>,
    /// Deliveries that are not final yet.
    pending: u64,
    /// Deliveries given up: their webhooks were deleted, or their transformations dropped them.
    cancelled: u64,
    /// Attempts made.
    attempts: u64,
}

impl Stats {
    fn of(stats: &vai_webhooks_engine::Stats) -> Self {
        Self {
            sent: stats.sent,
            failed: stats.failed,
            last_sent: stats.last_sent,
            last_failed: stats.last_failed,
            pending: stats.pending,
            cancelled: stats.cancelled,
            attempts: stats.attempts,
        }
    }
}
