//! What one event says of its conversation.
//!
//! It exists so that a summary never fails over an event: data is the sender's, and what is not what the
//! event type has counts as not said. Source of the fields: the VAI Portal page's typed events.
//! `message.received` names no agent; `conversation.ended` names the session alone. Invariant: a note
//! comes from the event's own bytes only. Read `conversation.rs` next.

use serde::de::DeserializeOwned;
use vai_webhooks_wire::{UnixMs, json, types};

/// The longest name of a session, an agent, a user: what is longer is none.
const NAME_BYTES_MAX: usize = 256;
/// The longest intent, in characters; what is longer is cut.
const INTENT_CHARS_MAX: usize = 128;
/// The longest time an answer can have taken: a day.
const PROCESSING_MS_MAX: f64 = 86_400_000.0;
/// The best that a user can have said: scales of 0 to 1, 5, 10 and 100 are all in use.
const SATISFACTION_MAX: f64 = 100.0;
/// The longest conversation that is believed: a year.
const DURATION_S_MAX: f64 = 366.0 * 86_400.0;

/// What one event says.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The conversation.
    pub session: String,
    /// The event's identity.
    pub id: String,
    /// When it happened, as the event says.
    pub at: UnixMs,
    /// The agent, where it names one.
    pub agent: Option<String>,
    /// The user, where it names one.
    pub user: Option<String>,
    /// Where the conversation takes place, where it names that.
    pub platform: Option<String>,
    /// What its type adds.
    pub said: Said,
}

/// What an event says by its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// The conversation began.
    Started,
    /// The user said something.
    Received {
        /// What the user wanted.
        intent: Option<String>,
    },
    /// The agent said something.
    Sent {
        /// How sure it was, in millionths.
        confidence_e6: Option<i64>,
        /// How long it took: milliseconds, in millionths.
        processing_ms_e6: Option<i64>,
    },
    /// The conversation ended.
    Ended {
        /// How long it was.
        duration_ms: Option<i64>,
        /// How many messages it had.
        messages: Option<i64>,
        /// How content the user was, in millionths.
        satisfaction_e6: Option<i64>,
        /// Whether the matter was settled.
        resolved: Option<bool>,
    },
    /// Something else of this conversation.
    Other,
}

impl Note {
    /// Reads an event's data, which is JSON; `None` where it belongs to no conversation.
    pub fn read(id: &str, event_type: &str, at: UnixMs, data: &str) -> Option<Self> {
        let members = json::members(data)?;
        let raw = |name: &str| members.iter().find(|(member, _)| member == name).map(|(_, raw)| *raw);
        let name =
            |member| is::<String>(member).filter(|text: &String| (1..=NAME_BYTES_MAX).contains(&text.len()));
        let within = |member, max: f64| is::<f64>(member).filter(|number| (0.0..=max).contains(number));
        let said = match event_type {
            types::CONVERSATION_STARTED => Said::Started,
            types::MESSAGE_RECEIVED => {
                let intent = is::<String>(raw("intent")).filter(|intent| !intent.is_empty());
                Said::Received {
                    intent: intent.map(|intent| intent.chars().take(INTENT_CHARS_MAX).collect()),
                }
            }
            types::MESSAGE_SENT => Said::Sent {
                confidence_e6: within(raw("confidence"), 1.0).map(millionths),
                processing_ms_e6: within(raw("processingTime"), PROCESSING_MS_MAX).map(millionths),
            },
            types::CONVERSATION_ENDED => Said::Ended {
                duration_ms: within(raw("duration"), DURATION_S_MAX)
                    .map(|seconds| (seconds * 1e3).round() as i64),
                messages: is::<i64>(raw("messageCount")).filter(|count| *count >= 0),
                satisfaction_e6: within(raw("satisfaction"), SATISFACTION_MAX).map(millionths),
                resolved: is(raw("resolved")),
            },
            _ => Said::Other,
        };
        Some(Self {
            session: name(raw("sessionId"))?,
            id: id.to_owned(),
            at,
            agent: name(raw("agentId")),
            user: name(raw("userId")),
            platform: name(raw("platform")),
            said,
        })
    }
}

/// A member, where it is of this type.
fn is<T: DeserializeOwned>(member: Option<&str>) -> Option<T> {
    serde_json::from_str(member?).ok()
}

fn millionths(number: f64) -> i64 {
    (number * 1e6).round() as i64
}
