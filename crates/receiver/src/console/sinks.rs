//! A sink's dead letters: listed, sent again, let go.
//!
//! They exist so that its owner decides on what a sink refused. A replay may also name a time: then the sink gets again
//! whatever arrived in it. Invariant: what is asked for is on disk when it is answered. Read `inbox/mod.rs` next.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use vai_webhooks_wire::UnixMs;

use super::{Named, problem};
use crate::inbox::SinkState;
use crate::receiver::Shared;
use crate::store::{StoreError, Which};

/// Dead letters of one answer, by default and at most.
const LIMIT: i64 = 50;
const LIMIT_MAX: i64 = 250;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<i64>,
    after: Option<i64>,
}

/// `{"data": […], "next": <number>|null}`, oldest first; `?after=` takes `next`.
pub(super) async fn dead_letters(
    State(shared): State<Arc<Shared>>,
    Named(name): Named,
    page: Result<Query<Page>, QueryRejection>,
) -> Response {
    let Some(sink) = shared.inbox.sink(&name) else { return no_sink(&name) };
    let Ok(Query(page)) = page else {
        return problem(StatusCode::BAD_REQUEST, "The query takes the numbers limit and after");
    };
    let limit = page.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let (name, after) = (sink.name().clone(), page.after.unwrap_or(0));
    let letters = match shared.store.look(move |reader| reader.dead_letters(&name, after, limit)).await {
        Ok(letters) => letters,
        Err(error) => return not_now(error),
    };
    let full = i64::try_from(letters.len()).is_ok_and(|len| len == limit);
    let next = letters.last().filter(|_| full).map(|letter| letter.seq);
    let data: Vec<Value> = letters
        .into_iter()
        .map(|letter| {
            json!({
                "id": letter.id,
                "event": letter.event_type,
                "receivedAt": UnixMs(letter.received_at_ms).to_string(),
                "failedAt": UnixMs(letter.died_at_ms).to_string(),
                "error": letter.detail,
            })
        })
        .collect();
    Json(json!({"data": data, "next": next})).into_response()
}

/// What somebody means: one of the three.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Asked {
    /// All dead letters.
    #[serde(default)]
    dead_letters: bool,
    /// One event.
    id: Option<String>,
    /// What arrived in this time.
    received_from: Option<UnixMs>,
    /// Not included; if not said: now.
    received_to: Option<UnixMs>,
}

impl Asked {
    fn which(self) -> Option<Which> {
        match self {
            Self { dead_letters: true, id: None, received_from: None, received_to: None } => {
                Some(Which::AllDead)
            }
            Self { dead_letters: false, id: Some(id), received_from: None, received_to: None } => {
                Some(Which::Id(id))
            }
            Self { dead_letters: false, id: None, received_from: Some(from), received_to } => {
                Some(Which::Received(from.0, received_to.unwrap_or_else(UnixMs::now).0))
            }
            _ => None,
        }
    }
}

/// `{"replayed": <how many>}`
pub(super) async fn replay(State(shared): State<Arc<Shared>>, Named(name): Named, body: Bytes) -> Response {
    match asked(&shared, &name, &body) {
        Ok((sink, which)) => match shared.inbox.replay(sink, which).await {
            Ok(count) => Json(json!({"replayed": count})).into_response(),
            Err(error) => not_now(error),
        },
        Err(answer) => *answer,
    }
}

/// `{"discarded": <how many>}`
pub(super) async fn discard(State(shared): State<Arc<Shared>>, Named(name): Named, body: Bytes) -> Response {
    match asked(&shared, &name, &body) {
        Ok((sink, which)) => match shared.inbox.discard(sink, which).await {
            Ok(count) => Json(json!({"discarded": count})).into_response(),
            Err(error) => not_now(error),
        },
        Err(answer) => *answer,
    }
}

/// Whatever the body is labelled as: `curl -d` calls it a form.
fn asked<'a>(shared: &'a Shared, name: &str, body: &[u8]) -> Result<(&'a SinkState, Which), Box<Response>> {
    const HELP: &str = "The body must be {\"deadLetters\": true}, {\"id\": \"…\"}, or {\"receivedFrom\": \"…\", \"receivedTo\": \"…\"}";
    let sink = shared.inbox.sink(name).ok_or_else(|| Box::new(no_sink(name)))?;
    let which = serde_json::from_slice(body).ok().and_then(Asked::which);
    which.map(|which| (&**sink, which)).ok_or_else(|| Box::new(problem(StatusCode::BAD_REQUEST, HELP)))
}

fn no_sink(name: &str) -> Response {
    problem(StatusCode::NOT_FOUND, &format!("There is no sink {name:?}"))
}

fn not_now(error: StoreError) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, &format!("Try again: {error}"))
}
