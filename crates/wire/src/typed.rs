//! The six typed events of the VAI Portal page, as types with builders.
//!
//! Required members are asked for by `new`, the others have setters; unknown ones are kept in `extra`.
//! The seed's defaults for members that are left out are the engine's to append; what is read here takes
//! their absence, and `null`, for them. Read `envelope.rs` next.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::event::types;
use crate::time::UnixMs;

/// An event whose data has a type.
pub trait TypedEvent: Serialize {
    /// Its event type.
    const TYPE: &'static str;

    /// Its data as JSON text.
    fn to_data(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and maps with text keys always become JSON")
    }
}

macro_rules! typed {
    (
        $(#[$doc:meta])* $name:ident = $type:expr;
        required { $($(#[$rdoc:meta])* $required:ident: $rtype:ty,)* }
        optional { $($(#[$odoc:meta])* $optional:ident: $otype:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$rdoc])* pub $required: $rtype,)*
            $(
                $(#[$odoc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $optional: Option<$otype>,
            )*
            /// When it happened; without it, the engine's now.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub timestamp: Option<UnixMs>,
            /// Members that the page does not name.
            #[serde(flatten)]
            pub extra: Map<String, Value>,
        }

        impl $name {
            /// An event with its required members.
            #[must_use]
            pub fn new($($required: impl Into<$rtype>),*) -> Self {
                Self {
                    $($required: $required.into(),)*
                    $($optional: None,)*
                    timestamp: None,
                    extra: Map::new(),
                }
            }

            $(
                $(#[$odoc])*
                #[must_use]
                pub fn $optional(mut self, value: impl Into<$otype>) -> Self {
                    self.$optional = Some(value.into());
                    self
                }
            )*

            /// When it happened.
            #[must_use]
            pub fn timestamp(mut self, at: UnixMs) -> Self {
                self.timestamp = Some(at);
                self
            }

            /// One more member.
            #[must_use]
            pub fn extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
                self.extra.insert(name.into(), value.into());
                self
            }
        }

        impl TypedEvent for $name {
            const TYPE: &'static str = $type;
        }
    };
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The text.
    pub text: String,
    /// The kind; the seed's default is `text`.
    #[serde(rename = "type", default = "text_kind", deserialize_with = "kind_or_text")]
    pub kind: String,
    /// What else is known of it.
    #[serde(default, deserialize_with = "map_or_empty")]
    pub metadata: Map<String, Value>,
    /// Members that the page does not name.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

fn text_kind() -> String {
    "text".to_owned()
}

fn kind_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(text_kind))
}

fn map_or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Message {
    /// A text message.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: text_kind(), metadata: Map::new(), extra: Map::new() }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

typed! {
    /// `conversation.started`
    ConversationStarted = types::CONVERSATION_STARTED;
    required {
        /// The conversation.
        session_id: String,
        /// The agent that has it.
        agent_id: String,
    }
    optional {
        /// The user who has it.
        user_id: String,
        /// Where it takes place: `web`, `whatsapp` …
        platform: String,
        /// The user's browser or app.
        user_agent: String,
    }
}

typed! {
    /// `message.received`
    MessageReceived = types::MESSAGE_RECEIVED;
    required {
        /// The conversation.
        session_id: String,
        /// What the user said.
        message: Message,
    }
    optional {
        /// The user.
        user_id: String,
        /// Where it takes place.
        platform: String,
        /// What the user wants, as the agent understood it.
        intent: String,
        /// What was recognised in the text; the seed's default is `[]`.
        entities: Vec<Value>,
    }
}

typed! {
    /// `message.sent`
    MessageSent = types::MESSAGE_SENT;
    required {
        /// The conversation.
        session_id: String,
        /// What the agent said.
        response: Message,
    }
    optional {
        /// The agent.
        agent_id: String,
        /// How sure it was, 0 to 1.
        confidence: f64,
        /// How long it took, in milliseconds.
        processing_time: f64,
    }
}

typed! {
    /// `conversation.ended`
    ConversationEnded = types::CONVERSATION_ENDED;
    required {
        /// The conversation.
        session_id: String,
    }
    optional {
        /// How long it was, in seconds.
        duration: f64,
        /// How many messages it had.
        message_count: u64,
        /// What it was about.
        summary: Value,
        /// How content the user was, 0 to 1.
        satisfaction: f64,
        /// Whether the user's matter was settled.
        resolved: bool,
    }
}

/// An agent's figures over a period.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metrics {
    /// How many conversations it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_conversations: Option<u64>,
    /// How long it took to answer on average, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_response_time: Option<f64>,
    /// How content users were, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub satisfaction_score: Option<f64>,
    /// The share of matters that were settled, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution_rate: Option<f64>,
    /// Further figures.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

typed! {
    /// `agent.metrics`
    AgentMetrics = types::AGENT_METRICS;
    required {
        /// The agent.
        agent_id: String,
        /// Its figures.
        metrics: Metrics,
    }
    optional {
        /// The period that they are of: `1h`, `2026-01-01` …
        period: String,
    }
}

typed! {
    /// `webhook.test`
    WebhookTest = types::WEBHOOK_TEST;
    required {
        /// The webhook that is tested.
        webhook_id: String,
    }
    optional {
        /// Always `true`.
        test: bool,
        /// A text for people.
        message: String,
    }
}

/// Any event's data, by its type.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyEvent {
    /// `conversation.started`
    ConversationStarted(ConversationStarted),
    /// `message.received`
    MessageReceived(MessageReceived),
    /// `message.sent`
    MessageSent(MessageSent),
    /// `conversation.ended`
    ConversationEnded(ConversationEnded),
    /// `agent.metrics`
    AgentMetrics(AgentMetrics),
    /// `webhook.test`
    WebhookTest(WebhookTest),
    /// Any other.
    Custom {
        /// Its type.
        event_type: String,
        /// Its data.
        data: Value,
    },
}

/// Some data is not what its event type has. Does not show what was there instead.
#[derive(Debug, thiserror::Error)]
#[error("the data is not that of its event type (line {}, column {})", .0.line(), .0.column())]
pub struct ParseDataError(#[from] serde_json::Error);

impl AnyEvent {
    /// Reads data by its event type.
    pub fn parse(event_type: &str, data: &str) -> Result<Self, ParseDataError> {
        Ok(match event_type {
            types::CONVERSATION_STARTED => Self::ConversationStarted(serde_json::from_str(data)?),
            types::MESSAGE_RECEIVED => Self::MessageReceived(serde_json::from_str(data)?),
            types::MESSAGE_SENT => Self::MessageSent(serde_json::from_str(data)?),
            types::CONVERSATION_ENDED => Self::ConversationEnded(serde_json::from_str(data)?),
            types::AGENT_METRICS => Self::AgentMetrics(serde_json::from_str(data)?),
            types::WEBHOOK_TEST => Self::WebhookTest(serde_json::from_str(data)?),
            _ => Self::Custom { event_type: event_type.to_owned(), data: serde_json::from_str(data)? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_event_is_built_written_and_read() {
        let built =
            MessageReceived::new("s-1", "Bună!").user_id("u-1").intent("greeting").extra("lang", "ro");
        let data = built.to_data();
        let expected = r#"{"sessionId":"s-1","message":{"text":"Bună!","type":"text","metadata":{}},"userId":"u-1","intent":"greeting","lang":"ro"}"#;
        assert_eq!(data, expected);
        assert_eq!(AnyEvent::parse(MessageReceived::TYPE, &data).unwrap(), AnyEvent::MessageReceived(built));
    }

    #[test]
    fn unknown_members_pass_through_and_missing_ones_are_errors() {
        let data =
            r#"{"agentId":"a","metrics":{"satisfactionScore":0.5,"custom":1},"period":"1h","new":[1]}"#;
        let AnyEvent::AgentMetrics(metrics) = AnyEvent::parse("agent.metrics", data).unwrap() else {
            panic!()
        };
        assert_eq!(metrics.metrics.extra["custom"], 1);
        assert_eq!(
            serde_json::from_str::<Value>(&metrics.to_data()).unwrap(),
            serde_json::from_str::<Value>(data).unwrap()
        );
        let error = AnyEvent::parse("message.sent", r#"{"sessionId":"s","response":"hunter2"}"#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        let nulls = r#"{"sessionId":"s","response":{"text":"t","type":null,"metadata":null}}"#;
        assert!(AnyEvent::parse("message.sent", nulls).is_ok());
        assert!(matches!(AnyEvent::parse("order.made", "7").unwrap(), AnyEvent::Custom { .. }));
    }
}
