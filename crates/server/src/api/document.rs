//! The OpenAPI document: what is said once for all calls, and the shapes of what is posted.
//!
//! The calls themselves are described where they are. The input shapes stand here alone, since the
//! engine reads posted bodies member by member, to name every problem at once; a test posts each of
//! these members. Read `mod.rs` again.

use std::collections::BTreeMap;

use axum::response::Response;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::input::json_text;

#[derive(OpenApi)]
#[openapi(
    info(title = "VAI Webhooks", description = "Accepts events, signs and delivers them, and tells what became of each."),
    security(("key" = [])),
    tags(
        (name = "webhooks", description = "Where events go"),
        (name = "secrets", description = "What signs them"),
        (name = "events", description = "What is sent"),
        (name = "catalog", description = "What events look like"),
        (name = "transformations", description = "Events in the shape that the other side wants"),
        (name = "stats", description = "True counts"),
        (name = "keys", description = "Who may call"),
        (name = "server", description = "Without a key")
    )
)]
struct Base;

/// What all calls have in common.
pub(super) fn base() -> utoipa::openapi::OpenApi {
    let mut document = Base::openapi();
    document.info.license = None;
    let components = document.components.get_or_insert_default();
    let key = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme("key", key);
    document
}

/// The document as JSON.
pub(super) fn text(document: &utoipa::openapi::OpenApi) -> String {
    document.to_pretty_json().unwrap_or_default()
}

pub(super) async fn serve(text: String) -> Response {
    json_text(text)
}

/// A page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "a description; the query is read in input.rs")]
pub(super) struct PageQuery {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Entries of a page, 1 to 250; 50 if not said.
    limit: Option<u16>,
}

/// An event.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"event": "message.received", "data": {"sessionId": "s-1", "message": {"text": "Hello"}}}))]
#[expect(dead_code, reason = "a description; the body is read by the engine")]
pub(super) struct EventInput {
    /// The type: a dotted name.
    event: String,
    /// Any JSON; for the typed events an object. Kept as it is spelled.
    #[schema(value_type = Value)]
    data: (),
    /// Your own id, which makes repeating safe: letters, digits, `_`, `-` and `:`.
    id: Option<String>,
    /// When it happened; now, if not said.
    #[schema(format = DateTime)]
    timestamp: Option<String>,
    /// Not to be sent before this time.
    #[schema(format = DateTime)]
    deliver_at: Option<String>,
    /// Only to webhooks without channels, and those that have one of these.
    channels: Option<Vec<String>>,
}

/// A webhook to register.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"url": "https://example.com/webhooks/vai", "events": ["message.*"]}))]
#[expect(dead_code, reason = "a description; the body is read by the engine")]
pub(super) struct WebhookInput {
    /// Where events go: http or https, a public address.
    url: String,
    /// Names, prefixes as `message.*`, or `*`.
    events: Vec<String>,
    /// Its id; without one, one is made.
    id: Option<String>,
    /// Its secret; without one, one is made.
    secret: Option<String>,
    /// Whether it gets an Ed25519 key too.
    ed25519: Option<bool>,
    /// Of events that name channels, it takes those that name one of these.
    channels: Option<Vec<String>>,
    /// Further headers of each request.
    headers: Option<BTreeMap<String, String>>,
    /// When a failed delivery is tried again.
    retry_config: Option<RetryInput>,
    /// The deadline of one attempt, in milliseconds: 1,000 to 30,000; 10,000 if not said.
    timeout_ms: Option<u32>,
    /// A note for people.
    description: Option<String>,
    /// How events are written: `vai` (the envelope, if not said), `standard`, `cloudevents`, `cloudevents-binary`,
    /// `raw` or `thin`.
    format: Option<String>,
    /// A script that shapes its events: the code, or an object.
    data_transform: Option<TransformInput>,
    /// Whether the endpoint must accept a signed `webhook.test` first; yes, if not said.
    verify: Option<bool>,
}

/// What to change of a webhook.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a description; the body is read by the engine")]
pub(super) struct WebhookChangeInput {
    url: Option<String>,
    events: Option<Vec<String>>,
    channels: Option<Vec<String>>,
    headers: Option<BTreeMap<String, String>>,
    retry_config: Option<RetryInput>,
    timeout_ms: Option<u32>,
    /// `null` takes it away.
    description: Option<String>,
    /// Events that are accepted from now on are written so.
    format: Option<String>,
    /// `null` takes it away.
    data_transform: Option<TransformInput>,
    verify: Option<bool>,
}

/// An event as it is sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a description; the body is what was stored")]
pub(super) struct EnvelopeOutput {
    id: String,
    /// Its type.
    event: String,
    #[schema(format = DateTime)]
    timestamp: String,
    #[schema(value_type = Value)]
    data: String,
}

/// A webhook's transformation. A string stands for its code alone.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a description; the body is read by the engine")]
pub(super) struct TransformInput {
    /// JavaScript: a script that defines `function transform(event, context)`, or an expression that is a
    /// function. At most 64 KiB.
    code: Option<String>,
    /// In place of code: an earlier version.
    version: Option<u32>,
    /// `fail` (if not said) or `sendOriginal`.
    on_error: Option<String>,
}

/// Waits between attempts: a doubling one, or a list in place of it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a description; the body is read by the engine")]
pub(super) struct RetryInput {
    /// 1 to 50; 3, if not said.
    max_attempts: Option<u32>,
    /// The wait before the second attempt, in milliseconds; 1,000 if not said. It doubles each time.
    backoff_ms: Option<u64>,
    /// No wait is longer than this, in milliseconds; a day, if not said.
    max_backoff_ms: Option<u64>,
    /// The waits themselves, in milliseconds.
    schedule: Option<Vec<u64>>,
}

/// A transformation to try out, and the event to try it on: `event` or `eventId`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"code": "event => ({ text: event.data.message.text })", "event": {"event": "message.received", "data": {"sessionId": "s-1", "message": {"text": "Hello"}}}}))]
#[expect(dead_code, reason = "a description; the body is read by the engine")]
pub(super) struct TrialInput {
    /// JavaScript: a script that defines `function transform(event, context)`, or an expression that is a
    /// function. At most 64 KiB.
    code: String,
    /// An event as it is posted to be accepted.
    event: Option<EventInput>,
    /// An event that was accepted.
    event_id: Option<String>,
}

/// A secret to rotate to.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a description; the body is read member by member")]
pub(super) struct RotateInput {
    /// The new secret; without one, one is made.
    secret: Option<String>,
    /// How long the old one goes on signing, in milliseconds: 0 to 30 days; a day, if not said.
    grace_period_ms: Option<i64>,
}

/// Where to send an event again.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a description; the body is read member by member")]
pub(super) struct ResendInput {
    /// To this webhook alone.
    webhook_id: Option<String>,
}

/// An event type to put in place of what there is.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"description": "An order was paid.", "schema": {"type": "object", "required": ["orderId"], "properties": {"orderId": {"type": "string"}}}, "examples": [{"orderId": "o-1"}]}))]
#[expect(dead_code, reason = "a description; the body is read by the engine")]
pub(super) struct EventTypeInput {
    /// What it is, for people: 2,000 characters at most.
    description: Option<String>,
    /// The JSON Schema 2020-12 of its data: 64 KiB at most, with references to itself alone. Without one, any data is good.
    #[schema(value_type = Option<Object>)]
    schema: (),
    /// Up to ten examples of its data, each good by the schema.
    #[schema(value_type = Option<Vec<Value>>)]
    examples: (),
    /// Put it although it breaks consumers.
    force: Option<bool>,
}

/// What to change of a tenant's settings.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a description; the body is read member by member")]
pub(super) struct SettingsInput {
    /// `off`, `warn` or `enforce`.
    event_schemas: Option<String>,
}

/// An API key to make.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "a description; the body is read member by member")]
pub(super) struct KeyInput {
    /// A note for people.
    name: Option<String>,
    /// Whether it is an admin key.
    admin: Option<bool>,
    /// The tenant it acts for, in place of `X-VAI-Tenant`.
    tenant: Option<String>,
    /// From when it is refused.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}
