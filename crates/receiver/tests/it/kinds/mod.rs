//! The kinds of sinks that speak to other services, each against the service or its stand-in.

mod carried;
mod clickhouse;
mod email;
mod http;
mod parquet;
mod postgres;
mod slack;
mod sqlite;
mod teams;
mod tls;

use std::path::Path;

use bytes::Bytes;
use vai_webhooks_receiver::Event;
use vai_webhooks_receiver::sink::{Settings, Sink, SinkError, Stored, open};
use vai_webhooks_wire::UnixMs;

/// A sink of the kind, or what is wrong with its settings.
pub fn try_open(kind: &str, members: &str) -> Result<Box<dyn Sink>, String> {
    let table = toml::from_str(members).unwrap();
    open(kind, Settings::new("test", Path::new("."), table)).map_err(|error| error.to_string())
}

pub fn sink(kind: &str, members: &str) -> Box<dyn Sink> {
    try_open(kind, members).unwrap()
}

/// An event as the inbox gives it.
pub fn stored(seq: i64, event_type: &str, data: &str) -> Stored {
    let timestamp = UnixMs(1_767_225_600_000 + seq);
    let id = format!("evt_{seq}");
    let body = format!(r#"{{"id":"{id}","event":"{event_type}","timestamp":"{timestamp}","data":{data}}}"#);
    let event = Event {
        id,
        event_type: event_type.to_owned(),
        webhook_id: Some("wh_1".to_owned()),
        scheme: "v1".to_owned(),
        received_at: UnixMs(1_767_225_700_000),
        body: Bytes::from(body),
    };
    Stored { seq, replay: false, event }
}

/// `a.b` events with a text each.
pub fn texts(texts: &[&str]) -> Vec<Stored> {
    let one =
        |(seq, text): (i64, &&str)| stored(seq, "a.b", &serde_json::json!({ "text": text }).to_string());
    (1..).zip(texts).map(one).collect()
}

#[test]
fn every_example_in_the_documents_is_a_sink() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sinks.md")).unwrap();
    let examples: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    let mut kinds = Vec::new();
    for example in examples {
        // What the environment would hold.
        let example = example.replace("{SLACK_WEBHOOK_URL}", "").replace("{TEAMS_WORKFLOW_URL}", "");
        let example = example.replace("\"$\"", "\"https://example.com/hook\"").replace("${", "{");
        let file: toml::Table = toml::from_str(&example).unwrap();
        let mut members = file["sink"][0].as_table().unwrap().clone();
        let kind = members.remove("kind").unwrap().as_str().unwrap().to_owned();
        for name in ["name", "events"] {
            members.remove(name);
        }
        try_open(&kind, &members.to_string()).unwrap_or_else(|error| panic!("{kind}: {error}"));
        kinds.push(kind);
    }
    assert_eq!(kinds, ["slack", "teams", "email", "postgres", "clickhouse", "parquet"]);
}

/// The sentence of an `Again`.
pub fn again(result: Result<(), SinkError>) -> String {
    match result {
        Err(SinkError::Again { detail, .. }) => detail,
        other => panic!("expected to be told to come again: {other:?}"),
    }
}

/// The index of a refusal.
pub fn refused(result: Result<(), SinkError>) -> usize {
    match result {
        Err(SinkError::Refused { at, .. }) => at,
        other => panic!("expected a refusal: {other:?}"),
    }
}
