//! Transformations: try one out, and the versions of a webhook's.
//!
//! A script that fails is an answer with 200, since trying is what was asked for. Read `shapes.rs` next.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use vai_webhooks_engine::{ScriptError, StoredScript, Trial, TrialOutput};
use vai_webhooks_wire::{UnixMs, WebhookId};

use super::Api;
use super::auth::Caller;
use super::input::{Id, Posted};
use super::problem::Problem;

/// What a transformation made of an event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TrialResult {
    /// The event that it was run over, as it would be sent without it.
    #[schema(value_type = Value)]
    input: Box<RawValue>,
    /// The body that would be sent; `null` where there is none.
    #[schema(value_type = Value)]
    output: Option<Box<RawValue>>,
    /// Whether it drops the delivery, and why, where it says so.
    dropped: Option<Dropped>,
    /// Headers that it sets.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    headers: serde_json::Map<String, serde_json::Value>,
    /// What it sets in place of the URL's path.
    path: Option<String>,
    /// What it sets in place of the URL's query.
    query: Option<String>,
    /// What it printed, a line each.
    console: Vec<String>,
    /// Why there is no output, where it failed.
    error: Option<TrialError>,
    /// The processor time that it took, in milliseconds. The most is 50.
    duration_ms: f64,
}

/// A delivery that is dropped on purpose.
#[derive(Serialize, ToSchema)]
pub(super) struct Dropped {
    reason: Option<String>,
}

/// Why a transformation failed.
#[derive(Serialize, ToSchema)]
pub(super) struct TrialError {
    message: String,
    /// In the code that was posted, counted from 1.
    line: Option<u32>,
    /// In that line, counted from 1.
    column: Option<u32>,
}

impl From<ScriptError> for TrialError {
    fn from(ScriptError { message, line, column, .. }: ScriptError) -> Self {
        Self { message, line, column }
    }
}

impl TrialResult {
    fn of(trial: Trial) -> Result<Self, Problem> {
        let mut result = Self {
            input: raw(&trial.event)?,
            output: None,
            dropped: None,
            headers: serde_json::Map::new(),
            path: None,
            query: None,
            console: trial.console,
            error: None,
            duration_ms: trial.took.as_secs_f64() * 1_000.0,
        };
        match trial.output {
            Ok(TrialOutput::Body { body, headers, path, query }) => {
                result.output = Some(raw(&body)?);
                result.headers = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
                (result.path, result.query) = (path, query);
            }
            Ok(TrialOutput::Dropped(reason)) => result.dropped = Some(Dropped { reason }),
            Err(error) => result.error = Some(error.into()),
        }
        Ok(result)
    }
}

/// JSON as it is spelled.
fn raw(json: &[u8]) -> Result<Box<RawValue>, Problem> {
    let text = String::from_utf8_lossy(json).into_owned();
    RawValue::from_string(text).map_err(|error| Problem::field("", "invalid_json", error.to_string()))
}

/// Try a transformation
///
/// Runs a script over an event, within the limits that deliveries have. Nothing is stored or sent. A
/// script that fails is answered with 200, and says where and why in `error`.
#[utoipa::path(post, path = "/v1/transform/try", tag = "transformations", request_body = super::document::TrialInput,
    responses((status = 200, body = TrialResult), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem, description = "There is no such event"), (status = 413, body = Problem),
        (status = 503, body = Problem)))]
pub(super) async fn attempt(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Posted(body): Posted,
) -> Result<Json<TrialResult>, Problem> {
    TrialResult::of(api.engine.try_transform_json(tenant, &body).await?).map(Json)
}

/// The transformation that a webhook has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transform {
    code: String,
    /// `fail`: the delivery waits until the script is mended. `sendOriginal`: the event goes out as it was
    /// accepted.
    on_error: &'static str,
    /// Its number among this webhook's, from 1.
    version: u32,
}

impl Transform {
    pub(super) fn of(transform: &vai_webhooks_engine::Transform) -> Self {
        Self {
            code: transform.code.to_string(),
            on_error: transform.on_error.as_str(),
            version: transform.version,
        }
    }
}

/// The versions of a webhook's transformation.
#[derive(Serialize, ToSchema)]
pub(super) struct Versions {
    /// Newest first.
    data: Vec<Version>,
}

/// One version, without its code.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    version: u32,
    #[schema(value_type = String, format = DateTime)]
    created_at: UnixMs,
    code_bytes: u32,
    /// Whether the webhook has it now.
    current: bool,
}

/// List the versions of a webhook's transformation
///
/// `PATCH` the webhook with `"dataTransform": {"version": n}` to go back to one.
#[utoipa::path(get, path = "/v1/webhooks/{id}/transform/versions", tag = "transformations",
    params(("id" = String, Path)),
    responses((status = 200, body = Versions), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn versions(
    State(api): State<Api>,
    Caller(tenant): Caller,
    Id(id): Id<WebhookId>,
) -> Result<Json<Versions>, Problem> {
    let current = api.engine.webhook(tenant, &id)?.config.transform.map(|it| it.version);
    let all = api.engine.transform_versions(tenant, &id).await?;
    let version = |it: StoredScript| Version {
        version: it.version,
        created_at: it.created_at,
        code_bytes: it.code_bytes,
        current: current == Some(it.version),
    };
    Ok(Json(Versions { data: all.into_iter().map(version).collect() }))
}
