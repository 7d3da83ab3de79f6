//! An event's fields, for templates and for messages without one.
//!
//! Invariant: what was stored is an event (it was read once before), so an error here means that this sink refuses
//! it. Read `message.rs` next.

use std::borrow::Cow;

use serde_json::Value;
use vai_webhooks_wire::Envelope;

use super::escape::{Escape, Limited};
use crate::event::Event;

/// What a placeholder of an event's template may begin with.
pub(crate) const ROOTS: [&str; 6] = ["id", "event", "timestamp", "received_at", "webhook_id", "data"];

/// The most lines of a message without a template.
const LINES_MAX: usize = 20;
/// The longest value in such a line, in characters.
const LINE_CHARS_MAX: usize = 300;
/// How deep such lines look into `data`.
const LINES_DEPTH_MAX: usize = 3;

/// An event's parts.
pub(crate) struct Fields<'a> {
    event: &'a Event,
    timestamp: String,
    data: Value,
}

impl<'a> Fields<'a> {
    /// Reads an event's body.
    pub(crate) fn read(event: &'a Event) -> Result<Self, String> {
        let envelope: Envelope<'_> = event.envelope().map_err(|error| error.to_string())?;
        let data = serde_json::from_str(envelope.data.get())
            .map_err(|error| format!("its data cannot be read: {error}"))?;
        Ok(Self { event, timestamp: envelope.timestamp.to_string(), data })
    }

    /// What stands at a path: texts as they are, other values as JSON; `None` where nothing, or null, does.
    pub(crate) fn get(&self, path: &[String]) -> Option<Cow<'_, str>> {
        let (root, rest) = path.split_first()?;
        let one = |text: &'a str| rest.is_empty().then_some(Cow::Borrowed(text));
        match root.as_str() {
            "id" => one(&self.event.id),
            "event" => one(&self.event.event_type),
            "webhook_id" => one(self.event.webhook_id.as_deref()?),
            "timestamp" => rest.is_empty().then_some(Cow::Borrowed(self.timestamp.as_str())),
            "received_at" => rest.is_empty().then(|| Cow::Owned(self.event.received_at.to_string())),
            "data" => shown(rest.iter().try_fold(&self.data, |value, name| match value {
                Value::Object(members) => members.get(name),
                Value::Array(items) => items.get(name.parse::<usize>().ok()?),
                _ => None,
            })?),
            _ => None,
        }
    }

    /// `name: value`, a line each, for what a person can read in `data`.
    pub(crate) fn lines(&self, escape: Escape, out: &mut Limited) {
        let mut left = LINES_MAX;
        lines(&self.data, &mut Vec::new(), &mut left, &mut |name, value| {
            if !out.is_empty() {
                out.push("\n", Escape::None);
            }
            let mut line = Limited::new(LINE_CHARS_MAX);
            line.push(value, Escape::Line);
            out.push(name, escape);
            out.push(": ", Escape::None);
            out.push(&line.finish(), escape);
        });
    }
}

fn shown(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

fn lines<'v>(
    value: &'v Value,
    path: &mut Vec<&'v str>,
    left: &mut usize,
    write: &mut impl FnMut(&str, &str),
) {
    match value {
        Value::Object(members) if path.len() < LINES_DEPTH_MAX => {
            for (name, value) in members {
                path.push(name);
                lines(value, path, left, write);
                path.pop();
            }
        }
        Value::Null => {}
        Value::Object(members) if members.is_empty() => {}
        Value::Array(items) if items.is_empty() => {}
        value => {
            let (Some(text), true) = (shown(value), *left > 0) else { return };
            *left -= 1;
            let name = if path.is_empty() { "data".to_owned() } else { path.join(".") };
            write(&name, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use vai_webhooks_wire::UnixMs;

    use super::*;

    fn event(data: &str) -> Event {
        let body =
            format!(r#"{{"id":"evt_1","event":"a.b","timestamp":"2026-01-01T00:00:00.000Z","data":{data}}}"#);
        Event {
            id: "evt_1".to_owned(),
            event_type: "a.b".to_owned(),
            webhook_id: None,
            scheme: "v1".to_owned(),
            received_at: UnixMs(1_767_225_600_001),
            body: Bytes::from(body),
        }
    }

    #[test]
    fn a_path_leads_to_a_value_or_to_nothing() {
        let event = event(r#"{"a":{"b":[10,{"c":"text"}]},"n":null,"t":true,"f":0.5}"#);
        let fields = Fields::read(&event).unwrap();
        for (path, value) in [
            ("id", Some("evt_1")),
            ("event", Some("a.b")),
            ("timestamp", Some("2026-01-01T00:00:00.000Z")),
            ("received_at", Some("2026-01-01T00:00:00.001Z")),
            ("webhook_id", None),
            ("id.x", None),
            ("data.a.b.0", Some("10")),
            ("data.a.b.1.c", Some("text")),
            ("data.a.b.2", None),
            ("data.a.b", Some(r#"[10,{"c":"text"}]"#)),
            ("data.n", None),
            ("data.t", Some("true")),
            ("data.f", Some("0.5")),
            ("data.f.x", None),
        ] {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            assert_eq!(fields.get(&path).as_deref(), value, "{path:?}");
        }
    }

    #[test]
    fn lines_show_what_a_person_can_read() {
        let event = event(r#"{"sessionId":"s-1","m":{"text":"a\nb <c>","meta":{}},"e":[],"n":null,"l":[1]}"#);
        let mut out = Limited::new(1_000);
        Fields::read(&event).unwrap().lines(Escape::Slack, &mut out);
        assert_eq!(out.finish(), "sessionId: s-1\nm.text: a b &lt;c&gt;\nl: [1]");
    }
}
