//! What the demo shows: a line for each step of each event, within 80 columns.
//!
//! Colours only in a terminal, and not where `NO_COLOR` is set. Read `mod.rs` again.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use vai_webhooks_engine::Stats;
use vai_webhooks_receiver::{Observation, Outcome};
use vai_webhooks_wire::{UnixMs, types};

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const DIM: &str = "2";
const BOLD: &str = "1";
/// The longest event type that is shown whole.
const TYPE_CHARS: usize = 20;
/// So many characters of an id are shown, enough to follow one event by: those that change from one
/// millisecond to the next. The first ones are the year's, the last ones the installation's.
const ID_CHARS: usize = 6;
const ID_FROM: usize = 7;

/// The terminal, or a pipe.
pub(super) struct Screen {
    coloured: bool,
    retried: AtomicU64,
    recovered: AtomicU64,
}

impl Screen {
    pub(super) fn new() -> Self {
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { coloured, retried: AtomicU64::new(0), recovered: AtomicU64::new(0) }
    }

    /// The head: what runs where, and what to try.
    pub(super) fn begin(&self, api: &str, receiver: &str, key: &str) {
        self.print(&format!(
            "{}\n\n  engine    {api}\n  receiver  {receiver}\n  key       {key}\n\n\
             Conversations turn into signed deliveries; the receiver fails a tenth of\n\
             first attempts on purpose, and each is tried again. Ctrl-C ends it.\n\n\
             Try, in another terminal:\n\n\
             \x20 export VAI_URL={api}\n\
             \x20 export VAI_KEY={key}\n\
             \x20 curl -s $VAI_URL/v1/stats -H \"Authorization: Bearer $VAI_KEY\"\n\
             \x20 curl -s $VAI_URL/v1/events?limit=3 -H \"Authorization: Bearer $VAI_KEY\"\n\
             \x20 curl -s $VAI_URL/v1/events -H \"Authorization: Bearer $VAI_KEY\" \\\n\
             \x20   -d '{{\"event\":\"order.made\",\"data\":{{\"total\":42}}}}'\n\
             \x20 vai-webhooks webhook show demo-crm\n\n{}\n",
            self.paint(BOLD, "VAI Webhooks: the demo"),
            self.paint(DIM, &line("TIME", "EVENT", "ID", "STEP")),
        ));
    }

    /// An event is on disk and on its way.
    pub(super) fn accepted(&self, event_type: &str, id: &str) {
        self.step(event_type, id, DIM, "accepted, on disk; signed and sent");
    }

    /// The receiver failed on purpose.
    pub(super) fn failed(&self, event_type: &str, id: &str, status: StatusCode) {
        self.retried.fetch_add(1, Ordering::Relaxed);
        self.step(event_type, id, RED, &format!("receiver fails: {}, will retry", status.as_u16()));
    }

    /// The receiver decided on a request.
    pub(super) fn received(&self, seen: &Observation<'_>) {
        let (event_type, id) = (seen.event_type.unwrap_or("?"), seen.event_id.unwrap_or("?"));
        let attempt = seen.attempt.unwrap_or(1);
        let scheme = seen.scheme.unwrap_or("no");
        match seen.outcome {
            Outcome::Stored if attempt > 1 => {
                self.recovered.fetch_add(1, Ordering::Relaxed);
                let step = format!("received at try {attempt}: {scheme} verified, stored");
                self.step(event_type, id, YELLOW, &step);
            }
            Outcome::Stored => {
                self.step(event_type, id, GREEN, &format!("received: {scheme} verified, stored"));
            }
            Outcome::Duplicate => self.step(event_type, id, YELLOW, "received again: known already"),
            Outcome::Refused { status, code } => {
                self.step(event_type, id, RED, &format!("refused: {} {code}", status.as_u16()));
            }
        }
    }

    /// The sum of it all.
    pub(super) fn end(&self, sent: &BTreeMap<&'static str, u64>, stats: &Stats, left: u64) {
        let mut text = format!("\n{}\n\n", self.paint(BOLD, "Sent, by event type"));
        for event_type in types::ALL {
            // The one webhook.test was its registration's.
            let own = u64::from(event_type == types::WEBHOOK_TEST);
            let count = sent.get(event_type).copied().unwrap_or_default() + own;
            text.push_str(&format!("  {event_type:<TYPE_CHARS$}  {count:>5}\n"));
        }
        let failed = self.retried.load(Ordering::Relaxed);
        let recovered = self.recovered.load(Ordering::Relaxed);
        text.push_str(&format!(
            "\n{} delivered in {} attempts; {failed} first attempts failed, {recovered} of them\nsucceeded when tried again; ",
            stats.sent, stats.attempts
        ));
        text.push_str(&match left {
            0 => "none was lost.\n".to_owned(),
            left => format!("{left} were still waiting at the end.\n"),
        });
        text.push_str("\nNext: `vai-webhooks serve --help`, and `vai-webhooks receive --help`.\n");
        self.print(&text);
    }

    fn step(&self, event_type: &str, id: &str, colour: &str, step: &str) {
        let now = UnixMs::now().to_string();
        // 2026-01-31T12:00:00.000Z: the time of day.
        let time = now.get(11..23).unwrap_or_default();
        let short = id.get(ID_FROM..ID_FROM + ID_CHARS).unwrap_or(id);
        let text = line(time, event_type, short, step);
        self.print(&format!("{}\n", self.paint(colour, &text)));
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn print(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A pipe that was closed is no reason to fail: the demo ends with its signal.
        let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

fn line(time: &str, event_type: &str, id: &str, step: &str) -> String {
    format!("{time:<12} {event_type:<TYPE_CHARS$} {id:<ID_CHARS$} {step}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_within_80_columns() {
        for step in [
            "receiver fails: 503, will retry",
            "received at try 2: v1 verified, stored",
            "accepted, on disk; signed and sent",
        ] {
            let text = line("12:00:00.000", types::CONVERSATION_STARTED, "abcdef", step);
            assert!(text.chars().count() <= 80, "{}: {text}", text.chars().count());
        }
    }
}
