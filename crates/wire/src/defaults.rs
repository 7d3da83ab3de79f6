//! The seed's defaults: members that a typed event lacks are appended to its data.
//!
//! Source: the VAI Portal page's `VAIEventHandler`: `timestamp` is now, a message's and a response's
//! `type` is `"text"` and its `metadata` `{}`, `entities` is `[]`. Invariant: everything that was posted
//! stays as it was spelled; a member that is there, `null` among the values it may have, is left alone.
//! Read `secret.rs` next.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::event::types;
use crate::json;
use crate::time::UnixMs;

/// The data of a typed event is no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an object, as {event_type} has it")]
pub struct DefaultsError {
    event_type: &'static str,
}

/// What one typed event's data gets where it lacks it.
struct Defaults {
    event_type: &'static str,
    /// The member that holds a message.
    message: Option<&'static str>,
    entities: bool,
}

const TYPED: [Defaults; 6] = [
    Defaults { event_type: types::CONVERSATION_STARTED, message: None, entities: false },
    Defaults { event_type: types::MESSAGE_RECEIVED, message: Some("message"), entities: true },
    Defaults { event_type: types::MESSAGE_SENT, message: Some("response"), entities: false },
    Defaults { event_type: types::CONVERSATION_ENDED, message: None, entities: false },
    Defaults { event_type: types::AGENT_METRICS, message: None, entities: false },
    Defaults { event_type: types::WEBHOOK_TEST, message: None, entities: false },
];

/// `data` (all of `checked` or a member of it) with the defaults of its event type; `timestamp` is the event's.
/// Data of custom events is given back as it is.
pub fn complete<'a>(
    event_type: &str,
    data: &'a str,
    checked: &json::Checked<'_>,
    timestamp: UnixMs,
) -> Result<Cow<'a, str>, DefaultsError> {
    let Some(defaults) = TYPED.iter().find(|typed| typed.event_type == event_type) else {
        return Ok(Cow::Borrowed(data));
    };
    let Some(members) = checked.members_of(data) else {
        return Err(DefaultsError { event_type: defaults.event_type });
    };
    let mut inserts: Vec<(usize, String)> = Vec::new();
    let message = defaults.message.and_then(|name| members.clone().find(|(member, _)| member == name));
    if let Some((_, message)) = message
        && let Some(of_message) = checked.members_of(message)
        && let Some((end, text)) = missing(message, of_message, &[("type", &"\"text\""), ("metadata", &"{}")])
    {
        inserts.push((start_of(data, message) + end, text));
    }
    let now = format_args!("\"{timestamp}\"");
    inserts.extend(match defaults.entities {
        true => missing(data, members, &[("entities", &"[]"), ("timestamp", &now)]),
        false => missing(data, members, &[("timestamp", &now)]),
    });
    if inserts.is_empty() {
        return Ok(Cow::Borrowed(data));
    }
    let mut completed = String::with_capacity(data.len() + 80);
    let mut from = 0;
    for (at, text) in inserts {
        completed.push_str(&data[from..at]);
        completed.push_str(&text);
        from = at;
    }
    completed.push_str(&data[from..]);
    Ok(Cow::Owned(completed))
}

/// Where `part`, a slice of `whole`, begins in it.
fn start_of(whole: &str, part: &str) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// What is to be put into `object`, which has these members, before its closing brace, and where that
/// is; `None` where it lacks nothing.
fn missing<'a, 'm: 'a>(
    object: &str,
    members: impl Iterator<Item = &'a json::Member<'m>> + Clone,
    defaults: &[(&str, &dyn fmt::Display)],
) -> Option<(usize, String)> {
    let end = object.rfind('}')?;
    let mut text = String::new();
    let mut empty = members.clone().next().is_none();
    for (name, value) in defaults {
        if !members.clone().any(|(member, _)| member == name) {
            let comma = if empty { "" } else { "," };
            // A String takes every text.
            let _always = write!(text, "{comma}\"{name}\":{value}");
            empty = false;
        }
    }
    (!text.is_empty()).then_some((end, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: UnixMs = UnixMs(1_767_225_600_000);

    fn completed(event_type: &str, data: &str) -> String {
        completed_or(event_type, data).unwrap()
    }

    fn completed_or(event_type: &str, data: &str) -> Result<String, DefaultsError> {
        // As it is posted: a member of the event.
        let event = format!(r#"{{"event":"message","data": {data} ,"entities":[]}}"#);
        let checked = json::checked(event.as_bytes(), json::Limits { depth_max: 9 }, 3).unwrap();
        let (_, data) = checked.members_of(checked.text()).unwrap().nth(1).unwrap();
        complete(event_type, data, &checked, AT).map(Cow::into_owned)
    }

    #[test]
    fn the_seeds_defaults_are_appended() {
        for (event_type, posted, expected) in [
            (
                "conversation.started",
                r#"{"sessionId":"s"}"#,
                r#"{"sessionId":"s","timestamp":"2026-01-01T00:00:00.000Z"}"#,
            ),
            ("conversation.ended", "{ }", r#"{ "timestamp":"2026-01-01T00:00:00.000Z"}"#),
            (
                "message.received",
                r#"{"message":{"text":"hi"},"userId":"u"}"#,
                r#"{"message":{"text":"hi","type":"text","metadata":{}},"userId":"u","entities":[],"timestamp":"2026-01-01T00:00:00.000Z"}"#,
            ),
            (
                "message.sent",
                r#"{"response": {} , "timestamp":"then"}"#,
                r#"{"response": {"type":"text","metadata":{}} , "timestamp":"then"}"#,
            ),
        ] {
            assert_eq!(completed(event_type, posted), expected);
        }
    }

    #[test]
    fn what_is_there_stays_as_it_was_spelled() {
        let full = r#"{"message":{"type":"image", "metadata":null},"entities":null,"timestamp":1e0}"#;
        assert_eq!(completed("message.received", full), full);
        assert_eq!(
            completed("message.sent", r#"{"response":"hi","timestamp":0}"#),
            r#"{"response":"hi","timestamp":0}"#
        );
        for custom in ["17", "[1]", r#"{"a":1}"#] {
            assert_eq!(completed("order.made", custom), custom);
        }
    }

    #[test]
    fn a_typed_events_data_is_an_object() {
        for bad in ["17", "[]", "null", "\"x\""] {
            assert!(completed_or("message.sent", bad).is_err(), "{bad}");
        }
        let error = completed_or("agent.metrics", "1").unwrap_err();
        assert_eq!(error.to_string(), "must be an object, as agent.metrics has it");
    }

    proptest! {
        #[test]
        fn what_is_appended_leaves_good_json_and_every_posted_byte(
            text in "[a-z}\\\\\"{]{0,8}", extra in proptest::collection::btree_map("[a-z]{1,4}", any::<i32>(), 0..4)
        ) {
            let mut posted = serde_json::json!({"message": {"text": text}, "userId": "u"});
            for (name, value) in extra {
                posted[name.as_str()] = value.into();
            }
            let posted = posted.to_string();
            let whole = completed("message.received", &posted);
            let read: serde_json::Value = serde_json::from_str(&whole).unwrap();
            let before: serde_json::Value = serde_json::from_str(&posted).unwrap();
            for (name, value) in before.as_object().unwrap() {
                if name != "message" {
                    prop_assert_eq!(&read[name], value);
                }
            }
            let mut left = whole.bytes();
            prop_assert!(posted.bytes().all(|byte| left.any(|other| other == byte)));
        }
    }
}
