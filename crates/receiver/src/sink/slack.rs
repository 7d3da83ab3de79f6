//! The kind `slack`: messages to a channel through an incoming webhook.
//!
//! Sources: Slack, "Sending messages using incoming webhooks" (answers and errors), "Block Kit: section block" (3,000
//! characters), "Rate limits" (about one message a second; 429 with `Retry-After`). Invariants: values cannot mention
//! or link ([`Escape::Slack`]; `verbatim` turns Slack's own guessing off); an error does not show the webhook's URL.
//! At least once: Slack has no key for repeated messages, so what was sent just before a crash may come twice.
//! Read `teams.rs` next.

use std::future::ready;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::escape::{Escape, Limited};
use super::template::Template;
use super::whole::{self, Whole};
use super::{Notice, Settings, SettingsError, Sink, SinkError, Stored, message};

/// The most events in one message. With one block each, far below the 50 blocks that a message may have.
const EVENTS_MAX: usize = 10;
/// The longest text of a section block, in characters.
const SECTION_CHARS_MAX: usize = 3_000;
/// The longest texts of a whole message, in characters: Slack refuses longer ones at a limit that it does not state.
const MESSAGE_CHARS_MAX: usize = 12_000;
/// The longest text of a header block, in characters.
const HEADER_CHARS_MAX: usize = 150;

/// Makes the sink.
pub(super) fn open(settings: Settings) -> Result<Box<dyn Sink>, SettingsError> {
    let (client, template) = message::channel(settings)?;
    Ok(Box::new(Slack { client, template }))
}

/// A Slack channel.
struct Slack {
    client: Client,
    template: Option<Template>,
}

impl Slack {
    async fn post(&mut self, payload: &Value) -> Result<Answer, SinkError> {
        self.client.post("application/json; charset=utf-8", Bytes::from(payload.to_string())).await
    }

    async fn send(&mut self, payload: &Value) -> Result<(), SinkError> {
        let answer = self.post(payload).await?;
        if answer.is_success() {
            Ok(())
        } else if of_the_message(&answer) {
            Err(answer.refused(0))
        } else {
            Err(answer.again())
        }
    }

    fn section(&self, fields: &super::fields::Fields<'_>, event_type: &str, chars_max: usize) -> Value {
        let text = match &self.template {
            Some(_) => message::text(self.template.as_ref(), fields, Escape::Slack, chars_max),
            None => {
                let title = format!("*{event_type}*\n");
                let room = chars_max.saturating_sub(title.chars().count());
                title + &message::text(None, fields, Escape::Slack, room)
            }
        };
        // A section must have a text.
        section(if text.trim().is_empty() { event_type } else { &text })
    }
}

/// Whether an answer is about this message, and not about the webhook or the moment.
fn of_the_message(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        400 => !matches!(answer.body.trim(), "user_not_found" | "no_service" | "no_team" | "invalid_token"),
        413 => true,
        _ => false,
    }
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
}

impl Whole for Slack {
    fn put_whole<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        let chars_max = SECTION_CHARS_MAX.min(MESSAGE_CHARS_MAX / batch.len().max(1));
        let all = match message::read(batch) {
            Ok(all) => all,
            Err(refused) => return ready(Err(refused)).boxed(),
        };
        let sections = all.iter().zip(batch);
        let blocks: Vec<Value> = sections
            .map(|(fields, stored)| self.section(fields, &stored.event.event_type, chars_max))
            .collect();
        let payload = json!({ "text": message::title(batch), "blocks": blocks });
        async move { self.send(&payload).await }.boxed()
    }
}

impl Sink for Slack {
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        whole::put(self, batch).boxed()
    }

    fn notify<'a>(&'a mut self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SinkError>> {
        let limited = |text: &str, chars_max, escape| {
            let mut out = Limited::new(chars_max);
            out.push_lines(text, escape);
            out.finish()
        };
        let title = limited(&notice.title, HEADER_CHARS_MAX, Escape::Line);
        let fallback = limited(&notice.title, HEADER_CHARS_MAX, Escape::Slack);
        let mut blocks = Vec::new();
        if !title.trim().is_empty() {
            let text = json!({ "type": "plain_text", "text": title, "emoji": false });
            blocks.push(json!({ "type": "header", "text": text }));
        }
        if !notice.text.trim().is_empty() {
            blocks.push(section(&limited(&notice.text, SECTION_CHARS_MAX, Escape::Slack)));
        }
        let payload = json!({ "text": fallback, "blocks": blocks });
        async move { self.send(&payload).await }.boxed()
    }

    /// Posts a message without a text, which Slack refuses: how it refuses tells whether it knows the webhook.
    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        async {
            let answer = self.post(&json!({})).await?;
            if answer.status.as_u16() == 400 && of_the_message(&answer) {
                Ok(format!("{} knows the webhook", self.client.server()))
            } else {
                Err(answer.again())
            }
        }
        .boxed()
    }

    fn batch_max(&self) -> usize {
        EVENTS_MAX
    }
}
