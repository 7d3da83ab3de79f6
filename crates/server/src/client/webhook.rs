//! `webhook …`: register, list, read, test and remove webhooks.
//!
//! Nothing is removed unless somebody said so outright. Read `add.rs` next.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::bail;

use super::add::{self, AddArgs};
use super::answers::{Page, RetryConfig, TestResult, Webhook, WebhookStats, state};
use super::connection::Connection;
use super::event::Paging;
use super::http::{Api, encoded};
use super::screen::{Piece, Screen, cut, strong, toned};
use super::table::{Column, Table};
use super::when::shown;

/// Register, list, read, test and remove webhooks
#[derive(Debug, clap::Subcommand)]
pub enum WebhookCommand {
    /// Register a webhook; its secret is shown this once
    #[command(after_help = "Examples:
  vai-webhooks webhook add https://example.com/webhooks/vai --event 'message.*'
  vai-webhooks webhook add http://127.0.0.1:3004/webhooks/vai --id crm \\
      --event conversation.started --event conversation.ended --max-attempts 5")]
    Add(Box<AddArgs>),
    /// List webhooks, newest first
    List(Paging),
    /// Show a webhook and what it was sent
    Show {
        /// The webhook's id
        id: String,
    },
    /// Send webhook.test to a webhook and show what came back; exits 1 where it was not delivered
    Test {
        /// The webhook's id
        id: String,
    },
    /// Remove a webhook; what still waits for it is cancelled
    Rm {
        /// The webhook's id
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(
    connection: &Connection,
    command: WebhookCommand,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    // What is wrong with the arguments is told before anything is asked of a server.
    if let WebhookCommand::Rm { id, yes: false } = &command
        && !confirmed(id)?
    {
        out.line(&["nothing was removed".into()])?;
        return Ok(ExitCode::FAILURE);
    }
    let json = connection.json;
    match command {
        WebhookCommand::Add(args) => add::run(connection, &args, out).await,
        WebhookCommand::List(paging) => list(&connection.open()?, &paging, json, out).await,
        WebhookCommand::Show { id } => show(&connection.open()?, &id, json, out).await,
        WebhookCommand::Test { id } => test(&connection.open()?, &id, json, out).await,
        WebhookCommand::Rm { id, .. } => {
            connection.open()?.delete(&path(&id)).await?;
            if !json {
                out.line(&["removed ".into(), strong(id)])?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn path(id: &str) -> String {
    format!("/v1/webhooks/{}", encoded(id))
}

async fn list(api: &Api, paging: &Paging, json: bool, out: &mut Screen<'_>) -> anyhow::Result<ExitCode> {
    let answer = api.get(&format!("/v1/webhooks{}", paging.query())).await?;
    if json {
        out.json(&answer.text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let page: Page<Webhook> = answer.read()?;
    let columns = [Column::whole("ID"), Column::whole("STATUS"), Column::cut("EVENTS"), Column::cut("URL")];
    let mut table = Table::new(columns);
    for webhook in &page.data {
        let events = webhook.events.join(", ");
        table.row([
            webhook.id.as_str().into(),
            state(&webhook.status),
            events.into(),
            webhook.url.as_str().into(),
        ]);
    }
    table.print(out)?;
    if page.data.is_empty() {
        out.line(&["there is no webhook here; add one with `vai-webhooks webhook add`".into()])?;
    }
    paging.more(page.next.as_deref(), out)?;
    Ok(ExitCode::SUCCESS)
}

async fn show(api: &Api, id: &str, json: bool, out: &mut Screen<'_>) -> anyhow::Result<ExitCode> {
    let answer = api.get(&path(id)).await?;
    if json {
        out.json(&answer.text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let webhook: Webhook = answer.read()?;
    let WebhookStats { stats } = api.get(&format!("{}/stats", path(id))).await?.read()?;
    out.line(&[strong(webhook.id.as_str())])?;
    described(&webhook, out)?;
    out.field("created", format!("{} UTC", shown(webhook.created_at)).into())?;
    let counts = format!("{} delivered, {} failed, {} waiting", stats.sent, stats.failed, stats.pending);
    out.field("events sent", counts.into())?;
    if let Some(at) = stats.last_sent {
        out.field("last sent", format!("{} UTC", shown(at)).into())?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn described(webhook: &Webhook, out: &mut Screen<'_>) -> io::Result<()> {
    out.field("status", state(&webhook.status))?;
    out.field("url", webhook.url.as_str().into())?;
    out.field("events", webhook.events.join(", ").into())?;
    if !webhook.channels.is_empty() {
        out.field("channels", webhook.channels.join(", ").into())?;
    }
    for (name, value) in &webhook.headers {
        out.field("header", format!("{name}: {}", value.as_str().unwrap_or_default()).into())?;
    }
    if let Some(retry) = webhook.retry_config.as_ref().and_then(retry_words) {
        out.field("retries", retry.into())?;
    }
    out.field("timeout", format!("{} ms", webhook.timeout_ms).into())?;
    if let Some(format) = webhook.format.as_deref().filter(|format| *format != "vai") {
        out.field("format", format.into())?;
    }
    if let Some(key) = &webhook.verifying_key {
        out.field("Ed25519 key", key.as_str().into())?;
    }
    match &webhook.description {
        Some(text) => out.field("description", text.as_str().into()),
        None => Ok(()),
    }
}

fn retry_words(retry: &RetryConfig) -> Option<String> {
    let attempts = retry.max_attempts?;
    Some(match retry.backoff_ms {
        Some(ms) => format!("{attempts} attempts, {ms} ms before the second, twice as long each time"),
        None => format!("{attempts} attempts, by a schedule"),
    })
}

async fn test(api: &Api, id: &str, json: bool, out: &mut Screen<'_>) -> anyhow::Result<ExitCode> {
    let answer = api.post(&format!("{}/test", path(id)), String::new(), None).await?;
    let TestResult { event_id, exchange } = answer.read()?;
    if json {
        out.json(&answer.text)?;
    } else {
        let word = if exchange.delivered { "delivered" } else { "not delivered" };
        out.line(&[toned(exchange.tone(), word), Piece::from(format!(": {}", exchange.summary()))])?;
        if let Some(detail) = exchange.detail {
            out.field("reason", detail.into())?;
        }
        out.field("event", event_id.into())?;
        if !exchange.answer.trim().is_empty() {
            out.field("answer", cut(exchange.answer.trim(), 200).into_owned().into())?;
        }
    }
    Ok(if exchange.delivered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks a person. Where there is none, removing has to be said outright.
fn confirmed(id: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("add --yes to remove it: nobody is here to ask");
    }
    let shown: String = id.chars().filter(|c| !c.is_control()).collect();
    write!(io::stderr(), "Remove {shown}, and cancel what still waits for it? [y/N] ")?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
