//! AsyncAPI 3: each event type as a message of one channel, which this server sends to.
//!
//! The channel has no address of its own: each webhook's URL is one. Source: AsyncAPI Specification 3.0.0. Read
//! `../mod.rs` again.

use serde_json::{Value, json};

use super::{Described, HEADERS, info, map};

/// How a schema of the catalog is marked: the default would be another draft.
const FORMAT: &str = "application/schema+json;version=draft-2020-12";

/// The document, as JSON.
#[must_use]
pub fn asyncapi(title: &str, types: &[Described]) -> Value {
    let of = |place: &str, it: &Described| json!({"$ref": format!("{place}/{}", it.name)});
    let messages: Vec<Value> = types.iter().map(|it| of("#/channels/webhook/messages", it)).collect();
    let schema = |it: &Described| json!({"schemaFormat": FORMAT, "schema": it.schema_at(&place(it))});
    json!({
        "asyncapi": "3.0.0",
        "info": info(title, types),
        "defaultContentType": "application/json",
        "channels": {"webhook": {
            "address": null,
            "title": "A webhook",
            "description": "Each webhook has its own URL, where it gets the events that it subscribes to.",
            "messages": map(types.iter().map(|it| (it.name.clone(), of("#/components/messages", it)))),
        }},
        "operations": {"deliver": {
            "action": "send",
            "channel": {"$ref": "#/channels/webhook"},
            "summary": "Deliver an event",
            "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
            "messages": messages,
        }},
        "components": {
            "messages": map(types.iter().map(|it| (it.name.clone(), message(it)))),
            "schemas": map(types.iter().map(|it| (it.name.clone(), schema(it)))),
        },
    })
}

fn place(it: &Described) -> String {
    format!("#/components/schemas/{}/schema", it.name)
}

fn message(it: &Described) -> Value {
    let headers = HEADERS
        .iter()
        .map(|(name, kind, says)| ((*name).to_owned(), json!({"type": kind, "description": says})));
    let required: Vec<&str> = HEADERS.iter().map(|(name, ..)| *name).collect();
    let mut message = json!({
        "name": it.name,
        "title": it.summary(),
        "contentType": "application/json",
        "headers": {"type": "object", "required": required, "properties": map(headers)},
        "payload": {"schemaFormat": FORMAT, "schema": it.envelope(&place(it))},
    });
    if let Some(description) = &it.description {
        message["description"] = description.as_str().into();
    }
    let examples: Vec<Value> = it.bodies().into_iter().map(|body| json!({"payload": body})).collect();
    if !examples.is_empty() {
        message["examples"] = examples.into();
    }
    message
}
