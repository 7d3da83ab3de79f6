//! The events that are posted: about 600 bytes on the wire.

use serde_json::json;

use super::latency::DUE_US;

/// Brings an event to about 600 bytes on the wire.
const TEXT_CHARS: usize = 440;

/// A message, of a type that every webhook here takes.
pub fn message() -> String {
    of_type("message.received")
}

/// The same under another type.
pub fn of_type(event_type: &str) -> String {
    json!({"event": event_type, "data": {
        "sessionId": "s-1", "message": {"text": "x".repeat(TEXT_CHARS), "type": "text", "metadata": {}},
        "userId": "u-1", "entities": [], "timestamp": "2026-01-01T00:00:00.000Z"}})
    .to_string()
}

/// So many in one body.
pub fn batch(count: usize) -> String {
    format!("[{}]", vec![message(); count].join(","))
}

/// One that carries the moment at which it is due to be sent, in microseconds of Unix time.
pub fn due(due_us: u64) -> String {
    message().replacen("{\"sessionId\"", &format!("{{{DUE_US}{due_us},\"sessionId\""), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_is_in_the_data() {
        let event: serde_json::Value = serde_json::from_str(&due(7)).unwrap();
        assert_eq!(event["data"]["dueUs"], 7);
        assert_eq!(event["data"]["userId"], "u-1");
    }
}
