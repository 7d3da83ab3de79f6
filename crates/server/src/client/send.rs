//! `event send`: one event, and with `--wait` what became of it.
//!
//! The data goes out byte for byte as it was given. Read `fate.rs` next.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use http::HeaderValue;
use serde_json::Value;
use tokio::time::Instant;
use vai_webhooks_wire::UnixMs;

use super::answers::Accepted;
use super::connection::Connection;
use super::fate::{self, Fate};
use super::http::Api;
use super::input;
use super::screen::{Screen, Tone, dim, strong, toned};
use super::when::When;
use crate::units::Span;

/// The longest wait that is kept to.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);
/// How often the server is asked while waiting.
const ASK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub struct SendArgs {
    /// The event's type, as message.received or order.paid
    #[arg(value_name = "TYPE")]
    pub event_type: String,
    /// The event's data: JSON text, @FILE, or - for standard input
    #[arg(default_value = "{}")]
    pub data: String,
    /// The event's id, which makes sending it again safe; without it, the server makes one
    #[arg(long)]
    pub id: Option<String>,
    /// When it happened, as 2026-01-31T12:00:00Z; without it, now
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub timestamp: Option<When>,
    /// Not to be delivered before this time, as 2026-01-31T12:00:00Z or +10m
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub deliver_at: Option<When>,
    /// Only for webhooks without channels and those of this one; may be given several times
    #[arg(long = "channel", value_name = "NAME")]
    pub channels: Vec<String>,
    /// A key for this call: the same key again gives the same answer, and sends nothing twice
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Wait until every delivery is final, 30s where nothing is said; exits 1 where one failed or waits
    #[arg(
        long,
        value_name = "SPAN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30s"
    )]
    pub wait: Option<Span>,
}

pub(super) async fn run(
    connection: &Connection,
    args: &SendArgs,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    let body = body(args, UnixMs::now())?;
    let key = args.idempotency_key.as_deref().map(HeaderValue::from_str).transpose();
    let key = key.context("--idempotency-key holds characters that no header can carry")?;
    let api = connection.open()?;
    let answer = api.post("/v1/events", body, key).await?;
    let Accepted { id, duplicate, violations } = answer.read()?;
    if !connection.json {
        let word = if duplicate { "accepted before" } else { "accepted" };
        let note = if duplicate { "  nothing was sent again" } else { "" };
        out.line(&[toned(Tone::Good, word), " ".into(), strong(id.as_str()), dim(note)])?;
        if !violations.is_empty() {
            out.line(&[toned(Tone::Waiting, "  it is not as the schema of its type has it:")])?;
        }
        violations.iter().try_for_each(|violation| out.line(&violation.line()))?;
    }
    let Some(Span(wait)) = args.wait else {
        if connection.json {
            out.json(&answer.text)?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let fate = settled(&api, &id, wait).await?;
    if connection.json {
        out.json(&fate.json())?
    } else {
        fate.show_deliveries(out)?
    }
    Ok(if fate.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of an event once all is final, or after `wait`.
async fn settled(api: &Api, id: &str, wait: Duration) -> anyhow::Result<Fate> {
    let deadline = Instant::now() + wait.min(WAIT_MAX);
    loop {
        let fate = fate::read(api, id).await?;
        let now = Instant::now();
        if fate.is_final() || now >= deadline {
            return Ok(fate);
        }
        tokio::time::sleep_until(deadline.min(now + ASK_EVERY)).await;
    }
}

/// The body of the call. The data is put in as text, so that it keeps its spelling.
fn body(args: &SendArgs, now: UnixMs) -> anyhow::Result<String> {
    let data = input::json_value(&args.data)?;
    let time = |when: When| Value::from(when.resolve(now).to_string());
    let given: [(&str, Option<Value>); 4] = [
        ("id", args.id.as_deref().map(Value::from)),
        ("timestamp", args.timestamp.map(time)),
        ("deliverAt", args.deliver_at.map(time)),
        ("channels", (!args.channels.is_empty()).then(|| args.channels.clone().into())),
    ];
    let event = Value::from(args.event_type.as_str());
    let mut body = format!("{{\"event\":{event}");
    for (name, value) in given {
        if let Some(value) = value {
            body.push_str(&format!(",\"{name}\":{value}"));
        }
    }
    body.push_str(&format!(",\"data\":{data}}}"));
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(event_type: &str, data: &str) -> SendArgs {
        SendArgs {
            event_type: event_type.to_owned(),
            data: data.to_owned(),
            id: None,
            timestamp: None,
            deliver_at: None,
            channels: Vec::new(),
            idempotency_key: None,
            wait: None,
        }
    }

    #[test]
    fn data_goes_out_as_it_was_spelled() {
        let body = body(&args("a.b", r#"{"z": 1.50,"a":1e2}"#), UnixMs(0)).unwrap();
        assert_eq!(body, r#"{"event":"a.b","data":{"z": 1.50,"a":1e2}}"#);
    }

    #[test]
    fn what_is_given_goes_out_and_cannot_leave_its_member() {
        let mut args = args("a\",\"id\":\"x", "1");
        args.id = Some("order-1".to_owned());
        args.deliver_at = Some(When::parse("+1m").unwrap());
        args.channels = vec!["c".to_owned()];
        let body: Value = serde_json::from_str(&body(&args, UnixMs(0)).unwrap()).unwrap();
        let expected = serde_json::json!({"event": "a\",\"id\":\"x", "id": "order-1",
            "deliverAt": "1970-01-01T00:01:00.000Z", "channels": ["c"], "data": 1});
        assert_eq!(body, expected);
    }
}
