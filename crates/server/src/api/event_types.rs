//! Event types: the catalog, with the schema of each.
//!
//! A schema, examples and breaks are JSON text already, and go out as they are. Read `stats.rs` next.

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use vai_webhooks_engine::catalog::{Mismatches, NewEventType};
use vai_webhooks_engine::{EngineError, EventType, EventTypeVersion};
use vai_webhooks_wire::UnixMs;

use super::Api;
use super::auth::Caller;
use super::input::{Posted, json_text};
use super::problem::{FieldError, Problem};

/// An event type.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventType)]
pub(super) struct EventTypeShape {
    name: String,
    /// Whether it is one of the six typed events, which come with a schema.
    typed: bool,
    /// What it is, for people.
    description: Option<String>,
    /// The JSON Schema of its data; `null`: any data is good.
    #[schema(value_type = Option<Object>)]
    schema: Option<Box<RawValue>>,
    /// Examples of its data.
    #[schema(value_type = Vec<Value>)]
    examples: Box<RawValue>,
    /// The number of its schema, from 1; `null` where it is in no catalog and was only seen.
    version: Option<u32>,
    /// When it was last put; `null` where it never was.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<UnixMs>,
    /// When one was last accepted.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_seen: Option<UnixMs>,
    /// Events that were not as the schema has them, since the server started or the schema was put.
    mismatches: Option<MismatchesShape>,
    /// The schemas that it had, newest first, where one event type is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<VersionShape>>,
}

/// Events that were not as their schema has them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Mismatches)]
struct MismatchesShape {
    count: u64,
    /// When the last one came.
    #[schema(value_type = String, format = DateTime)]
    last_at: UnixMs,
    /// The last one; `null` where it was refused.
    last_event_id: Option<String>,
    /// What was wrong with it.
    last_violations: Vec<FieldError>,
}

/// A schema that an event type had.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventTypeVersion)]
struct VersionShape {
    version: u32,
    /// When it was put; `null` for what comes with one of the six.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<UnixMs>,
    /// What it broke of the one before, where that was forced.
    #[schema(value_type = Vec<FieldError>)]
    breaks: Box<RawValue>,
}

/// The event types.
#[derive(Serialize, ToSchema)]
pub(super) struct EventTypes {
    data: Vec<EventTypeShape>,
    /// Always `null`: all of them fit one page.
    next: Option<String>,
}

impl From<Mismatches> for MismatchesShape {
    fn from(it: Mismatches) -> Self {
        Self {
            count: it.count,
            last_at: it.at,
            last_event_id: it.event_id.map(|id| id.to_string()),
            last_violations: it.violations.into_iter().map(FieldError::from).collect(),
        }
    }
}

impl EventTypeShape {
    fn of(it: EventType, versions: Option<Vec<EventTypeVersion>>) -> Result<Self, Problem> {
        let versions = versions.map(|all| all.into_iter().map(VersionShape::of).collect()).transpose()?;
        Ok(Self {
            name: it.name,
            typed: it.typed,
            description: it.description,
            schema: it.schema.map(raw).transpose()?,
            examples: raw(it.examples)?,
            version: it.version,
            updated_at: it.updated_at,
            last_seen: it.last_seen,
            mismatches: it.mismatches.map(MismatchesShape::from),
            versions,
        })
    }
}

impl VersionShape {
    fn of(it: EventTypeVersion) -> Result<Self, Problem> {
        Ok(Self { version: it.version, created_at: it.created_at, breaks: raw(it.breaks)? })
    }
}

fn raw(text: String) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(text).map_err(|_| damaged())
}

fn damaged() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", "the stored event type cannot be read")
}

/// What holds raw JSON, as an answer.
fn answer(shape: &impl Serialize) -> Result<Response, Problem> {
    Ok(json_text(serde_json::to_string(shape).map_err(|_| damaged())?))
}

/// `?version=`.
pub(super) struct Version(Option<u32>);

impl FromRequestParts<Api> for Version {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, api).await;
        let Ok(Query(pairs)) = query else {
            return Err(Problem::field("", "invalid_query", "the query string cannot be read"));
        };
        let mut version = None;
        for (name, value) in pairs {
            if name != "version" {
                let shown: String = name.chars().take(50).collect();
                let detail = "is not known here; known is version";
                return Err(Problem::field(&format!("/{shown}"), "unknown_field", detail));
            }
            let wrong =
                |_| Problem::field("/version", "wrong_type", "must be the number of a version, from 1");
            version = Some(value.parse().map_err(wrong)?);
        }
        Ok(Self(version))
    }
}

/// List event types
///
/// The six typed ones, those that were put, and all others that were accepted.
#[utoipa::path(get, path = "/v1/event-types", tag = "catalog",
    responses((status = 200, body = EventTypes), (status = 401, body = Problem)))]
pub(super) async fn list(State(api): State<Api>, Caller(tenant): Caller) -> Result<Response, Problem> {
    let all = api.engine.event_types(tenant).await?;
    let data = all.into_iter().map(|it| EventTypeShape::of(it, None)).collect::<Result<_, _>>()?;
    answer(&EventTypes { data, next: None })
}

/// Read an event type
///
/// With `?version=`, an earlier schema in place of the last one.
#[utoipa::path(get, path = "/v1/event-types/{name}", tag = "catalog",
    params(("name" = String, Path), ("version" = Option<u32>, Query, description = "The number of a schema")),
    responses((status = 200, body = EventTypeShape), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn read(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Path(name): Path<String>,
    Version(version): Version,
) -> Result<Response, Problem> {
    let (found, versions) = api.engine.event_type(tenant, &name, version).await?;
    answer(&EventTypeShape::of(found, Some(versions))?)
}

/// Put an event type
///
/// In place of what there is. A schema that breaks consumers of the one before is refused with what it breaks, unless
/// `force` is `true`.
#[utoipa::path(put, path = "/v1/event-types/{name}", tag = "catalog", params(("name" = String, Path)),
    request_body = super::document::EventTypeInput,
    responses((status = 200, body = EventTypeShape), (status = 201, body = EventTypeShape),
        (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 409, body = Problem, description = "It breaks consumers: `errors` says where and why"),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn put(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Path(name): Path<String>,
    Posted(body): Posted,
) -> Result<Response, Problem> {
    let new = NewEventType::from_json(&body).map_err(EngineError::Invalid)?;
    let created = api.engine.put_event_type(tenant, &name, new).await?.created;
    let (now, versions) = api.engine.event_type(tenant, &name, None).await?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, answer(&EventTypeShape::of(now, Some(versions))?)?).into_response())
}
