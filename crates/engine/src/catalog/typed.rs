//! The six events that come with a schema.
//!
//! They are files (`typed/*.json`): description, schema, example, so that they can be read as they are served.
//! Source: the VAI Portal page's `VAIEventHandler`, with the seed's defaults put in, since that is what consumers get.
//! Members that the page does not name pass through, so that every schema is open. A test holds them against the types
//! of `vai-webhooks-wire`. Read `breaks/mod.rs` next.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::value::RawValue;
use vai_webhooks_wire::types;

use super::schema::Schema;

/// One of the six.
#[derive(Debug)]
pub struct TypedEventType {
    /// Its name.
    pub name: &'static str,
    /// What it is, for people.
    pub description: String,
    /// Its schema as JSON text.
    pub schema: String,
    /// Examples of its data, as JSON texts.
    pub examples: Vec<String>,
    /// The schema, compiled.
    pub compiled: Schema,
}

#[derive(Deserialize)]
struct File {
    description: String,
    schema: Box<RawValue>,
    examples: Vec<Box<RawValue>>,
}

const FILES: [(&str, &str); 6] = [
    (types::CONVERSATION_STARTED, include_str!("typed/conversation.started.json")),
    (types::MESSAGE_RECEIVED, include_str!("typed/message.received.json")),
    (types::MESSAGE_SENT, include_str!("typed/message.sent.json")),
    (types::CONVERSATION_ENDED, include_str!("typed/conversation.ended.json")),
    (types::AGENT_METRICS, include_str!("typed/agent.metrics.json")),
    (types::WEBHOOK_TEST, include_str!("typed/webhook.test.json")),
];

static TYPED: LazyLock<Vec<TypedEventType>> =
    LazyLock::new(|| FILES.iter().filter_map(|(name, text)| read(name, text)).collect());

/// The six, compiled once for the process.
#[must_use]
pub fn typed() -> &'static [TypedEventType] {
    &TYPED
}

fn read(name: &'static str, text: &str) -> Option<TypedEventType> {
    let file: File = serde_json::from_str(text).ok()?;
    let compiled = Schema::compile(file.schema.get(), "").ok()?;
    let text = |raw: Box<RawValue>| String::from(Box::<str>::from(raw));
    Some(TypedEventType {
        name,
        description: file.description,
        schema: text(file.schema),
        examples: file.examples.into_iter().map(text).collect(),
        compiled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use vai_webhooks_wire::json::{Limits, checked};
    use vai_webhooks_wire::{UnixMs, defaults};

    fn of(name: &str) -> &'static TypedEventType {
        typed().iter().find(|it| it.name == name).unwrap()
    }

    fn violations(name: &str, data: &Value) -> Vec<(String, &'static str)> {
        let data = data.to_string();
        let checked = checked(data.as_bytes(), Limits { depth_max: 128 }, 2).unwrap();
        let whole = defaults::complete(name, &data, &checked, UnixMs(0)).unwrap();
        let found = of(name).compiled.violations(&whole, "");
        found.into_iter().map(|it| (it.pointer, it.code)).collect()
    }

    #[test]
    fn all_six_come_with_a_schema_a_description_and_an_example_that_is_good() {
        let names: Vec<&str> = typed().iter().map(|it| it.name).collect();
        assert_eq!(names, types::ALL);
        for it in typed() {
            assert!(!it.description.is_empty() && !it.examples.is_empty(), "{}", it.name);
            for example in &it.examples {
                let example: Value = serde_json::from_str(example).unwrap();
                assert_eq!(violations(it.name, &example), [], "{}", it.name);
            }
        }
    }

    /// What the types of the wire crate build passes, with all members and with the required ones alone; and each
    /// schema names the members that the type has, and no others.
    #[test]
    fn the_schemas_are_those_of_the_wire_types() {
        use vai_webhooks_wire::{
            AgentMetrics, ConversationEnded, ConversationStarted, MessageReceived, MessageSent, Metrics,
            TypedEvent, WebhookTest,
        };
        fn both<T: TypedEvent>(least: &T, whole: &T) {
            let data = |it: &T| serde_json::from_str::<Value>(&it.to_data()).unwrap();
            assert_eq!(violations(T::TYPE, &data(least)), [], "{}", T::TYPE);
            let whole = data(whole);
            assert_eq!(violations(T::TYPE, &whole), [], "{}", T::TYPE);
            let schema: Value = serde_json::from_str(&of(T::TYPE).schema).unwrap();
            let mut known: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            let mut has: Vec<&String> = whole.as_object().unwrap().keys().collect();
            known.sort();
            has.sort();
            assert_eq!(known, has, "{}", T::TYPE);
        }
        let at = UnixMs(0);
        let started = ConversationStarted::new("s", "a");
        both(&started, &started.clone().user_id("u").platform("web").user_agent("x").timestamp(at));
        let received = MessageReceived::new("s", "hi");
        let whole =
            received.clone().user_id("u").platform("web").intent("i").entities(vec![json!({})]).timestamp(at);
        both(&received, &whole);
        let sent = MessageSent::new("s", "hi");
        both(&sent, &sent.clone().agent_id("a").confidence(0.5).processing_time(1.5).timestamp(at));
        let ended = ConversationEnded::new("s");
        let whole =
            ended.clone().duration(1.0).message_count(2_u64).summary("x").satisfaction(1.0).resolved(true);
        both(&ended, &whole.timestamp(at));
        let metrics = Metrics {
            total_conversations: Some(1),
            average_response_time: Some(1.5),
            satisfaction_score: Some(0.5),
            resolution_rate: Some(1.0),
            ..Metrics::default()
        };
        both(
            &AgentMetrics::new("a", Metrics::default()),
            &AgentMetrics::new("a", metrics).period("1h").timestamp(at),
        );
        let test = WebhookTest::new("w");
        both(&test, &test.clone().test(true).message("m").timestamp(at));
    }

    #[test]
    fn what_is_wrong_with_a_typed_event_is_named() {
        let bad = json!({"message": {"type": 1}, "userId": 7, "extra": "passes"});
        let mut all = violations("message.received", &bad);
        all.sort();
        let expected = [
            ("/message/text", "schema_required"),
            ("/message/type", "schema_type"),
            ("/sessionId", "schema_required"),
            ("/userId", "schema_type"),
        ];
        assert_eq!(all, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
        assert_eq!(violations("agent.metrics", &json!({"agentId": "a"}))[0].0, "/metrics");
        assert_eq!(
            violations("conversation.ended", &json!({"sessionId": "s", "satisfaction": 2})),
            [("/satisfaction".to_owned(), "schema_range")]
        );
    }
}
