//! `GET /health` and `GET /webhook/status`.
//!
//! They exist because the seed answers both; here they are true. Health asks the store's writer itself;
//! the status reads the counts of the last commit. Invariant: neither waits longer than
//! [`HEALTH_WAIT_MS`]. Read `store/totals.rs` next.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Map, Value, json};
use vai_webhooks_wire::UnixMs;

use crate::receiver::Shared;
use crate::store::Kind;

/// How long the store may take to say that it is there.
const HEALTH_WAIT_MS: u64 = 2_000;

/// 200 `healthy`, or 503 `unhealthy` where the store does not answer.
pub(super) async fn health(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    let (code, status) = match shared.store.probe(HEALTH_WAIT_MS).await {
        Ok(()) => (StatusCode::OK, "healthy"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    (code, Json(json!({"status": status, "timestamp": UnixMs::now().to_string()})))
}

/// The seed's shape with true numbers. `totalReceived`, `duplicates`, `total` and `lastReceived` count
/// since the store was made; `rejected` counts since this process started.
pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let totals = shared.store.totals();
    let by_kind: Map<String, Value> =
        Kind::ALL.iter().map(|kind| (kind.name().to_owned(), totals.get(*kind).received.into())).collect();
    let sum = totals.sum();
    Json(json!({
        "status": if *shared.store.down().borrow() { "failed" } else { "active" },
        "lastReceived": totals.last_received_ms.map(|at| UnixMs(at).to_string()),
        "totalReceived": by_kind,
        "total": sum.received,
        "duplicates": sum.duplicates,
        "rejected": shared.rejected.by_code(),
    }))
}
