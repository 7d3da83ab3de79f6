//! `GET /metrics`: what the status says, as Prometheus reads it.
//!
//! It exists for alerts. Source of the format: the Prometheus text exposition format 0.0.4. Invariant: labels are sinks'
//! names, kinds of events and codes of this program, none of them a sender's text. Read `status.rs` next.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use vai_webhooks_wire::UnixMs;

use crate::receiver::Shared;
use crate::store::Kind;

/// All of them.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let mut page = Page::default();
    let totals = shared.store.totals();
    let kinds = || Kind::ALL.iter().map(|kind| (*kind, totals.get(*kind)));
    page.family("vai_receiver_events_total", "counter", "Events that were stored, each once");
    for (kind, count) in kinds() {
        page.value("vai_receiver_events_total", &[("event", kind.name())], count.received);
    }
    page.family("vai_receiver_duplicates_total", "counter", "Requests with an event that was stored already");
    for (kind, count) in kinds() {
        page.value("vai_receiver_duplicates_total", &[("event", kind.name())], count.duplicates);
    }
    page.family("vai_receiver_rejected_total", "counter", "Requests that were refused, since the start");
    for (code, count) in shared.rejected.by_code() {
        page.value("vai_receiver_rejected_total", &[("reason", code)], count);
    }
    if let Some(at) = totals.last_received_ms {
        let name = "vai_receiver_last_received_timestamp_seconds";
        page.family(name, "gauge", "When an event was last stored");
        page.value(name, &[], seconds(at));
    }
    sinks(&shared, &mut page).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0).into_response()
}

async fn sinks(shared: &Shared, page: &mut Page) {
    let stored_to = *shared.store.stored_to().borrow();
    let mut rows = Vec::new();
    for state in shared.inbox.states() {
        let numbers = state.numbers();
        let after = numbers.taken_to;
        let oldest = match stored_to > after {
            true => shared.store.look(move |reader| reader.received_after(after)).await.ok().flatten(),
            false => None,
        };
        let lag_ms = oldest.map_or(0, |at| (UnixMs::now().0 - at).max(0));
        rows.push((state.name().clone(), numbers, lag_ms));
    }
    let families: [Family<'_>; 5] = [
        ("vai_receiver_sink_taken_total", "counter", "Events that the sink took, since the start", &|at| {
            rows[at].1.taken as f64
        }),
        ("vai_receiver_sink_waiting", "gauge", "Stored events that the sink is not done with", &|at| {
            (stored_to - rows[at].1.taken_to).max(0) as f64
        }),
        ("vai_receiver_sink_lag_seconds", "gauge", "How long ago the oldest of them arrived", &|at| {
            seconds(rows[at].2)
        }),
        ("vai_receiver_sink_dead_letters", "gauge", "Events that the sink refused", &|at| {
            rows[at].1.dead as f64
        }),
        ("vai_receiver_sink_failing", "gauge", "1 where the sink does not take what it is given", &|at| {
            f64::from(u8::from(rows[at].1.failing_since_ms.is_some()))
        }),
    ];
    for (name, kind, help, value) in families {
        if !rows.is_empty() {
            page.family(name, kind, help);
        }
        for (at, (sink, _, _)) in rows.iter().enumerate() {
            page.value(name, &[("sink", sink)], value(at));
        }
    }
}

/// A name, its kind, what it is, and the value of the sink at a place.
type Family<'a> = (&'a str, &'a str, &'a str, &'a dyn Fn(usize) -> f64);

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // A String takes every text.
        let _always = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{text}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _always = writeln!(self.0, "{name}{labels} {value}");
    }
}
