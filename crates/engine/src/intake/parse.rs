//! Events as JSON says them.
//!
//! Only the outermost object is read; `data` stays as it was spelled. Every problem is told, each with
//! its place. Read `prepare.rs` next.

use std::borrow::Cow;

use serde_json::value::RawValue;
use vai_webhooks_wire::{EventId, UnixMs, is_event_type, json};

use super::BATCH_MAX;
use crate::error::FieldProblem;
use crate::event::NewEvent;
use crate::fields::{DEPTH_MAX, Fields, check_json};

const KNOWN: &str = "event, data, id, timestamp, deliverAt and channels";

const NO_EVENT_TYPE: &str = "is no event type: letters, digits and _, in parts with dots between, 128 characters at \
                             most, as message.received";

/// The members of an event, of its data and of a message in that are looked at.
const LEVELS: usize = 3;

/// An event as it was posted. Its type is one, its data is JSON; what else it says is still to be checked.
pub(crate) struct Draft<'a> {
    pub(crate) event_type: Cow<'a, str>,
    /// JSON that was checked.
    pub(crate) data: &'a str,
    /// The data, or what it stands in.
    pub(crate) checked: json::Checked<'a>,
    pub(crate) id: Option<EventId>,
    pub(crate) timestamp: Option<UnixMs>,
    pub(crate) deliver_at: Option<UnixMs>,
    pub(crate) channels: Vec<String>,
}

impl<'a> Draft<'a> {
    /// Reads one event.
    pub(crate) fn from_json(body: &'a [u8]) -> Result<Self, Vec<FieldProblem>> {
        let checked = check_json(body, DEPTH_MAX, LEVELS).map_err(|it| vec![it])?;
        let mut fields = Fields::of_checked(&checked).map_err(|it| vec![it])?;
        let event_type = fields.required::<String>("event");
        if event_type.as_ref().is_some_and(|name| !is_event_type(name)) {
            fields.problem("event", "invalid_event_type", NO_EVENT_TYPE);
        }
        let data = fields.raw("data");
        if data.is_none() {
            fields.problem(
                "data",
                "missing",
                "is missing; it must be a JSON value, for the typed events an object",
            );
        }
        let id = fields.optional::<String>("id").and_then(|text| match text.parse::<EventId>() {
            Ok(id) => Some(id),
            Err(error) => {
                fields.problem("id", "invalid_id", error.to_string());
                None
            }
        });
        let draft = Self {
            event_type: event_type.unwrap_or_default().into(),
            data: data.unwrap_or_default(),
            checked,
            id,
            timestamp: fields.optional("timestamp"),
            deliver_at: fields.optional("deliverAt"),
            channels: fields.optional("channels").unwrap_or_default(),
        };
        let problems = fields.finish(KNOWN);
        if problems.is_empty() { Ok(draft) } else { Err(problems) }
    }

    /// The same of an event that a Rust caller gives.
    pub(crate) fn from_event(event: &'a NewEvent) -> Result<Self, Vec<FieldProblem>> {
        let checked = check_json(event.data.as_bytes(), DEPTH_MAX - 1, LEVELS)
            .map_err(|problem| vec![FieldProblem { pointer: "/data".to_owned(), ..problem }])?;
        if !is_event_type(&event.event_type) {
            return Err(vec![FieldProblem::at("/event", "invalid_event_type", NO_EVENT_TYPE)]);
        }
        Ok(Self {
            event_type: event.event_type.as_str().into(),
            data: checked.text(),
            checked,
            id: event.id.clone(),
            timestamp: event.timestamp,
            deliver_at: event.deliver_at,
            channels: event.channels.clone(),
        })
    }
}

/// The entries of a batch, each still to be read: the elements of a JSON array, or the lines of NDJSON
/// that are not blank. An array that is broken anywhere has no entries that could be told apart.
pub fn split_batch(body: &[u8], ndjson: bool) -> Result<Vec<&[u8]>, FieldProblem> {
    let entries: Vec<&[u8]> = if ndjson {
        let lines = body.split(|byte| *byte == b'\n');
        lines.filter(|line| !line.iter().all(u8::is_ascii_whitespace)).collect()
    } else {
        let raw: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| {
            let detail =
                format!("the batch must be a JSON array of events, or NDJSON with its media type: {error}");
            FieldProblem::at("", "invalid_json", detail)
        })?;
        raw.into_iter().map(|entry| entry.get().as_bytes()).collect()
    };
    if entries.is_empty() {
        return Err(FieldProblem::at("", "empty", "the batch holds no event"));
    }
    if entries.len() > BATCH_MAX {
        let detail = format!("the batch holds {} events; at most {BATCH_MAX} are taken", entries.len());
        return Err(FieldProblem::at("", "too_many", detail));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(body: &str) -> Vec<(String, &'static str)> {
        match Draft::from_json(body.as_bytes()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|it| (it.pointer, it.code)).collect(),
        }
    }

    #[test]
    fn data_stays_as_it_was_spelled() {
        let draft = Draft::from_json(br#"{"event":"a.b","data":{"z":1.50, "a":1e2}}"#).ok().unwrap();
        assert_eq!(draft.data, r#"{"z":1.50, "a":1e2}"#);
    }

    #[test]
    fn every_problem_is_told() {
        let expected = |all: &[(&str, &'static str)]| -> Vec<(String, &'static str)> {
            all.iter().map(|(pointer, code)| ((*pointer).to_owned(), *code)).collect()
        };
        assert_eq!(codes("{}"), expected(&[("/event", "missing"), ("/data", "missing")]));
        assert_eq!(
            codes(r#"{"event":1,"data":1,"x":1}"#),
            expected(&[("/event", "wrong_type"), ("/x", "unknown_field")])
        );
        assert_eq!(codes(r#"{"event":"a","data":1,"id":"a.b"}"#), expected(&[("/id", "invalid_id")]));
        assert_eq!(
            codes(r#"{"event":"a","data":1,"timestamp":"soon"}"#),
            expected(&[("/timestamp", "wrong_type")])
        );
        assert_eq!(codes(r#"{"event":"a","event":"b","data":1}"#), expected(&[("", "invalid_json")]));
        assert_eq!(codes("[]"), expected(&[("", "wrong_type")]));
        assert_eq!(codes("{"), expected(&[("", "invalid_json")]));
        let deep = format!(r#"{{"event":"a","data":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(codes(&deep), expected(&[("", "invalid_json")]));
    }

    #[test]
    fn a_batch_is_split_and_a_bad_entry_stays_with_itself() {
        let entries = split_batch(br#" [ {"a":1}, 7 ,{"a":1,"a":2}] "#, false).unwrap();
        assert_eq!(entries, [br#"{"a":1}"#.as_slice(), b"7", br#"{"a":1,"a":2}"#]);
        let entries = split_batch(b"{}\r\n\n  \n\xff\n", true).unwrap();
        assert_eq!(entries, [b"{}\r".as_slice(), b"\xff"]);
        assert_eq!(split_batch(b"[]", false).unwrap_err().code, "empty");
        assert_eq!(split_batch(b"{}", false).unwrap_err().code, "invalid_json");
        let many = format!("[{}1]", "1,".repeat(BATCH_MAX));
        assert_eq!(split_batch(many.as_bytes(), false).unwrap_err().code, "too_many");
    }
}
