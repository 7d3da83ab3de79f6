//! `GET /conversations/{sessionId}` and `GET /agents/{agentId}/metrics`.
//!
//! They exist for programs that want numbers and not SQL. Times are RFC 3339, durations milliseconds; a mean
//! of nothing is `null`. Invariant: one call reads a bounded time ([`HOURS_MAX`]). Read `summary/mod.rs` for
//! what the numbers mean.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};
use vai_webhooks_wire::UnixMs;

use super::{Named, problem};
use crate::receiver::Shared;
use crate::store::derived::open_to_read;
use crate::store::derived::summary::{self, AgentHour};
use crate::summary::{Conversation, HOUR_MS, Hour, Latest, Mean};

/// The most hours of one answer: a month.
const HOURS_MAX: i64 = 31 * 24;
/// The hours of an answer where the question names no time.
const HOURS_DEFAULT: i64 = 24;

/// One conversation, or 404.
pub(super) async fn conversation(State(shared): State<Arc<Shared>>, Named(session): Named) -> Response {
    let asked = session.clone();
    match read(&shared, move |derived| summary::conversation(derived, &asked)).await {
        Ok(Some(conversation)) => Json(shape(&session, &conversation)).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "No event of this conversation was received"),
        Err(response) => response,
    }
}

/// The time that is asked for: from the hour of `from` to before `to`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    from: Option<String>,
    to: Option<String>,
}

/// An agent's hours and their sums.
pub(super) async fn metrics(
    State(shared): State<Arc<Shared>>,
    Named(agent): Named,
    span: Result<Query<Span>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let (from, to) = match span.map_err(|_| "the query takes from and to").and_then(|span| bounds(&span)) {
        Ok(bounds) => bounds,
        Err(wrong) => return problem(StatusCode::BAD_REQUEST, wrong),
    };
    let asked = agent.clone();
    let hours = match read(&shared, move |derived| summary::agent_hours(derived, &asked, (from, to))).await {
        Ok(hours) => hours,
        Err(response) => return response,
    };
    let mut totals = AgentHour::default();
    hours.values().for_each(|hour| totals.add(hour));
    let hours: Vec<Value> = hours
        .iter()
        .map(|(begin, hour)| {
            let mut shape = agent_hour(hour);
            shape["hour"] = UnixMs(*begin).to_string().into();
            shape
        })
        .collect();
    Json(json!({
        "agentId": agent,
        "from": from.to_string(),
        "to": to.to_string(),
        "totals": agent_hour(&totals),
        "hours": hours,
    }))
    .into_response()
}

fn bounds(span: &Span) -> Result<(UnixMs, UnixMs), &'static str> {
    const TIME: &str = "from and to are times as 2026-01-31T12:00:00Z";
    let time =
        |text: &Option<String>| text.as_deref().map(str::parse::<UnixMs>).transpose().map_err(|_| TIME);
    let to = time(&span.to)?.unwrap_or_else(|| UnixMs(Hour::of(UnixMs::now())).saturating_add(HOUR_MS));
    let from = time(&span.from)?.unwrap_or_else(|| to.saturating_add(-HOURS_DEFAULT * HOUR_MS));
    let from = UnixMs(Hour::of(from));
    if to <= from || to.since(from) > HOURS_MAX * HOUR_MS {
        return Err("to must be later than from, by 31 days at most");
    }
    Ok((from, to))
}

async fn read<T: Send + 'static>(
    shared: &Shared,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Response> {
    let directory = shared.store.directory().to_owned();
    let done = tokio::task::spawn_blocking(move || read(&open_to_read(&directory)?)).await;
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "a summary could not be read");
            Err(problem(StatusCode::SERVICE_UNAVAILABLE, "The store cannot be read at the moment"))
        }
        Err(_) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, "The store cannot be read at the moment")),
    }
}

fn shape(session: &str, conversation: &Conversation) -> Value {
    let time = |at: Option<i64>| at.map(|at| UnixMs(at).to_string());
    json!({
        "sessionId": session,
        "agentId": conversation.agent.as_ref().map(Latest::value),
        "userId": conversation.user.as_ref().map(Latest::value),
        "platform": conversation.platform.as_ref().map(Latest::value),
        "startedAt": time(conversation.started_ms),
        "firstEventAt": time(conversation.first_ms),
        "lastEventAt": time(conversation.last_ms),
        "ended": conversation.ended_ms.is_some(),
        "endedAt": time(conversation.ended_ms),
        "durationMs": conversation.duration_ms(),
        "messages": {
            "received": conversation.received,
            "sent": conversation.sent,
            "reported": conversation.reported_messages.as_ref().map(Latest::value),
        },
        "intents": conversation.intents,
        "confidence": mean(&conversation.confidence),
        "processingTimeMs": mean(&conversation.processing_ms),
        "satisfaction": conversation.satisfaction(),
        "resolved": conversation.resolved.as_ref().map(Latest::value),
    })
}

fn agent_hour(of: &AgentHour) -> Value {
    json!({
        "conversations": {
            "started": of.hour.started,
            "ended": of.ended,
            "resolved": of.resolved,
            "unresolved": of.unresolved,
        },
        "messages": {"received": of.hour.received, "sent": of.hour.sent},
        "confidence": mean(&of.hour.confidence),
        "processingTimeMs": mean(&of.hour.processing_ms),
        "satisfaction": mean(&of.satisfaction),
    })
}

fn mean(of: &Mean) -> Value {
    json!({"mean": of.value(), "count": of.count})
}
