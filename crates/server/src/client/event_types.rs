//! `event-types …`: the catalog, and whether events are held against it.
//!
//! Schemas and examples go out and are shown as they are spelled. Read `key.rs` next.

use std::process::ExitCode;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::answers::{EventType, Page, Settings};
use super::connection::Connection;
use super::http::{Answer, Api, encoded};
use super::input;
use super::screen::{Piece, Screen, Tone, dim, strong, toned};
use super::table::{Column, Table};
use super::when::shown;

/// The event types, their schemas, and what happens to events that are not as these have them
#[derive(Debug, clap::Subcommand)]
pub enum EventTypesCommand {
    /// List event types
    List,
    /// Show an event type with its schema, examples and versions
    Show {
        /// The event type, as message.received
        name: String,
        /// An earlier schema, by its number
        #[arg(long, value_name = "NUMBER")]
        version: Option<u32>,
    },
    /// Give an event type a schema, a description, examples; what is not given stays
    #[command(after_help = "Examples:
  vai-webhooks event-types set order.paid @order.schema.json --description 'An order was paid.'
  vai-webhooks event-types set order.paid --example '{\"orderId\":\"o-1\"}' --example @second.json
  vai-webhooks event-types set order.paid @next.schema.json --force

A schema that breaks consumers of the one before is refused, with what it breaks; --force puts it all the same.")]
    Set(SetArgs),
    /// Say, or set, what happens to events that are not as their schemas have them
    Mode {
        /// off: nothing is checked; warn: they are accepted and the answer says what is wrong; enforce: they are refused
        #[arg(value_parser = ["off", "warn", "enforce"])]
        mode: Option<String>,
    },
    /// Print the catalog as an OpenAPI 3.1 document with webhooks
    Openapi,
    /// Print the catalog as an AsyncAPI 3 document
    Asyncapi,
}

#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// The event type, as order.paid
    pub name: String,
    /// The JSON Schema 2020-12 of its data: JSON text, @FILE, or - for standard input
    pub schema: Option<String>,
    /// What it is, for people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// An example of its data, in place of those that there are: JSON text or @FILE; may be given several times
    #[arg(long = "example", value_name = "JSON")]
    pub examples: Vec<String>,
    /// Put it although it breaks consumers
    #[arg(long)]
    pub force: bool,
}

pub(super) async fn run(
    connection: &Connection,
    command: EventTypesCommand,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    let (api, json) = (connection.open()?, connection.json);
    match command {
        EventTypesCommand::List => list(&api, json, out).await?,
        EventTypesCommand::Show { name, version } => {
            let version = version.map(|number| format!("?version={number}")).unwrap_or_default();
            let answer = api.get(&format!("/v1/event-types/{}{version}", encoded(&name))).await?;
            if json {
                out.json(&answer.text)?;
            } else {
                describe(&answer.read()?, out)?;
            }
        }
        EventTypesCommand::Set(args) => set(&api, &args, json, out).await?,
        EventTypesCommand::Mode { mode } => {
            let answer = match mode {
                Some(mode) => api.patch("/v1/settings", format!("{{\"eventSchemas\":\"{mode}\"}}")).await?,
                None => api.get("/v1/settings").await?,
            };
            if json {
                out.json(&answer.text)?;
            } else {
                let Settings { event_schemas } = answer.read()?;
                let tone = if event_schemas == "off" { Tone::Plain } else { Tone::Good };
                out.line(&[toned(tone, event_schemas.as_str()), dim(meaning(&event_schemas))])?;
            }
        }
        EventTypesCommand::Openapi => out.json(&api.get("/v1/catalog/openapi.json").await?.text)?,
        EventTypesCommand::Asyncapi => out.json(&api.get("/v1/catalog/asyncapi.json").await?.text)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn meaning(mode: &str) -> &'static str {
    match mode {
        "off" => "  events are not held against their schemas",
        "warn" => "  events that are not as their schema has them are accepted, with a warning",
        "enforce" => "  events that are not as their schema has them are refused",
        _ => "",
    }
}

async fn list(api: &Api, json: bool, out: &mut Screen<'_>) -> anyhow::Result<()> {
    let answer = api.get("/v1/event-types").await?;
    if json {
        return Ok(out.json(&answer.text)?);
    }
    let page: Page<EventType> = answer.read()?;
    let columns = [
        Column::cut("NAME"),
        Column::whole("SCHEMA"),
        Column::whole("LAST SEEN (UTC)"),
        Column::cut("DESCRIPTION"),
    ];
    let mut table = Table::new(columns);
    for it in &page.data {
        let schema = match (&it.schema, it.version) {
            (Some(_), Some(version)) => format!("version {version}").into(),
            _ => dim("none"),
        };
        let seen = it.last_seen.map_or_else(|| dim("never"), |at| shown(at).into());
        let description = it.description.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        table.row([it.name.as_str().into(), schema, seen, description.into()]);
    }
    Ok(table.print(out)?)
}

fn describe(it: &EventType, out: &mut Screen<'_>) -> anyhow::Result<()> {
    out.line(&[strong(it.name.as_str()), dim(if it.typed { "  typed" } else { "" })])?;
    if let Some(description) = &it.description {
        out.field("description", description.as_str().into())?;
    }
    let version =
        it.version.map_or_else(|| dim("in no catalog; it was only seen"), |it| it.to_string().into());
    out.field("version", version)?;
    let seen = it.last_seen.map_or_else(|| dim("never"), |at| format!("{} UTC", shown(at)).into());
    out.field("last seen", seen)?;
    if let Some(found) = &it.mismatches {
        let text = format!("{} since the start, the last at {} UTC", found.count, shown(found.last_at));
        out.field("mismatches", toned(Tone::Bad, text))?;
        for violation in &found.last_violations {
            out.line(&violation.line())?;
        }
    }
    if it.versions.as_ref().is_some_and(|all| !all.is_empty()) {
        out.line(&[dim("  versions")])?;
    }
    for version in it.versions.iter().flatten() {
        let at = version.created_at.map_or_else(|| "built in".to_owned(), |at| format!("{} UTC", shown(at)));
        let broke = match version.breaks.len() {
            0 => Piece::from(""),
            many => toned(Tone::Waiting, format!("  forced: breaks {many} of the one before")),
        };
        out.line(&[dim(format!("    {:>3}  ", version.version)), at.into(), broke])?;
    }
    for (name, text) in [("schema", it.schema.as_deref()), ("examples", Some(&*it.examples))] {
        let Some(text) = text.map(RawValue::get).filter(|text| *text != "[]") else { continue };
        out.line(&[dim(format!("  {name}"))])?;
        out.json(text)?;
    }
    Ok(())
}

async fn set(api: &Api, args: &SetArgs, json: bool, out: &mut Screen<'_>) -> anyhow::Result<()> {
    let path = format!("/v1/event-types/{}", encoded(&args.name));
    let now: Option<EventType> = match api.get(&path).await {
        Ok(answer) => Some(answer.read()?),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    let answer: Answer = api.put(&path, body(args, now.as_ref())?).await?;
    if json {
        return Ok(out.json(&answer.text)?);
    }
    let it: EventType = answer.read()?;
    let version = it.version.map(|version| format!("  version {version}")).unwrap_or_default();
    out.line(&[toned(Tone::Good, "put"), " ".into(), strong(it.name.as_str()), dim(version)])?;
    Ok(())
}

/// What to put: what was given, and of the rest what there is.
fn body(args: &SetArgs, now: Option<&EventType>) -> anyhow::Result<String> {
    let raw = |given: &str| Ok::<_, anyhow::Error>(RawValue::from_string(input::json_value(given)?)?);
    let schema = match &args.schema {
        Some(given) => Some(raw(given)?),
        None => now.and_then(|it| it.schema.clone()),
    };
    let description = args.description.as_deref().or_else(|| now?.description.as_deref());
    let examples = match (args.examples.is_empty(), now) {
        (true, Some(it)) => it.examples.clone(),
        _ => to_raw_value(&args.examples.iter().map(|it| raw(it)).collect::<Result<Vec<_>, _>>()?)?,
    };
    let mut rest = Map::new();
    rest.extend(description.map(|text| ("description".to_owned(), Value::from(text))));
    rest.extend(args.force.then(|| ("force".to_owned(), Value::from(true))));
    let rest = Value::from(rest).to_string();
    let rest = rest.trim_start_matches('{');
    let comma = if rest == "}" { "" } else { "," };
    let schema = schema.as_deref().map_or("null", RawValue::get);
    Ok(format!("{{\"schema\":{schema},\"examples\":{}{comma}{rest}", examples.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(schema: Option<&str>, description: Option<&str>, examples: &[&str]) -> SetArgs {
        SetArgs {
            name: "a.b".to_owned(),
            schema: schema.map(str::to_owned),
            description: description.map(str::to_owned),
            examples: examples.iter().map(|it| (*it).to_owned()).collect(),
            force: false,
        }
    }

    #[test]
    fn what_is_given_is_put_as_it_was_spelled_and_the_rest_stays() {
        let first = args(Some(r#"{"type": "object"}"#), None, &[r#"{"n": 1.50}"#]);
        assert_eq!(body(&first, None).unwrap(), r#"{"schema":{"type": "object"},"examples":[{"n": 1.50}]}"#);
        let now: EventType = serde_json::from_str(
            r#"{"name":"a.b","typed":false,"version":1,"schema":{"x": 1e0},"examples":[ 7 ],"description":"d"}"#,
        )
        .unwrap();
        let kept = body(&SetArgs { force: true, ..args(None, None, &[]) }, Some(&now)).unwrap();
        assert_eq!(kept, r#"{"schema":{"x": 1e0},"examples":[ 7 ],"description":"d","force":true}"#);
        let changed = body(&args(None, Some("new"), &["8"]), Some(&now)).unwrap();
        assert_eq!(changed, r#"{"schema":{"x": 1e0},"examples":[8],"description":"new"}"#);
    }
}
