//! `cargo xtask bench`: the release binary, as users run it, next to the same producer without it.
//!
//! Three processes' worth of work on one machine: a receiver, the server (its own process) and a
//! producer. `direct` posts straight to the receiver: the ceiling, measured in the same run, before and
//! after. `single` posts one event per call to the server, which delivers it. Durability is never
//! switched off. Figures of different machines compare by their ratio to `direct` alone.

mod load;
mod receiver;
mod server;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use self::load::Load;
use self::receiver::Receiver;
use self::server::Server;
use crate::root;

/// Options of `bench`.
#[derive(Args)]
pub struct BenchArgs {
    /// How long each measurement runs, in seconds
    #[arg(long, default_value_t = 5)]
    secs: u64,
    /// Pin everything to so many cores, so that figures of different machines compare; 0: to none
    #[arg(long, default_value_t = 2)]
    cores: usize,
    /// Print JSON alone
    #[arg(long)]
    json: bool,
    /// Producer connections, each a measurement of its own
    #[arg(long, default_values_t = [1, 64])]
    connections: Vec<usize>,
    /// Set by the command itself, when it runs its own release build
    #[arg(long, hide = true)]
    inner: bool,
}

/// An event of about 600 bytes on the wire.
const TEXT_CHARS: usize = 440;

pub fn run(args: &BenchArgs) -> anyhow::Result<()> {
    if !args.inner {
        build()?;
        return run_release(args.cores);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let rows = runtime.block_on(measure(args))?;
    if args.json {
        println!("{:#}", Value::Array(rows));
        return Ok(());
    }
    println!(
        "{:>11}  {:>8}  {:>10}  {:>11}  {:>5}  {:>9}  {:>8}",
        "CONNECTIONS", "DIRECT/s", "ACCEPTED/s", "DELIVERED/s", "RATIO", "CPU/EVENT", "RESIDENT"
    );
    for row in rows {
        let number = |name: &str| row[name].as_f64().unwrap_or_default();
        println!(
            "{:>11}  {:>8.0}  {:>10.0}  {:>11.0}  {:>5.2}  {:>6.1} us  {:>4} MiB",
            number("connections"),
            number("direct"),
            number("accepted"),
            number("delivered"),
            number("ratio"),
            number("engineCpuUsPerEvent"),
            number("engineResidentMiB")
        );
    }
    Ok(())
}

/// Builds the server and this command as users run them: a slow producer would measure itself.
fn build() -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "vai-webhooks", "--package", "xtask"])
        .current_dir(root())
        .status()
        .context("cargo")?;
    if built.success() { Ok(()) } else { bail!("the server does not build") }
}

/// Runs the release build of this same command, on the first `cores` processors.
fn run_release(cores: usize) -> anyhow::Result<()> {
    let this = root().join("target/release/xtask");
    let mut command = match cores {
        0 => Command::new(this),
        _ => {
            let mut pinned = Command::new("taskset");
            pinned.args(["--cpu-list", &format!("0-{}", cores - 1)]).arg(this);
            pinned
        }
    };
    let status = command
        .args(std::env::args_os().skip(1))
        .arg("--inner")
        .status()
        .context("taskset (of util-linux) pins processes; without it: --cores 0")?;
    if status.success() { Ok(()) } else { bail!("the measurement failed") }
}

async fn measure(args: &BenchArgs) -> anyhow::Result<Vec<Value>> {
    let span = Duration::from_secs(args.secs.max(1));
    let receiver = Receiver::start().await?;
    let body = json!({"event": "message.received", "data": {
        "sessionId": "s-1", "message": {"text": "x".repeat(TEXT_CHARS), "type": "text", "metadata": {}},
        "userId": "u-1", "entities": [], "timestamp": "2026-01-01T00:00:00.000Z"}})
    .to_string();
    let mut rows = Vec::new();
    for &connections in &args.connections {
        let direct = Load { url: receiver.url.clone(), key: String::new(), body: body.clone(), connections };
        let before = per_second(direct.run(span).await?, span);
        let server = Server::start().await?;
        server.register(&receiver.url).await?;
        let single = Load {
            url: format!("{}/v1/events", server.url),
            key: server.key.clone(),
            body: body.clone(),
            connections,
        };
        let from = receiver.count();
        let began = Instant::now();
        let accepted = single.run(span).await?;
        let accepted_per_sec = per_second(accepted, span);
        receiver.wait_for(from + accepted).await?;
        let delivered = accepted as f64 / began.elapsed().as_secs_f64();
        let usage = server.usage()?;
        let engine_cpu_us = usage.cpu.as_secs_f64() * 1e6 / accepted as f64;
        let resident_mib = usage.resident_bytes >> 20;
        server.stop().await?;
        let after = per_second(direct.run(span).await?, span);
        let ceiling = f64::midpoint(before, after);
        rows.push(json!({
            "connections": connections, "bodyBytes": body.len(), "directBefore": before, "directAfter": after,
            "direct": ceiling, "accepted": accepted_per_sec, "delivered": delivered, "ratio": delivered / ceiling,
            "engineCpuUsPerEvent": engine_cpu_us, "engineResidentMiB": resident_mib,
        }));
    }
    Ok(rows)
}

fn per_second(count: u64, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64()
}
