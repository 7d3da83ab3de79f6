//! `/metrics`: Prometheus' text format, version 0.0.4.
//!
//! Counters count since the start of the process; `_deliveries_waiting` and `_oldest_due_seconds` are
//! read from the store. Read `document.rs` next.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::problem::Problem;

/// Read metrics
///
/// In Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "server", security(()),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 503, body = Problem)))]
pub(super) async fn read(State(api): State<Api>) -> Result<Response, Problem> {
    let counts = api.engine.counts();
    let (stats, oldest_due) = api.engine.totals().await?;
    let oldest_ms = oldest_due.map_or(0, |at| api.engine.now().since(at).max(0));
    let mut text = Text(String::with_capacity(4_096));
    text.head("vai_events_total", "counter", "Events posted, by what became of them.");
    text.line("vai_events_total{result=\"accepted\"}", counts.events_accepted);
    text.line("vai_events_total{result=\"repeated\"}", counts.events_repeated);
    text.line("vai_events_total{result=\"refused\"}", counts.events_refused);
    text.head(
        "vai_schema_mismatches_total",
        "counter",
        "Events that were not as their schema has them, by mode.",
    );
    text.line("vai_schema_mismatches_total{mode=\"warn\"}", counts.schema_warned);
    text.line("vai_schema_mismatches_total{mode=\"enforce\"}", counts.schema_refused);
    text.head(
        "vai_events_shed_total",
        "counter",
        "Events not taken although nothing was wrong with them, by reason.",
    );
    for (reason, count) in counts.events_shed {
        text.line(&format!("vai_events_shed_total{{reason=\"{}\"}}", reason.as_str()), count);
    }
    text.head("vai_attempts_total", "counter", "Attempts made, by result.");
    text.line("vai_attempts_total{result=\"2xx\"}", counts.answered_2xx);
    text.line("vai_attempts_total{result=\"other_status\"}", counts.answered_other);
    for (kind, count) in counts.failed {
        text.line(&format!("vai_attempts_total{{result=\"{}\"}}", kind.as_str()), count);
    }
    text.head("vai_deliveries_total", "counter", "Deliveries, by where an attempt left them.");
    text.line("vai_deliveries_total{outcome=\"delivered\"}", counts.delivered);
    text.line("vai_deliveries_total{outcome=\"retried\"}", counts.retried);
    text.line("vai_deliveries_total{outcome=\"exhausted\"}", counts.exhausted);
    text.line("vai_deliveries_total{outcome=\"rejected\"}", counts.rejected);
    text.head("vai_deliveries_waiting", "gauge", "Deliveries that are not final.");
    text.line("vai_deliveries_waiting", stats.pending);
    text.head("vai_oldest_due_seconds", "gauge", "How long the delivery that has waited longest is due.");
    text.line("vai_oldest_due_seconds", format!("{}.{:03}", oldest_ms / 1_000, oldest_ms % 1_000));
    text.head("vai_attempts_in_flight", "gauge", "Attempts that run now.");
    text.line("vai_attempts_in_flight", counts.in_flight);
    text.head("vai_lanes", "gauge", "Webhooks that have something in memory now.");
    text.line("vai_lanes", counts.lanes);
    text.head("vai_circuits_opened_total", "counter", "How often a failing webhook was set to being probed.");
    text.line("vai_circuits_opened_total", counts.circuits_opened);
    text.head(
        "vai_commit_wait_seconds",
        "gauge",
        "How long the oldest write that is not on disk has waited.",
    );
    text.line("vai_commit_wait_seconds", format!("{:.6}", api.engine.commit_wait().as_secs_f64()));
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.0).into_response())
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // A String takes every text.
        let _always = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        let _always = writeln!(self.0, "{name} {value}");
    }
}
