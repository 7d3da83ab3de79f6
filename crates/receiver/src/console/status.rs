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

use crate::inbox::{SinkNumbers, SinkState};
use crate::receiver::Shared;
use crate::store::Kind;

/// How long the store may take to say that it is there.
const HEALTH_WAIT_MS: u64 = 2_000;

/// 200 `healthy`, or `degraded` where sinks are failing (their events wait, others come in); 503 `unhealthy` where the
/// store does not answer.
pub(super) async fn health(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    let ready = shared.store.probe(HEALTH_WAIT_MS).await.is_ok();
    let states = shared.inbox.states();
    let failing = states.iter().filter(|state| state.numbers().failing_since_ms.is_some()).count();
    let (code, status) = match (ready, failing) {
        (true, 0) => (StatusCode::OK, "healthy"),
        (true, _) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    let timestamp = UnixMs::now().to_string();
    let sinks = json!({"total": states.len(), "failing": failing});
    (code, Json(json!({"status": status, "timestamp": timestamp, "ready": ready, "sinks": sinks})))
}

/// 200: the process serves requests.
pub(super) async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

/// 200 where events can be stored, 503 where not. Sinks do not count: events wait for them.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    let ready = shared.store.probe(HEALTH_WAIT_MS).await.is_ok();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({"ready": ready})))
}

/// The seed's shape with true numbers. `totalReceived`, `duplicates`, `total` and `lastReceived` count
/// since the store was made; `rejected` counts since this process started. Of each sink: how many stored events it
/// is not done with yet (`waiting`, those of other types counted too), how long ago the oldest of them arrived
/// (`lagMs`), and how it is. `derived` says for how many events rules and summaries are behind.
pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let totals = shared.store.totals();
    let by_kind: Map<String, Value> =
        Kind::ALL.iter().map(|kind| (kind.name().to_owned(), totals.get(*kind).received.into())).collect();
    let sum = totals.sum();
    let mut sinks = Vec::new();
    for state in shared.inbox.states() {
        sinks.push(sink(&shared, state).await);
    }
    Json(json!({
        "status": if *shared.store.down().borrow() { "failed" } else { "active" },
        "lastReceived": totals.last_received_ms.map(|at| UnixMs(at).to_string()),
        "totalReceived": by_kind,
        "total": sum.received,
        "duplicates": sum.duplicates,
        "rejected": shared.rejected.by_code(),
        "derived": {"waiting": shared.inbox.derive_waits()},
        "sinks": sinks,
        "startedAt": shared.started_at.to_string(),
    }))
}

async fn sink(shared: &Shared, state: &SinkState) -> Value {
    let SinkNumbers { taken_to, taken, dead, replays, failing_since_ms, tries, error, last_taken_ms } =
        state.numbers();
    let time = |at: Option<i64>| at.map(|at| UnixMs(at).to_string());
    let waiting = (*shared.store.stored_to().borrow() - taken_to).max(0);
    let oldest = match waiting {
        0 => None,
        _ => shared.store.look(move |reader| reader.received_after(taken_to)).await.ok().flatten(),
    };
    json!({
        "name": &**state.name(),
        "kind": state.kind(),
        "status": if failing_since_ms.is_some() { "failing" } else { "active" },
        "waiting": waiting,
        "lagMs": oldest.map_or(0, |at| (UnixMs::now().0 - at).max(0)),
        "taken": taken,
        "deadLetters": dead,
        "replaying": replays,
        "lastTaken": time(last_taken_ms),
        "failingSince": time(failing_since_ms),
        "failedTries": tries,
        "lastError": error,
    })
}
