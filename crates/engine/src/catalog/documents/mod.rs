//! The catalog as documents: what consumers generate their code from.
//!
//! `openapi.rs` is OpenAPI 3.1 with `webhooks`, `asyncapi.rs` AsyncAPI 3. Both are made of the same event types and
//! say the same: the envelope around the data, the headers, an example. A schema's references lead from the root of its
//! own text, so that they are set anew where it is put into a larger one. Read `openapi.rs` next.

mod asyncapi;
mod openapi;

use serde_json::{Map, Value, json};
use vai_webhooks_wire::{UnixMs, envelope};

use super::keywords::{escaped, subschemas, subschemas_mut};

pub use asyncapi::asyncapi;
pub use openapi::openapi;

/// What a document says of one event type.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// The JSON Schema of its data, as JSON text.
    pub schema: Option<String>,
    /// Examples of its data: a JSON array.
    pub examples: String,
    /// The number of its schema.
    pub version: u32,
}

/// The headers of a delivery that every webhook gets: name, type, what it says. Source: the contract of the wire.
const HEADERS: [(&str, &str, &str); 9] = [
    (
        "webhook-id",
        "string",
        "The event's id, the same on every attempt: what was seen before can be told by it.",
    ),
    ("webhook-timestamp", "string", "Unix time of this attempt, in seconds."),
    ("webhook-signature", "string", "Standard Webhooks signatures, separated by spaces."),
    ("X-VAI-Event", "string", "The event's type."),
    ("X-VAI-Webhook-ID", "string", "The webhook's id."),
    ("X-VAI-Timestamp", "string", "Unix time of this attempt, in milliseconds."),
    (
        "X-VAI-Signature",
        "string",
        "HMAC-SHA256 of the body with the webhook's secret, in lowercase hexadecimal.",
    ),
    ("X-VAI-Attempt", "string", "1 for the first attempt, then 2, 3 and so on."),
    ("traceparent", "string", "W3C trace context of this attempt."),
];
/// The id and time in examples.
const EXAMPLE_ID: &str = "evt_0123456789abcdefghjkmnpqrs";
const EXAMPLE_TIME: UnixMs = UnixMs(1_769_860_800_000);

impl Described {
    /// The first line of the description, or the name.
    fn summary(&self) -> &str {
        let first = self.description.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        if first.is_empty() { &self.name } else { first }
    }

    /// The schema, to stand at `base`, which is a reference to its place.
    fn schema_at(&self, base: &str) -> Value {
        let root: Value =
            self.schema.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(json!({}));
        let mut moved = root.clone();
        rebase(&mut moved, &root, base);
        moved
    }

    /// Bodies as they are sent, each with an example of the data.
    fn bodies(&self) -> Vec<Value> {
        let examples: Vec<Value> = serde_json::from_str(&self.examples).unwrap_or_default();
        let body = |data: &Value| {
            let text = envelope::write(EXAMPLE_ID, &self.name, EXAMPLE_TIME, &data.to_string());
            serde_json::from_slice(text.as_ref()).unwrap_or_default()
        };
        examples.iter().map(body).collect()
    }

    /// The schema of the whole body; `data` is the reference to that of the data.
    fn envelope(&self, data: &str) -> Value {
        json!({
            "type": "object",
            "required": ["id", "event", "timestamp", "data"],
            "properties": {
                "id": {"type": "string", "description": "The event's id."},
                "event": {"const": self.name},
                "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
                "data": {"$ref": data},
            },
        })
    }
}

/// The number of a catalog: it grows with each schema that is put.
fn version(types: &[Described]) -> String {
    types.iter().map(|it| u64::from(it.version)).sum::<u64>().to_string()
}

fn info(title: &str, types: &[Described]) -> Value {
    json!({
        "title": title,
        "version": version(types),
        "description": "Events as they are delivered to webhooks: signed, at least once, each as one POST.",
    })
}

/// Sets the references in `schema`, a part of `root` that is put at `base`, anew. What names a schema by itself is left
/// out: it would name it in the whole document.
fn rebase(schema: &mut Value, root: &Value, base: &str) {
    if let Some(members) = schema.as_object_mut() {
        for name in ["$schema", "$id", "$anchor"] {
            members.shift_remove(name);
        }
        if let Some(Value::String(reference)) = members.get_mut("$ref")
            && let Some(fragment) = reference.strip_prefix('#')
        {
            let pointer = match fragment.is_empty() || fragment.starts_with('/') {
                true => Some(fragment.to_owned()),
                false => pointer_of_anchor(root, fragment),
            };
            *reference = format!("{base}{}", pointer.unwrap_or_default());
        }
    }
    subschemas_mut(schema, |below| rebase(below, root, base));
}

/// The JSON pointer of the schema that carries this `$anchor`.
fn pointer_of_anchor(root: &Value, name: &str) -> Option<String> {
    if root.get("$anchor").and_then(Value::as_str) == Some(name) {
        return Some(String::new());
    }
    let mut found = None;
    subschemas(root, |keyword, part, below| {
        if found.is_none()
            && let Some(rest) = pointer_of_anchor(below, name)
        {
            let part = part.map(|part| format!("/{}", escaped(&part))).unwrap_or_default();
            found = Some(format!("/{keyword}{part}{rest}"));
        }
    });
    found
}

fn map(entries: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(entries.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_where_they_led_before() {
        let schema = json!({"$id": "https://example.com/x", "$ref": "#/$defs/a~1b", "properties": {"self": {"$ref": "#"},
            "named": {"$ref": "#here"}, "$ref": {"type": "string"}},
            "$defs": {"a/b": {"type": "object"}, "c": {"$anchor": "here", "const": {"$ref": "#/left/alone"}}}});
        let it = Described {
            name: "a.b".to_owned(),
            description: None,
            schema: Some(schema.to_string()),
            examples: "[]".to_owned(),
            version: 1,
        };
        let moved = it.schema_at("#/components/schemas/a.b");
        let document = json!({"components": {"schemas": {"a.b": moved}}});
        let target =
            |reference: &Value| document.pointer(reference.as_str().unwrap().strip_prefix('#').unwrap());
        assert_eq!(target(&moved["$ref"]), Some(&json!({"type": "object"})));
        assert_eq!(target(&moved["properties"]["self"]["$ref"]), Some(&moved));
        assert_eq!(
            target(&moved["properties"]["named"]["$ref"]),
            Some(&json!({"const": {"$ref": "#/left/alone"}}))
        );
        assert_eq!(moved["properties"]["$ref"], json!({"type": "string"}), "a member of that name is none");
        assert_eq!(moved.get("$id"), None);
    }
}
