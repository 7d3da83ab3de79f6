//! What a call brings: ids in its path, its query, its idempotency key, its body.
//!
//! Invariant: everything read is bounded, in bytes and in time, and what is not known is refused. Read
//! `webhooks.rs` next.

use std::pin::pin;
use std::str::FromStr;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt as _;

use super::Api;
use super::problem::Problem;

/// The largest body of a call, in bytes, batches apart.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The largest body of a batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
static IDEMPOTENCY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Entries of a page where the call does not say.
const LIMIT_DEFAULT: usize = 50;

/// A body of at most `MAX` bytes.
pub(crate) struct Posted<const MAX: usize = BODY_BYTES_MAX>(pub(crate) Bytes);

impl<const MAX: usize> FromRequest<Api> for Posted<MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _api: &Api) -> Result<Self, Problem> {
        let (Parts { headers, .. }, body) = request.into_parts();
        Self::read(&headers, body).await
    }
}

impl<const MAX: usize> Posted<MAX> {
    /// Reads a body that came with these headers.
    pub(crate) async fn read<B: HttpBody<Data = Bytes>>(
        headers: &HeaderMap,
        body: B,
    ) -> Result<Self, Problem> {
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|len| len > MAX as u64) {
            return Err(too_large(MAX));
        }
        let mut body = pin!(whole(body, MAX));
        // Most bodies came with their heads, and need no timer.
        match std::future::poll_fn(|context| Poll::Ready(body.as_mut().poll(context))).await {
            Poll::Ready(body) => body.map(Self),
            Poll::Pending => match tokio::time::timeout(BODY_TIMEOUT, body).await {
                Ok(body) => body.map(Self),
                Err(_) => Err(Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "body_too_slow",
                    format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs()),
                )),
            },
        }
    }
}

/// A body to its end. One that came in one piece is not copied.
async fn whole<B: HttpBody<Data = Bytes>>(body: B, max: usize) -> Result<Bytes, Problem> {
    let mut body = pin!(body);
    let mut room = max;
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "incomplete_body", "the body ended before its end")
        })?;
        // Trailers say nothing here.
        let Ok(piece) = frame.into_data() else { continue };
        room = room.checked_sub(piece.len()).ok_or_else(|| too_large(max))?;
        if pieces.is_empty() && body.is_end_stream() {
            return Ok(piece);
        }
        pieces.push(piece);
    }
    Ok(pieces.concat().into())
}

fn too_large(max: usize) -> Problem {
    let detail = format!("the body is over the limit of {max} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}

/// The id in a path. What is no id of its kind names nothing.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr + Send> FromRequestParts<Api> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, api).await.ok();
        let id = text.and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| Problem::not_found("object: the id in the path is none"))
    }
}

/// `?cursor=` and `?limit=`.
pub(crate) struct Paging {
    pub(crate) cursor: Option<String>,
    pub(crate) limit: usize,
}

impl FromRequestParts<Api> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, api).await;
        let Ok(Query(pairs)) = query else {
            return Err(Problem::field("", "invalid_query", "the query string cannot be read"));
        };
        let mut paging = Self { cursor: None, limit: LIMIT_DEFAULT };
        for (name, value) in pairs {
            match name.as_str() {
                "cursor" => paging.cursor = Some(value),
                "limit" => {
                    paging.limit = value.parse().map_err(|_| {
                        Problem::field("/limit", "wrong_type", "must be a whole number from 1 to 250")
                    })?;
                }
                _ => {
                    let shown: String = name.chars().take(50).collect();
                    let detail = "is not known here; known are cursor and limit";
                    return Err(Problem::field(&format!("/{shown}"), "unknown_field", detail));
                }
            }
        }
        Ok(paging)
    }
}

/// `Idempotency-Key`.
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl FromRequestParts<Api> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

impl IdempotencyKey {
    /// The key in these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(&IDEMPOTENCY_HEADER) else { return Ok(Self(None)) };
        match value.to_str() {
            Ok(text) => Ok(Self(Some(text.to_owned()))),
            Err(_) => {
                Err(Problem::field("", "invalid_idempotency_key", "Idempotency-Key must be visible ASCII"))
            }
        }
    }
}

/// The members of a small body, each by name; an empty body has none.
pub(crate) struct Members(serde_json::Map<String, serde_json::Value>);

impl Members {
    /// Reads a body of which only `known` members may be there.
    pub(crate) fn read(body: &[u8], known: &[&str]) -> Result<Self, Problem> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(serde_json::Map::new()));
        }
        let checked = vai_webhooks_wire::json::check(body, vai_webhooks_wire::json::Limits { depth_max: 8 });
        if let Err(problem) = checked {
            let detail = format!("the body is no good JSON: {problem}");
            return Err(Problem::field("", "invalid_json", detail));
        }
        let Ok(members) = serde_json::from_slice::<serde_json::Map<_, _>>(body) else {
            return Err(Problem::field("", "wrong_type", "the body must be a JSON object"));
        };
        if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            let detail = format!("is not known here; known are {}", known.join(", "));
            let shown: String = name.chars().take(50).collect();
            return Err(Problem::field(&format!("/{shown}"), "unknown_field", detail));
        }
        Ok(Self(members))
    }

    /// A member of a type; absent and `null` are `None`.
    pub(crate) fn take<T: serde::de::DeserializeOwned>(
        &mut self,
        name: &str,
        shape: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.0.remove(name).filter(|value| !value.is_null()) else { return Ok(None) };
        match serde_json::from_value(value) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Problem::field(&format!("/{name}"), "wrong_type", format!("must be {shape}"))),
        }
    }
}

/// A body that is JSON text already.
pub(crate) fn json_text(text: String) -> axum::response::Response {
    let mut response = axum::response::Response::new(Body::from(text));
    let json = axum::http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
