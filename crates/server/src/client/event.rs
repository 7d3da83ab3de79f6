//! `event …`: send, read and list events.
//!
//! Read `send.rs` next.

use std::io;
use std::process::ExitCode;

use super::answers::{Counts, Event, Page};
use super::connection::Connection;
use super::fate;
use super::http::{Api, encoded};
use super::screen::{Piece, Screen, Tone, dim, toned};
use super::send::{self, SendArgs};
use super::table::{Column, Table};
use super::when::shown;

/// Send, read and list events
#[derive(Debug, clap::Subcommand)]
pub enum EventCommand {
    /// Send an event; answered once it is on the server's disk
    #[command(after_help = "Examples:
  vai-webhooks event send message.received '{\"sessionId\":\"s-1\",\"message\":{\"content\":\"hello\"}}'
  vai-webhooks event send order.paid @order.json --id order-4711 --wait
  echo '{\"n\":1}' | vai-webhooks event send my.event - --deliver-at +10m")]
    Send(SendArgs),
    /// Show an event, and what became of it at each webhook
    Show {
        /// The event's id
        id: String,
    },
    /// List events, newest first
    List(Paging),
}

#[derive(Debug, clap::Args)]
pub struct Paging {
    /// How many to list, 250 at most
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u64>,
    /// Where the last page ended
    #[arg(long)]
    pub cursor: Option<String>,
}

impl Paging {
    /// The query that asks for this page.
    pub(super) fn query(&self) -> String {
        let limit = self.limit.map(|limit| format!("limit={limit}"));
        let cursor = self.cursor.as_ref().map(|cursor| format!("cursor={}", encoded(cursor)));
        let pairs: Vec<String> = limit.into_iter().chain(cursor).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// Says how to see the next page, where there is one.
    pub(super) fn more(&self, next: Option<&str>, out: &mut Screen<'_>) -> io::Result<()> {
        let Some(cursor) = next else { return Ok(()) };
        let limit = self.limit.map(|limit| format!(" --limit {limit}")).unwrap_or_default();
        out.line(&[dim(format!("more:{limit} --cursor {cursor}"))])
    }
}

pub(super) async fn run(
    connection: &Connection,
    command: EventCommand,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    match command {
        EventCommand::Send(args) => send::run(connection, &args, out).await,
        EventCommand::Show { id } => {
            let fate = fate::read(&connection.open()?, &id).await?;
            if connection.json {
                out.json(&fate.json())?
            } else {
                fate.show(out)?
            }
            Ok(ExitCode::SUCCESS)
        }
        EventCommand::List(paging) => list(&connection.open()?, &paging, connection.json, out).await,
    }
}

async fn list(api: &Api, paging: &Paging, json: bool, out: &mut Screen<'_>) -> anyhow::Result<ExitCode> {
    let answer = api.get(&format!("/v1/events{}", paging.query())).await?;
    if json {
        out.json(&answer.text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let page: Page<Event> = answer.read()?;
    let columns = [
        Column::whole("ID"),
        Column::cut("EVENT"),
        Column::whole("ACCEPTED (UTC)"),
        Column::cut("DELIVERIES"),
    ];
    let mut table = Table::new(columns);
    for event in &page.data {
        let result = match &event.nowhere {
            Some(nowhere) => dim(nowhere.words()),
            None => tally(&event.deliveries),
        };
        table.row([
            event.id.as_str().into(),
            event.event.as_str().into(),
            shown(event.accepted_at).into(),
            result,
        ]);
    }
    table.print(out)?;
    if page.data.is_empty() {
        out.line(&["there is no event here; send one with `vai-webhooks event send`".into()])?;
    }
    paging.more(page.next.as_deref(), out)?;
    Ok(ExitCode::SUCCESS)
}

/// `1 delivered, 2 waiting`; the worst of them gives the colour.
fn tally(counts: &Counts) -> Piece<'static> {
    let all = [
        (counts.failed, "failed", Tone::Bad),
        (counts.pending, "waiting", Tone::Waiting),
        (counts.cancelled, "cancelled", Tone::Plain),
        (counts.dropped, "dropped", Tone::Plain),
        (counts.delivered, "delivered", Tone::Good),
    ];
    let some = all.iter().filter(|(many, ..)| *many > 0);
    let tone = some.clone().map(|(.., tone)| *tone).next().unwrap_or(Tone::Dim);
    let words: Vec<String> = some.map(|(many, word, _)| format!("{many} {word}")).collect();
    if words.is_empty() { dim("none") } else { toned(tone, words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_an_events_deliveries_comes_first() {
        let counts =
            |failed, pending, delivered| Counts { failed, pending, delivered, cancelled: 0, dropped: 0 };
        assert_eq!(tally(&counts(0, 0, 2)), toned(Tone::Good, "2 delivered"));
        assert_eq!(tally(&counts(1, 1, 1)), toned(Tone::Bad, "1 failed, 1 waiting, 1 delivered"));
        assert_eq!(tally(&counts(0, 0, 0)).text, "none");
    }

    #[test]
    fn a_page_is_asked_for_by_its_limit_and_cursor() {
        let paging =
            |limit, cursor: Option<&str>| Paging { limit, cursor: cursor.map(str::to_owned) }.query();
        assert_eq!(paging(None, None), "");
        assert_eq!(paging(Some(5), Some("a&b")), "?limit=5&cursor=a%26b");
    }
}
