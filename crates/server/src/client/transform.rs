//! `transform …`: try a transformation out before a webhook has it.
//!
//! Read `screen.rs` next.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::connection::Connection;
use super::http::{Api, encoded};
use super::input;
use super::screen::{Screen, Tone, dim, strong, toned};

/// Try transformations out
#[derive(Debug, clap::Subcommand)]
pub enum TransformCommand {
    /// Run a script over an event; nothing is stored or sent
    #[command(after_help = "Examples:
  vai-webhooks transform try shape.js --event message.received
  vai-webhooks transform try shape.js --event order.paid --data '{\"total\":12}'
  vai-webhooks transform try shape.js --event-id evt_0123456789ABCDEFGHJKMN

A script defines `function transform(event, context)`, or is an expression that is a function. It gets
the event as it would be sent, and returns the body to send in its place, or null to send nothing.")]
    Try(TryArgs),
}

#[derive(Debug, clap::Args)]
pub struct TryArgs {
    /// The file with the script; - for standard input
    file: String,
    /// The type of a made-up event
    #[arg(long, value_name = "TYPE", required_unless_present = "event_id", conflicts_with = "event_id")]
    event: Option<String>,
    /// Its data: JSON, @file, or - for standard input; the catalog's example, if not said
    #[arg(long, value_name = "JSON", requires = "event")]
    data: Option<String>,
    /// An event that the server has
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trial {
    input: Box<RawValue>,
    output: Option<Box<RawValue>>,
    dropped: Option<Dropped>,
    headers: serde_json::Map<String, serde_json::Value>,
    path: Option<String>,
    query: Option<String>,
    console: Vec<String>,
    error: Option<TrialError>,
    duration_ms: f64,
}

#[derive(Deserialize)]
struct Dropped {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct TrialError {
    message: String,
    line: Option<u32>,
    column: Option<u32>,
}

pub(super) async fn run(
    connection: &Connection,
    command: TransformCommand,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    let TransformCommand::Try(args) = command;
    let given = if args.file == "-" { "-".to_owned() } else { format!("@{}", args.file) };
    let code = String::from_utf8(input::bytes(&given)?).context("the script is not UTF-8")?;
    let api = connection.open()?;
    let body = body(&api, &code, &args).await?;
    let answer = api.post("/v1/transform/try", body, None).await?;
    let trial: Trial = answer.read()?;
    let code = if trial.error.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if connection.json {
        out.json(&answer.text)?;
    } else {
        show(&trial, &args.file, out)?;
    }
    Ok(code)
}

async fn body(api: &Api, code: &str, args: &TryArgs) -> anyhow::Result<String> {
    let code = serde_json::to_string(code)?;
    if let Some(id) = &args.event_id {
        return Ok(format!(r#"{{"code":{code},"eventId":{}}}"#, serde_json::to_string(id)?));
    }
    let Some(event_type) = &args.event else { bail!("name an event: --event TYPE or --event-id ID") };
    let data = match &args.data {
        Some(given) => input::json_value(given)?,
        None => example(api, event_type).await,
    };
    let event_type = serde_json::to_string(event_type)?;
    Ok(format!(r#"{{"code":{code},"event":{{"event":{event_type},"data":{data}}}}}"#))
}

/// Data that an event of this type could have: the catalog's first example, where it has one.
async fn example(api: &Api, event_type: &str) -> String {
    #[derive(Deserialize)]
    struct Known {
        examples: Vec<Box<RawValue>>,
    }
    // Whatever is wrong here is wrong with the call itself too, which tells.
    let answer = api.get(&format!("/v1/event-types/{}", encoded(event_type))).await.ok();
    let known = answer.and_then(|answer| answer.read::<Known>().ok());
    let first = known.and_then(|known| known.examples.into_iter().next());
    first.map_or_else(|| r#"{"example":true}"#.to_owned(), |example| example.get().to_owned())
}

fn show(trial: &Trial, file: &str, out: &mut Screen<'_>) -> anyhow::Result<()> {
    out.line(&[strong("before")])?;
    out.json(trial.input.get())?;
    for line in &trial.console {
        out.line(&[dim("console  "), line.as_str().into()])?;
    }
    if let Some(error) = &trial.error {
        let place = match (error.line, error.column) {
            (Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
            (Some(line), None) => format!("{file}:{line}: "),
            _ => String::new(),
        };
        out.line(&[toned(Tone::Bad, "failed"), "  ".into(), place.into(), error.message.as_str().into()])?;
    } else if let Some(dropped) = &trial.dropped {
        let reason = dropped.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        out.line(&[toned(Tone::Waiting, "dropped"), reason.into()])?;
    } else if let Some(output) = &trial.output {
        out.line(&[strong("after")])?;
        out.json(output.get())?;
        for (name, value) in &trial.headers {
            out.field("header", format!("{name}: {}", value.as_str().unwrap_or_default()).into())?;
        }
        for (name, value) in [("path", &trial.path), ("query", &trial.query)] {
            if let Some(value) = value {
                out.field(name, value.as_str().into())?;
            }
        }
    }
    out.line(&[dim(format!("took {:.2} ms", trial.duration_ms))])?;
    Ok(())
}
