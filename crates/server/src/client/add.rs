//! `webhook add`: one registration.
//!
//! What was not given is not sent, so that the server's defaults hold. Read `event.rs` next.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::answers::Webhook;
use super::connection::Connection;
use super::hidden::Hidden;
use super::input;
use super::screen::{Screen, dim, strong};
use super::webhook::described;

#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// Where events go
    pub url: String,
    /// An event to take: a name, message.* or '*'; may be given several times
    #[arg(long = "event", value_name = "NAME", required = true)]
    pub events: Vec<String>,
    /// The webhook's id; without it, the server makes one
    #[arg(long)]
    pub id: Option<String>,
    /// The secret to sign with; without it, the server makes one
    #[arg(long)]
    pub secret: Option<Hidden>,
    /// Sign with an Ed25519 key too
    #[arg(long)]
    pub ed25519: bool,
    /// A further header of each request, as 'Name: value'; may be given several times
    #[arg(long = "header", value_name = "HEADER")]
    pub headers: Vec<Hidden>,
    /// Of events that name channels, take those of this one; may be given several times
    #[arg(long = "channel", value_name = "NAME")]
    pub channels: Vec<String>,
    /// How often an event is tried at most
    #[arg(long, value_name = "NUMBER")]
    pub max_attempts: Option<u64>,
    /// The wait before the second attempt, in milliseconds; it doubles each time
    #[arg(long, value_name = "MS")]
    pub backoff_ms: Option<u64>,
    /// How long one attempt may take, in milliseconds
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<u64>,
    /// A note for people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// How events are written: vai (the envelope, if not said), standard, cloudevents, cloudevents-binary, raw or thin
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// A file with the script that shapes its events; see `transform try`
    #[arg(long, value_name = "FILE")]
    pub transform: Option<String>,
    /// Do not send a test event first
    #[arg(long)]
    pub no_verify: bool,
}

pub(super) async fn run(
    connection: &Connection,
    args: &AddArgs,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    let body = registration(args)?;
    let answer = connection.open()?.post("/v1/webhooks", body, None).await?;
    if connection.json {
        out.json(&answer.text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let webhook: Webhook = answer.read()?;
    out.line(&["added ".into(), strong(webhook.id.as_str())])?;
    described(&webhook, out)?;
    if let Some(secret) = &webhook.secret {
        out.field("secret", strong(secret.as_str()))?;
        out.line(&[dim("The receiver verifies with the secret. It is shown here only once.")])?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The body of a registration: what was given, and nothing else.
fn registration(args: &AddArgs) -> anyhow::Result<String> {
    let mut body = Map::new();
    body.insert("url".into(), args.url.as_str().into());
    body.insert("events".into(), json!(args.events));
    let mut retry = Map::new();
    retry.extend(args.max_attempts.map(|many| ("maxAttempts".to_owned(), many.into())));
    retry.extend(args.backoff_ms.map(|ms| ("backoffMs".to_owned(), ms.into())));
    let headers: Map<String, Value> =
        input::headers(&args.headers)?.into_iter().map(|(name, value)| (name, value.into())).collect();
    let script = match &args.transform {
        Some(path) => {
            Some(String::from_utf8(input::bytes(&format!("@{path}"))?).context("the script is not UTF-8")?)
        }
        None => None,
    };
    let given: [(&str, Option<Value>); 11] = [
        ("id", args.id.as_deref().map(Value::from)),
        ("secret", args.secret.as_ref().map(|Hidden(secret)| secret.as_str().into())),
        ("ed25519", args.ed25519.then(|| true.into())),
        ("headers", (!headers.is_empty()).then(|| headers.into())),
        ("channels", (!args.channels.is_empty()).then(|| json!(args.channels))),
        ("retryConfig", (!retry.is_empty()).then(|| retry.into())),
        ("timeoutMs", args.timeout_ms.map(Value::from)),
        ("description", args.description.as_deref().map(Value::from)),
        ("format", args.format.as_deref().map(Value::from)),
        ("dataTransform", script.map(Value::from)),
        ("verify", args.no_verify.then(|| false.into())),
    ];
    body.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(Value::from(body).to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        add: AddArgs,
    }

    fn body(args: &[&str]) -> Value {
        let line = Line::parse_from(["add", "http://x", "--event", "*"].iter().chain(args));
        serde_json::from_str(&registration(&line.add).unwrap()).unwrap()
    }

    #[test]
    fn what_is_not_given_is_left_to_the_server() {
        assert_eq!(body(&[]), json!({"url": "http://x", "events": ["*"]}));
    }

    #[test]
    fn everything_that_is_given_is_sent() {
        let args = [
            "--event a.b --id w --secret s --ed25519 --channel c --max-attempts 3 --backoff-ms 9",
            "--timeout-ms 1000 --description d --no-verify --header X-A:1 --format raw",
        ]
        .join(" ");
        let expected = json!({"url": "http://x", "events": ["*", "a.b"], "id": "w", "secret": "s",
            "ed25519": true, "headers": {"X-A": "1"}, "channels": ["c"],
            "retryConfig": {"maxAttempts": 3, "backoffMs": 9}, "timeoutMs": 1000, "description": "d",
            "format": "raw",
            "verify": false});
        assert_eq!(body(&args.split(' ').collect::<Vec<_>>()), expected);
    }

    #[test]
    fn secrets_do_not_show_in_debug() {
        let line =
            ["add", "http://x", "--event", "*", "--secret", "hunter2", "--header", "Authorization: hunter2"];
        assert!(!format!("{:?}", Line::parse_from(line).add).contains("hunter2"));
    }
}
