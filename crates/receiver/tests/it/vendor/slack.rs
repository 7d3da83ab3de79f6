//! Slack's incoming webhooks.
//!
//! Sources: "Sending messages using incoming webhooks" (errors), "Block Kit" (section: 1 to 3,000 characters; header:
//! 150; 50 blocks), "Rate limits".

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

use super::{Mood, Vendor, forced};

/// The webhook's path, without which it is another one.
pub const PATH: &str = "/services/T0000/B0000/hunter2";

#[derive(Default)]
pub struct Slack {
    pub mood: Mood,
    /// What the channel shows.
    pub posted: Vec<Value>,
    pub archived: bool,
}

type Shared = Arc<Mutex<Slack>>;

pub fn router(state: Shared) -> Router {
    Router::new().route("/services/{*webhook}", post(receive)).with_state(state)
}

pub async fn start() -> Vendor<Slack> {
    Vendor::serve(Slack::default(), router).await
}

async fn receive(
    State(slack): State<Shared>,
    Path(webhook): Path<String>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, HeaderMap, String) {
    let mut slack = slack.lock().unwrap();
    if let Some(answer) = forced(&mut slack.mood) {
        return answer;
    }
    let said = |status, text: &str| (status, HeaderMap::new(), text.to_owned());
    if format!("/services/{webhook}") != PATH {
        return said(StatusCode::NOT_FOUND, "no_service");
    }
    if slack.archived {
        return said(StatusCode::GONE, "channel_is_archived");
    }
    let json =
        headers.get("content-type").is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let Some(Ok(message)) = json.then(|| serde_json::from_str::<Value>(&body)) else {
        return said(StatusCode::BAD_REQUEST, "invalid_payload");
    };
    match judge(&message, slack.mood.poison) {
        Err(error) => said(StatusCode::BAD_REQUEST, error),
        Ok(()) => {
            slack.posted.push(message);
            said(StatusCode::OK, "ok")
        }
    }
}

fn judge(message: &Value, poison: Option<&str>) -> Result<(), &'static str> {
    let text = message.get("text").and_then(Value::as_str).unwrap_or_default();
    let blocks = match message.get("blocks") {
        None => &[][..],
        Some(Value::Array(blocks)) => blocks,
        Some(_) => return Err("invalid_blocks_format"),
    };
    if text.is_empty() && blocks.is_empty() {
        return Err("no_text");
    }
    if text.chars().count() > 40_000 {
        return Err("msg_too_long");
    }
    if blocks.len() > 50 || !blocks.iter().all(is_block) {
        return Err("invalid_blocks");
    }
    if blocks.iter().map(|block| block.to_string().chars().count()).sum::<usize>() > 16_000 {
        return Err("msg_blocks_too_long");
    }
    match poison {
        Some(poison) if message.to_string().contains(poison) => Err("invalid_blocks"),
        _ => Ok(()),
    }
}

fn is_block(block: &Value) -> bool {
    let text = block.pointer("/text/text").and_then(Value::as_str).unwrap_or_default();
    let kind = block.pointer("/text/type").and_then(Value::as_str).unwrap_or_default();
    let chars = text.chars().count();
    match block.get("type").and_then(Value::as_str) {
        Some("section") => matches!(kind, "mrkdwn" | "plain_text") && (1..=3_000).contains(&chars),
        Some("header") => kind == "plain_text" && (1..=150).contains(&chars),
        Some("divider") => true,
        _ => false,
    }
}

#[tokio::test]
async fn the_stand_in_keeps_slacks_rules() {
    let slack = start().await;
    let section = |chars: usize| serde_json::json!({"type": "section", "text": {"type": "mrkdwn", "text": "x".repeat(chars)}});
    let of = |blocks: Vec<Value>| serde_json::json!({ "text": "a", "blocks": blocks }).to_string();
    for (body, status, said) in [
        (r#"{"text":"hello"}"#.to_owned(), 200, "ok"),
        ("{}".to_owned(), 400, "no_text"),
        ("{".to_owned(), 400, "invalid_payload"),
        (of(vec![section(3_000)]), 200, "ok"),
        (of(vec![section(3_001)]), 400, "invalid_blocks"),
        (of(vec![section(0)]), 400, "invalid_blocks"),
        (of(vec![section(1); 50]), 200, "ok"),
        (of(vec![section(1); 51]), 400, "invalid_blocks"),
        (of(vec![section(3_000); 6]), 400, "msg_blocks_too_long"),
        (r#"{"text":"a","blocks":{}}"#.to_owned(), 400, "invalid_blocks_format"),
    ] {
        let answer = super::post(slack.address, PATH, &[super::JSON], &body).await;
        assert_eq!(answer, (status, said.to_owned()), "{body}");
    }
    let other = super::post(slack.address, "/services/T0/B0/x", &[super::JSON], r#"{"text":"a"}"#).await;
    assert_eq!(other, (404, "no_service".to_owned()));
    let form = super::post(slack.address, PATH, &[("Content-Type", "text/plain")], r#"{"text":"a"}"#).await;
    assert_eq!(form, (400, "invalid_payload".to_owned()));
    assert_eq!(slack.state().posted.len(), 3);
}
