//! The kind `teams`: messages to a channel or chat of Microsoft Teams through a workflow's webhook.
//!
//! Sources: Microsoft, "Create incoming webhooks with Workflows" (a message with Adaptive Cards; 202), "Incoming
//! Webhook" (28 KB a message, four requests a second, 429). A webhook of the older kind answers 200 even where it could
//! not deliver, and says so in the body alone; that is looked at too. Invariants: values stand in text runs, which
//! Teams shows as they are, without Markdown; an error does not show the webhook's URL. At least once: Teams has no
//! key for repeated messages. Read `clickhouse.rs` next.

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

/// The most events in one message.
const EVENTS_MAX: usize = 10;
/// The largest message, in bytes: 28 KB, which is read here as 28,000.
const MESSAGE_BYTES_MAX: usize = 28_000;
/// The longest text of an event, or of a notice, in characters.
const TEXT_CHARS_MAX: usize = 4_000;
/// The longest title, in characters.
const TITLE_CHARS_MAX: usize = 300;
/// The most lines of a text: each is a block of its own.
const LINES_MAX: usize = 60;
/// How an older webhook says, with 200, that it did not deliver.
const NOT_DELIVERED: &str = "Webhook message delivery failed";

/// Makes the sink.
pub(super) fn open(settings: Settings) -> Result<Box<dyn Sink>, SettingsError> {
    let (client, template) = message::channel(settings)?;
    Ok(Box::new(Teams { client, template }))
}

/// A channel or chat of Microsoft Teams.
struct Teams {
    client: Client,
    template: Option<Template>,
}

impl Teams {
    async fn send(&mut self, texts: &[String]) -> Result<(), SinkError> {
        let answer = self.client.post("application/json; charset=utf-8", payload(texts)).await?;
        if answer.is_success() && !answer.body.contains(NOT_DELIVERED) {
            Ok(())
        } else if of_the_message(&answer) {
            Err(answer.refused(0))
        } else {
            Err(answer.again())
        }
    }
}

/// Whether an answer is about this message, and not about the workflow or the moment.
fn of_the_message(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        // A workflow that is turned off answers 400 too.
        400 => !answer.body.contains("WorkflowTriggerIsNotEnabled"),
        413 => true,
        200..=299 => answer.body.contains("HTTP error 413") || answer.body.contains("HTTP error 400"),
        _ => false,
    }
}

/// One card with all texts, shortened until the message is within its limit.
fn payload(texts: &[String]) -> Bytes {
    let mut chars_max = TEXT_CHARS_MAX;
    loop {
        let blocks: Vec<Value> =
            texts.iter().enumerate().flat_map(|(at, text)| blocks(text, at > 0, chars_max)).collect();
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": { "width": "Full" },
            "body": blocks,
        });
        let attachment = json!({
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        });
        let message = json!({ "type": "message", "attachments": [attachment] }).to_string();
        if message.len() <= MESSAGE_BYTES_MAX || chars_max == 0 {
            return Bytes::from(message);
        }
        chars_max /= 2;
    }
}

/// A block a line; the first one bold, with a rule above where it follows another text.
fn blocks(text: &str, follows: bool, chars_max: usize) -> Vec<Value> {
    let mut limited = Limited::new(chars_max);
    limited.push(text, Escape::None);
    let text = limited.finish();
    let lines = text.lines().filter(|line| !line.trim().is_empty()).take(LINES_MAX);
    let block = |(at, line): (usize, &str)| {
        let weight = if at == 0 { "Bolder" } else { "Default" };
        let spacing = if at == 0 { "Default" } else { "None" };
        let run = json!({ "type": "TextRun", "text": line, "weight": weight });
        json!({ "type": "RichTextBlock", "inlines": [run], "spacing": spacing, "separator": follows && at == 0 })
    };
    lines.enumerate().map(block).collect()
}

impl Whole for Teams {
    fn put_whole<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        let all = match message::read(batch) {
            Ok(all) => all,
            Err(refused) => return ready(Err(refused)).boxed(),
        };
        let text = |(fields, stored): (&super::fields::Fields<'_>, &Stored)| {
            let event_type = &stored.event.event_type;
            let text = message::text(self.template.as_ref(), fields, Escape::Line, TEXT_CHARS_MAX);
            match self.template {
                Some(_) if !text.trim().is_empty() => text,
                _ => format!("{event_type}\n{text}"),
            }
        };
        let texts: Vec<String> = all.iter().zip(batch).map(text).collect();
        async move { self.send(&texts).await }.boxed()
    }
}

impl Sink for Teams {
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        whole::put(self, batch).boxed()
    }

    fn notify<'a>(&'a mut self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SinkError>> {
        let mut title = Limited::new(TITLE_CHARS_MAX);
        title.push(&notice.title, Escape::Line);
        let text = format!("{}\n{}", title.finish(), notice.text);
        async move { self.send(&[text]).await }.boxed()
    }

    /// Connects and asks nothing: whatever is posted starts the workflow.
    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        async {
            self.client.reach().await?;
            let server = self.client.server();
            Ok(format!("{server} is there; whether it knows the webhook, only a message shows"))
        }
        .boxed()
    }

    fn batch_max(&self) -> usize {
        EVENTS_MAX
    }
}
