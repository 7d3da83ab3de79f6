//! `vai-webhooks receive --check`: whether the receiver would start, and whether its sinks are there.
//!
//! It exists so that a configuration can be tried where it will run. It changes nothing and sends nothing; the
//! configuration itself was read already. Read the receiver's `sink/mod.rs` next.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use vai_webhooks_receiver::{AccessKey, Config, ConfigError, SinkConfig, look_at_data};

use super::{KEY_ENV, rule_names};

/// How long a check waits for one sink.
const WAIT: Duration = Duration::from_secs(30);

/// Says of each part whether it is well.
pub(super) async fn run(data: &Path, file: Config, secrets: usize) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let secrets = format!("{secrets} secret{}", if secrets == 1 { "" } else { "s" });
    report.add("", Ok::<_, String>(secrets));
    if let Ok(key) = std::env::var(KEY_ENV) {
        report.add(KEY_ENV, AccessKey::parse(&key).map(|_| "can be used".to_owned()));
    }
    report.add("data", look_at_data(data));
    if !file.rules.is_empty() {
        report.add("rules", Ok::<_, String>(rule_names(&file.rules)));
    }
    for sink in &file.sinks {
        report.add(&format!("sink {} ({})", sink.name, sink.kind), reach(sink, data).await);
    }
    println!("{}", report.sum());
    Ok(if report.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn reach(sink: &SinkConfig, data: &Path) -> Result<String, String> {
    let opened = sink.open(data).map_err(|error| match error {
        // Its name stands before it.
        ConfigError::Sink { what, .. } => what.to_string(),
        other => other.to_string(),
    });
    match tokio::time::timeout(WAIT, opened?.check()).await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", WAIT.as_secs())),
    }
}

#[derive(Default)]
struct Report {
    all: usize,
    wrong: usize,
}

impl Report {
    fn add<E: std::fmt::Display>(&mut self, name: &str, found: Result<String, E>) {
        self.all += 1;
        let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
        match found {
            Ok(found) => println!("ok    {name}{found}"),
            Err(what) => {
                self.wrong += 1;
                println!("wrong {name}{what}");
            }
        }
    }

    fn sum(&self) -> String {
        match self.wrong {
            0 => "All is well".to_owned(),
            wrong => format!("{wrong} of {} to mend", self.all),
        }
    }
}
