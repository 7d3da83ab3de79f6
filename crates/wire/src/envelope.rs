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
    /// JSON, but not an envelope's: which member is wrong. Does not show what was there instead.
    #[error("not an event: {0}")]
    Shape(&'static str),
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
        let envelope: Self = match serde_json::from_slice(body) {
            Ok(envelope) if is_object(body) => envelope,
            _ => return Err(EnvelopeError::Shape(misfit(body))),
        };
        if is_event_type(&envelope.event) { Ok(envelope) } else { Err(EnvelopeError::EventType) }
    }

    /// Reads a body that [`parse`](Self::parse) has read before, and looks at less.
    pub fn parse_again(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        serde_json::from_slice(body).map_err(|_| EnvelopeError::Shape(misfit(body)))
    }
}

/// A derived reader takes an array of the values too.
fn is_object(json: &[u8]) -> bool {
    json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// The members of what is no envelope, as they are spelled; `None` for null too.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
}

/// What is wrong with JSON that is no envelope.
fn misfit(body: &[u8]) -> &'static str {
    const OBJECT: &str = "it must be an object with `event`, `timestamp` and `data`";
    if !is_object(body) {
        return OBJECT;
    }
    let Ok(Members { id, event, timestamp }) = serde_json::from_slice(body) else { return OBJECT };
    let is_text = |value: &RawValue| value.get().starts_with('"');
    match (event, timestamp) {
        (None, _) => "`event` is missing",
        (Some(event), _) if !is_text(event) => "`event` must be a text",
        (_, None) => "`timestamp` is missing",
        (_, Some(timestamp)) if serde_json::from_str::<UnixMs>(timestamp.get()).is_err() => {
            "`timestamp` must be a time as 2026-01-31T12:00:00.000Z"
        }
        _ if id.is_some_and(|id| !is_text(id)) => "`id` must be a text",
        _ => "`data` is missing",
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
        let again = Envelope::parse_again(&body).unwrap();
        assert_eq!((again.id, again.event, again.data.get()), (read.id, read.event, read.data.get()));
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
    fn what_is_no_envelope_is_refused_and_what_is_wrong_is_said() {
        for (bad, said) in [
            ("", "not good JSON"),
            ("[]", "must be an object"),
            ("{}", "`event` is missing"),
            ("null", "must be an object"),
            (r#"{"event":null,"data":1}"#, "`event` is missing"),
            (r#"{"event":7,"data":1}"#, "`event` must be a text"),
            (r#"{"event":"a","data":1}"#, "`timestamp` is missing"),
            (
                r#"{"event":"a b","timestamp":"2026-01-01T00:00:00.000Z","data":1}"#,
                "`event` is no event type",
            ),
            (r#"{"event":"a","timestamp":"2026-01-01T00:00:00.000Z"}"#, "`data` is missing"),
            (r#"{"event":"a","timestamp":"yesterday","data":1}"#, "`timestamp` must be a time"),
            (r#"{"event":"a","timestamp":1767225600,"data":1}"#, "`timestamp` must be a time"),
            (r#"{"event":"a","event":"b","timestamp":"2026-01-01T00:00:00.000Z","data":1}"#, "not good JSON"),
            (r#"["evt_1","a.b","2026-01-01T00:00:00.000Z",{"x":1}]"#, "must be an object"),
            (
                r#"{"id":7,"event":"a","timestamp":"2026-01-01T00:00:00.000Z","data":1}"#,
                "`id` must be a text",
            ),
        ] {
            let error = Envelope::parse(bad.as_bytes()).expect_err(bad).to_string();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
