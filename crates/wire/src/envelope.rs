//! The envelope: `{"id":…,"event":…,"timestamp":…,"data":…}`, the body of every request.
//!
//! Invariant: `data` goes in and comes out byte for byte, so that what a producer spelled is what is
//! signed and sent. Read `defaults.rs` next.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::is_event_type;
use crate::json;
use crate::time::UnixMs;

/// An envelope's parts, borrowed from its bytes.
#[derive(Debug, Clone, Deserialize)]
pub struct Envelope<'a> {
    /// The event's id; absent in what the seed's own sender sends.
    #[serde(borrow, default)]
    pub id: Option<Cow<'a, str>>,
    /// The event type.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// When it happened.
    pub timestamp: UnixMs,
    /// The data as it is spelled.
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// Some bytes are no envelope.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or JSON that can be read in two ways.
    #[error("not good JSON: {0}")]
    Json(#[from] json::Problem),
    /// JSON, but not an envelope's. Does not show what was there instead.
    #[error(
        "not an event: it must be an object with `event`, `timestamp` and `data` (line {}, column {})",
        .0.line(), .0.column()
    )]
    Shape(#[from] serde_json::Error),
    /// `event` is no event type.
    #[error("not an event: `event` is no event type")]
    EventType,
}

/// The deepest nesting of a body that is read.
const DEPTH_MAX: usize = 128;

impl<'a> Envelope<'a> {
    /// Reads a body. Members beside the four are let through.
    pub fn parse(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        json::check(body, json::Limits { depth_max: DEPTH_MAX })?;
        // A derived reader would take an array of the four values too.
        let object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if !object {
            return Err(EnvelopeError::Shape(serde::de::Error::custom("an array")));
        }
        let envelope: Self = serde_json::from_slice(body)?;
        if is_event_type(&envelope.event) { Ok(envelope) } else { Err(EnvelopeError::EventType) }
    }
}

/// Builds a body. `id` and `event` are what their types allow, and `data` is JSON: none of them is
/// looked at again.
#[must_use]
pub fn write(id: &str, event: &str, timestamp: UnixMs, data: &str) -> Vec<u8> {
    use std::io::Write as _;
    const FRAME_BYTES: usize = r#"{"id":"","event":"","timestamp":"2026-01-01T00:00:00.000Z","data":}"#.len();
    let mut body = Vec::with_capacity(FRAME_BYTES + id.len() + event.len() + data.len());
    body.extend_from_slice(br#"{"id":""#);
    body.extend_from_slice(id.as_bytes());
    body.extend_from_slice(br#"","event":""#);
    body.extend_from_slice(event.as_bytes());
    body.extend_from_slice(br#"","timestamp":""#);
    // A Vec takes every byte.
    let _always = write!(body, "{timestamp}");
    body.extend_from_slice(br#"","data":"#);
    body.extend_from_slice(data.as_bytes());
    body.push(b'}');
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixMs = UnixMs(1_767_225_600_000);

    #[test]
    fn what_is_written_is_the_contracts_and_is_read_back() {
        let body = write("evt_1", "a.b", AT, r#"{"z":1.50, "a":1e2}"#);
        let text = std::str::from_utf8(&body).unwrap();
        let expected = r#"{"id":"evt_1","event":"a.b","timestamp":"2026-01-01T00:00:00.000Z","data":{"z":1.50, "a":1e2}}"#;
        assert_eq!(text, expected);
        assert_eq!(body.capacity(), body.len());
        let read = Envelope::parse(&body).unwrap();
        assert_eq!((read.id.as_deref(), &*read.event, read.timestamp), (Some("evt_1"), "a.b", AT));
        assert_eq!(read.data.get(), r#"{"z":1.50, "a":1e2}"#);
    }

    #[test]
    fn the_seeds_body_without_an_id_is_read() {
        let body = br#"{"event":"webhook.test","timestamp":"2026-01-01T00:00:00.000Z","data":{"test":true}}"#;
        assert_eq!(Envelope::parse(body).unwrap().id, None);
    }

    #[test]
    fn an_error_does_not_show_what_was_there() {
        let body = br#"{"id":777123,"event":"a","timestamp":"2026-01-01T00:00:00.000Z","data":1}"#;
        let error = Envelope::parse(body).unwrap_err().to_string();
        assert!(!error.contains("777123"), "{error}");
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            "null",
            r#"{"event":"a","data":1}"#,
            r#"{"event":"a b","timestamp":"2026-01-01T00:00:00.000Z","data":1}"#,
            r#"{"event":"a","timestamp":"2026-01-01T00:00:00.000Z"}"#,
            r#"{"event":"a","timestamp":"yesterday","data":1}"#,
            r#"{"event":"a","event":"b","timestamp":"2026-01-01T00:00:00.000Z","data":1}"#,
            r#"["evt_1","a.b","2026-01-01T00:00:00.000Z",{"x":1}]"#,
            r#"{"id":7,"event":"a","timestamp":"2026-01-01T00:00:00.000Z","data":1}"#,
        ] {
            assert!(Envelope::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
