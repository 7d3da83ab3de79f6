//! Events: accept one or many, read what became of them, send again.
//!
//! The one call on the hot path is `accept`: it reads the key, the body and nothing else. Read
//! `stats.rs` next.

use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{self, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use vai_webhooks_engine::{Accepted, EngineError, FieldProblem, split_batch};
use vai_webhooks_wire::{Envelope, EventId, WebhookId};

use super::Api;
use super::auth::Caller;
use super::input::{BATCH_BYTES_MAX, BODY_BYTES_MAX, Id, IdempotencyKey, Members, Paging, Posted, json_text};
use super::problem::{FieldError, Problem};
use super::shapes::{Delivery, EventSummary, Page};

/// The usual answer, with an id of ours, has room in so many bytes.
const ANSWER_BYTES: usize = 64;

/// An event that is on disk.
#[derive(Serialize, ToSchema)]
pub(super) struct AcceptedEvent {
    id: String,
    /// Whether it had been accepted before: then nothing was sent again.
    duplicate: bool,
    /// Where its data is not as the schema of its type has it, where that is only warned about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<FieldError>,
}

fn shown(violations: Vec<FieldProblem>) -> Vec<FieldError> {
    violations.into_iter().map(FieldError::from).collect()
}

/// Accept an event
///
/// Answered when it is on disk, with the deliveries that it leads to. The same `id` (or
/// `Idempotency-Key`) with the same content gives the same event again.
#[utoipa::path(post, path = "/v1/events", tag = "events", request_body = super::document::EventInput,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of the same call give the same event")),
    responses((status = 202, body = AcceptedEvent), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 409, body = Problem, description = "The id or key was used for another content"),
        (status = 413, body = Problem),
        (status = 422, body = Problem, description = "The data is not as the schema of its type has it, and that is enforced"),
        (status = 429, body = Problem, description = "Too many deliveries of the tenant wait"), (status = 503, body = Problem)))]
pub(super) async fn accept(State(api): State<Api>, request: Request) -> Response {
    take(&api, request).await
}

/// Where events are posted, one by one.
pub(super) const PATH: &str = "/v1/events";

/// Answers what is posted to [`PATH`], whether it came through the router or not.
pub(super) async fn take<B>(api: &Api, request: http::Request<B>) -> Response
where
    B: HttpBody<Data = Bytes>,
{
    let (http::request::Parts { headers, .. }, body) = request.into_parts();
    taken(api, headers, body).await.unwrap_or_else(Problem::into_response)
}

async fn taken<B>(api: &Api, mut headers: HeaderMap, body: B) -> Result<Response, Problem>
where
    B: HttpBody<Data = Bytes>,
{
    let Caller(tenant) = Caller::of(&headers, api).await?;
    let IdempotencyKey(key) = IdempotencyKey::of(&headers)?;
    let Posted(body) = Posted::<BODY_BYTES_MAX>::read(&headers, body).await?;
    let accepted = api.engine.trigger_json(tenant, &body, key.as_deref()).await?;
    let Some(text) = plain_answer(&accepted) else {
        let Accepted { id, duplicate, violations } = accepted;
        let accepted = AcceptedEvent { id: id.to_string(), duplicate, violations: shown(violations) };
        return Ok((StatusCode::ACCEPTED, Json(accepted)).into_response());
    };
    // The request's map serves the answer too, so that none is made for it.
    headers.clear();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::ACCEPTED;
    *response.headers_mut() = headers;
    Ok(response)
}

/// The answer that nearly every event gets, as an [`AcceptedEvent`] is written: an id has nothing that is escaped in JSON.
fn plain_answer(Accepted { id, duplicate, violations }: &Accepted) -> Option<String> {
    if !violations.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(ANSWER_BYTES);
    text.push_str(r#"{"id":""#);
    text.push_str(id.as_str());
    text.push_str(r#"","duplicate":"#);
    text.push_str(if *duplicate { "true}" } else { "false}" });
    Some(text)
}

/// What became of each event of a batch, in order.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchResults {
    results: Vec<BatchResult>,
}

/// What became of one event of a batch.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchResult {
    /// 202, or what the event alone would have been answered with.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// As for one event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<FieldError>,
}

impl From<Result<Accepted, EngineError>> for BatchResult {
    fn from(result: Result<Accepted, EngineError>) -> Self {
        match result {
            Ok(Accepted { id, duplicate, violations }) => Self {
                status: StatusCode::ACCEPTED.as_u16(),
                id: Some(id.to_string()),
                duplicate: Some(duplicate),
                code: None,
                detail: None,
                errors: Vec::new(),
                violations: shown(violations),
            },
            Err(error) => {
                let Problem { status, code, detail, errors, .. } = error.into();
                Self {
                    status,
                    id: None,
                    duplicate: None,
                    code: Some(code),
                    detail: Some(detail),
                    errors,
                    violations: Vec::new(),
                }
            }
        }
    }
}

/// Accept many events
///
/// A JSON array, or NDJSON (`Content-Type: application/x-ndjson`), of up to 1,000 events. Each has its
/// own result, in order; all that were accepted are on disk.
#[utoipa::path(post, path = "/v1/events/batch", tag = "events", request_body = Vec<super::document::EventInput>,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of the same call give the same events")),
    responses((status = 202, body = BatchResults), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 413, body = Problem), (status = 429, body = Problem, description = "Too many deliveries of the tenant wait"),
        (status = 503, body = Problem)))]
pub(super) async fn accept_batch(
    State(api): State<Api>,
    Caller(tenant): Caller,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    Posted(body): Posted<BATCH_BYTES_MAX>,
) -> Result<Response, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let ndjson = content_type.contains("ndjson") || content_type.contains("jsonl");
    let entries = split_batch(&body, ndjson).map_err(|problem| EngineError::Invalid(vec![problem]))?;
    let results = api.engine.trigger_batch_json(tenant, &entries, key.as_deref()).await?;
    let results = results.into_iter().map(BatchResult::from).collect();
    Ok((StatusCode::ACCEPTED, Json(BatchResults { results })).into_response())
}

/// List events, newest first
#[utoipa::path(get, path = "/v1/events", tag = "events", params(super::document::PageQuery),
    responses((status = 200, body = Page<EventSummary>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(api): State<Api>,
    Caller(tenant): Caller,
    page: Paging,
) -> Result<Json<Page<EventSummary>>, Problem> {
    let page = api.engine.events(tenant, page.cursor.as_deref(), page.limit).await?;
    Ok(Json(Page::of(page, EventSummary::of)))
}

/// An accepted event.
#[derive(Serialize, ToSchema)]
pub(super) struct Event {
    #[serde(flatten)]
    summary: EventSummary,
    /// The data, as it is sent.
    #[schema(value_type = Value)]
    data: Box<RawValue>,
}

/// Read an event
#[utoipa::path(get, path = "/v1/events/{id}", tag = "events", params(("id" = String, Path)),
    responses((status = 200, body = Event), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn read(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<EventId>,
) -> Result<Response, Problem> {
    let event = api.engine.event(tenant, &id).await?;
    let damaged =
        || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", "the stored event cannot be read");
    let data = Envelope::parse(&event.body).map_err(|_| damaged())?.data.to_owned();
    let shape = Event { summary: EventSummary::of(&event.summary), data };
    Ok(json_text(serde_json::to_string(&shape).map_err(|_| damaged())?))
}

/// The deliveries of one event.
#[derive(Serialize, ToSchema)]
pub(super) struct Deliveries {
    data: Vec<Delivery>,
    /// Always `null`: an event has no more deliveries than its tenant has webhooks.
    next: Option<String>,
}

/// Read what became of an event at each webhook
#[utoipa::path(get, path = "/v1/events/{id}/deliveries", tag = "events", params(("id" = String, Path)),
    responses((status = 200, body = Deliveries), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn deliveries(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<EventId>,
) -> Result<Json<Deliveries>, Problem> {
    let all = api.engine.deliveries(tenant, &id).await?;
    Ok(Json(Deliveries { data: all.iter().map(Delivery::of).collect(), next: None }))
}

/// Where an event is sent again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resent {
    id: String,
    webhook_ids: Vec<String>,
}

/// Send an event again
///
/// To the webhook named in `webhookId`, or to all that had it; where none had it, to those that take it
/// now.
#[utoipa::path(post, path = "/v1/events/{id}/resend", tag = "events", params(("id" = String, Path),
    ("Idempotency-Key" = Option<String>, Header, description = "Repeats of the same call send it once")),
    request_body = Option<super::document::ResendInput>,
    responses((status = 202, body = Resent), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn resend(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<EventId>,
    IdempotencyKey(key): IdempotencyKey,
    Posted(body): Posted,
) -> Result<Response, Problem> {
    let mut members = Members::read(&body, &["webhookId"])?;
    let webhook = members.take::<WebhookId>("webhookId", "the id of a webhook")?;
    let idempotency = key.as_deref().map(|key| (key, &body[..]));
    let webhooks = api.engine.resend(tenant, &id, webhook.as_ref(), idempotency).await?;
    let resent =
        Resent { id: id.to_string(), webhook_ids: webhooks.iter().map(ToString::to_string).collect() };
    Ok((StatusCode::ACCEPTED, Json(resent)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_answer_is_spelled_as_any_other() {
        for duplicate in [false, true] {
            let accepted = Accepted { id: EventId::from_parts(7, 1), duplicate, violations: Vec::new() };
            let shape = AcceptedEvent { id: accepted.id.to_string(), duplicate, violations: Vec::new() };
            assert_eq!(plain_answer(&accepted), serde_json::to_string(&shape).ok());
        }
    }
}
