//! Webhooks of Microsoft Teams: a workflow's, and those of the older kind.
//!
//! Sources: "Create incoming webhooks with Workflows" (Adaptive Cards alone; 202), "Incoming Webhook" (28 KB; 429; the
//! older kind's 200 with an error in the text).

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

use super::{Mood, Vendor, forced};

/// The workflow's path; its signature is what makes it a secret.
pub const PATH: &str = "/workflows/0f/triggers/manual/paths/invoke?api-version=2016-06-01&sig=hunter2";
/// 28 KB.
const MESSAGE_BYTES_MAX: usize = 28 * 1024;

#[derive(Default)]
pub struct Teams {
    pub mood: Mood,
    /// What the channel shows: cards.
    pub posted: Vec<Value>,
    /// Its owner turned the workflow off.
    pub off: bool,
    /// A webhook of the older kind that is over its rate.
    pub older_and_busy: bool,
}

type Shared = Arc<Mutex<Teams>>;

pub fn router(state: Shared) -> Router {
    Router::new().route("/workflows/0f/triggers/manual/paths/invoke", post(receive)).with_state(state)
}

pub async fn start() -> Vendor<Teams> {
    Vendor::serve(Teams::default(), router).await
}

async fn receive(
    State(teams): State<Shared>,
    RawQuery(query): RawQuery,
    body: String,
) -> (StatusCode, HeaderMap, String) {
    let mut teams = teams.lock().unwrap();
    if let Some(answer) = forced(&mut teams.mood) {
        return answer;
    }
    let said = |status, text: &str| (status, HeaderMap::new(), text.to_owned());
    if !query.unwrap_or_default().contains("sig=hunter2") {
        return said(StatusCode::UNAUTHORIZED, r#"{"error":{"code":"DirectApiAuthorizationRequired"}}"#);
    }
    if teams.off {
        return said(StatusCode::BAD_REQUEST, r#"{"error":{"code":"WorkflowTriggerIsNotEnabled"}}"#);
    }
    if teams.older_and_busy {
        let text =
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429";
        return said(StatusCode::OK, text);
    }
    if body.len() > MESSAGE_BYTES_MAX {
        return said(StatusCode::PAYLOAD_TOO_LARGE, "the message is too large");
    }
    let poison = teams.mood.poison.is_some_and(|poison| body.contains(poison));
    match serde_json::from_str(&body).ok().and_then(|message| card(&message)).filter(|_| !poison) {
        None => said(StatusCode::BAD_REQUEST, r#"{"error":{"code":"TriggerInputSchemaMismatch"}}"#),
        Some(card) => {
            teams.posted.push(card);
            said(StatusCode::ACCEPTED, "")
        }
    }
}

fn card(message: &Value) -> Option<Value> {
    let [attachment] = &message.get("attachments")?.as_array()?[..] else { return None };
    let card = attachment.get("content")?;
    let good = message.get("type")? == "message"
        && attachment.get("contentType")? == "application/vnd.microsoft.card.adaptive"
        && card.get("type")? == "AdaptiveCard"
        && card.get("version")?.as_str()? <= "1.5"
        && card.get("body")?.as_array()?.iter().all(is_element);
    good.then(|| card.clone())
}

fn is_element(element: &Value) -> bool {
    let text = |value: &Value| value.get("text").is_some_and(Value::is_string);
    match element.get("type").and_then(Value::as_str) {
        Some("TextBlock") => text(element),
        Some("RichTextBlock") => element
            .get("inlines")
            .and_then(Value::as_array)
            .is_some_and(|runs| runs.iter().all(|run| run["type"] == "TextRun" && text(run))),
        _ => false,
    }
}

/// The lines of a card, as a person reads them.
pub fn lines(card: &Value) -> Vec<String> {
    let line = |block: &Value| block["inlines"][0]["text"].as_str().unwrap().to_owned();
    card["body"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn the_stand_in_keeps_teams_rules() {
    let teams = start().await;
    let message = |text: &str| {
        let block = serde_json::json!({"type": "TextBlock", "text": text});
        let card = serde_json::json!({"type": "AdaptiveCard", "version": "1.4", "body": [block]});
        let attachment =
            serde_json::json!({"contentType": "application/vnd.microsoft.card.adaptive", "content": card});
        serde_json::json!({"type": "message", "attachments": [attachment]}).to_string()
    };
    for (path, body, status) in [
        (PATH, message("hello"), 202),
        (PATH, message(&"x".repeat(27_000)), 202),
        (PATH, message(&"x".repeat(28_700)), 413),
        (PATH, "{}".to_owned(), 400),
        (PATH, r#"{"text":"a MessageCard"}"#.to_owned(), 400),
        (PATH, message("hello").replace("TextBlock", "Nonsense"), 400),
        ("/workflows/0f/triggers/manual/paths/invoke?sig=other", message("hello"), 401),
    ] {
        let answer = super::post(teams.address, path, &[super::JSON], &body).await;
        assert_eq!(answer.0, status, "{path}: {answer:?}");
    }
    assert_eq!(teams.state().posted.len(), 2);
}
