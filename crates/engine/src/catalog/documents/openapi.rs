//! OpenAPI 3.1: each event type as one of `webhooks`.
//!
//! Source: OpenAPI Specification 3.1.0, 4.8.1 and 4.8.9. Read `asyncapi.rs` next.

use serde_json::{Value, json};

use super::super::outline::DRAFT;
use super::{Described, HEADERS, info, map};

/// The document, as JSON.
#[must_use]
pub fn openapi(title: &str, types: &[Described]) -> Value {
    let parameters = HEADERS.iter().map(|(name, kind, says)| {
        let parameter =
            json!({"name": name, "in": "header", "required": true, "description": says, "schema": {"type": kind}});
        ((*name).to_owned(), parameter)
    });
    json!({
        "openapi": "3.1.0",
        "info": info(title, types),
        "jsonSchemaDialect": DRAFT,
        "webhooks": map(types.iter().map(|it| (it.name.clone(), webhook(it)))),
        "components": {
            "schemas": map(types.iter().map(|it| (it.name.clone(), it.schema_at(&place(it))))),
            "parameters": map(parameters),
        },
    })
}

fn place(it: &Described) -> String {
    format!("#/components/schemas/{}", it.name)
}

fn webhook(it: &Described) -> Value {
    let parameters: Vec<Value> =
        HEADERS.iter().map(|(name, ..)| json!({"$ref": format!("#/components/parameters/{name}")})).collect();
    let examples = it.bodies().into_iter().enumerate();
    let examples = map(examples.map(|(at, body)| (format!("example{}", at + 1), json!({"value": body}))));
    let mut content = json!({"schema": it.envelope(&place(it))});
    if examples.as_object().is_some_and(|all| !all.is_empty()) {
        content["examples"] = examples;
    }
    json!({"post": {
        "operationId": it.name,
        "summary": it.summary(),
        "description": it.description.as_deref().unwrap_or_default(),
        "parameters": parameters,
        "requestBody": {"required": true, "content": {"application/json": content}},
        "responses": {
            "2XX": {"description": "It was taken."},
            "410": {"description": "The webhook is to be disabled."},
            "default": {"description": "It is sent again later; 429 and 503 may say when, in Retry-After."},
        },
    }})
}
