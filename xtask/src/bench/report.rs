//! What was measured, as a table for people and JSON for programs.

use serde::Serialize;

use super::latency::Spread;

/// One measurement.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What was measured.
    pub mode: String,
    /// Events a second that were answered 2xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_per_sec: Option<f64>,
    /// Deliveries a second, from the first call to the last arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_per_sec: Option<f64>,
    /// What it is held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// Processor time of the server for each delivery, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_cpu_us: Option<f64>,
    /// Processor time of producers and receivers for each delivery, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_cpu_us: Option<f64>,
    /// The most memory that the server had resident, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_mib: Option<u64>,
    /// From call to arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Spread>,
    /// Whatever else was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A baseline of the same run, and what is promised of the ratio to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Against {
    /// What the baseline is.
    pub baseline: String,
    /// It, in the same unit.
    pub per_sec: f64,
    /// This by that.
    pub ratio: f64,
    /// The least that is promised.
    pub floor: Option<f64>,
}

impl Against {
    pub fn new(baseline: &str, per_sec: f64, this: f64, floor: Option<f64>) -> Self {
        Self { baseline: baseline.to_owned(), per_sec, ratio: this / per_sec, floor }
    }
}

const HEADS: [&str; 8] =
    ["MODE", "ACCEPTED/s", "DELIVERED/s", "RATIO", "FLOOR", "ENGINE CPU", "LOAD CPU", "RESIDENT"];

/// The line above the rows.
pub fn print_head() {
    line(&HEADS.map(str::to_owned));
}

/// One row, as soon as it is known.
pub fn print_row(row: &Row) {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.0}"));
    let micros = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.1} us"));
    let against = row.against.as_ref();
    line(&[
        row.mode.clone(),
        number(row.accepted_per_sec),
        number(row.delivered_per_sec),
        against.map_or_else(String::new, |it| format!("{:.2} {}", it.ratio, it.baseline)),
        against.and_then(|it| it.floor).map_or_else(String::new, |floor| format!("{floor:.2}")),
        micros(row.engine_cpu_us),
        micros(row.load_cpu_us),
        row.resident_mib.map_or_else(String::new, |mib| format!("{mib} MiB")),
    ]);
    if let Some(Spread { p50_ms, p95_ms, p99_ms, max_ms }) = row.latency {
        println!("{:26}p50 {p50_ms:.2} ms, p95 {p95_ms:.2}, p99 {p99_ms:.2}, max {max_ms:.2}", "");
    }
    if let Some(note) = &row.note {
        println!("{:26}{note}", "");
    }
}

fn line(columns: &[String; 8]) {
    let [mode, accepted, delivered, ratio, floor, engine, load, resident] = columns;
    println!(
        "{mode:24}  {accepted:>10}  {delivered:>11}  {ratio:>14}  {floor:>5}  {engine:>10}  {load:>9}  {resident:>8}"
    );
}
