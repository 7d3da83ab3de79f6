//! `cargo xtask bench`: the release binary, as users run it, next to the same producers without it.
//!
//! Producers (this process), the server and each receiver are processes of their own on one machine. `direct`
//! posts straight to a receiver: the ceiling, measured before and after whatever is held against it. Producers use
//! hyper's pooled client and receivers axum, as those of our users do who write in Rust; `direct, bare` shows what bare
//! connections of hyper's would make of it. Durability is never switched off. Figures of different machines compare by their ratios alone.

mod crowd;
mod events;
mod inbox;
mod latency;
mod load;
mod pace;
mod receiver;
mod report;
mod server;
mod signing;
mod throughput;
mod usage;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use self::receiver::Mood;
use self::report::{Against, Row, print_head, print_row};
use crate::root;

/// Options of `bench`.
#[derive(Args)]
#[command(
    after_help = "Each ratio is to a baseline of the same run, measured before and after: `direct`, or `single`.
CPU is processor time for each delivery; RESIDENT is the most memory that the server had."
)]
pub struct BenchArgs {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    modes: Vec<Mode>,
    /// How long each measurement runs, in seconds
    #[arg(long, default_value_t = 10)]
    secs: u64,
    /// Pin everything to so many cores, so that figures of different machines compare; 0: to none
    #[arg(long, default_value_t = 2)]
    cores: usize,
    /// Producer connections
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Print JSON alone
    #[arg(long)]
    json: bool,
    /// Set by the command itself, when it runs its own release build
    #[arg(long, hide = true)]
    inner: bool,
    /// Set by the command itself, for a receiver
    #[arg(long, hide = true)]
    receiver: Option<Mood>,
}

/// How many connections a sender has to a receiver for each of a producer's: one sender stands for many producers.
const SENDER_CONNECTIONS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Producers post straight to a receiver: the ceiling
    Direct,
    /// One event a call
    Single,
    /// A hundred events a call
    Batch,
    /// Each event to ten webhooks
    Fanout,
    /// 200 and 2,000 events a second: how long each takes from call to arrival
    Paced,
    /// As single, while 2 % of first attempts fail
    Flaky,
    /// As single, with the data held against its schema
    Schema,
    /// As single, with each body made by a script of 20 lines
    Transform,
    /// A healthy webhook beside one that hangs for 20 s
    SlowNeighbour,
    /// Webhooks with and without a script beside one whose script always runs into its time limit
    SlowScript,
    /// As single, with 100,000 webhooks of 1,000 tenants
    Many,
    /// As single, beside 1,000,000 deliveries that wait for a retry
    Backlog,
    /// The signatures of sixteen deliveries at once, beside one by one
    Sign,
    /// Signed events to `vai-webhooks receive`, beside a receiver that only reads the body
    Receive,
    /// A million events in the inbox of `vai-webhooks receive`: its memory
    ReceiveMillion,
}

pub fn run(args: &BenchArgs) -> anyhow::Result<()> {
    if let Some(mood) = args.receiver {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return runtime.block_on(receiver::serve(mood));
    }
    if !args.inner {
        build()?;
        return run_release(args.cores);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let rows = runtime.block_on(Bench { args, rows: Vec::new() }.measure())?;
    if args.json {
        println!("{:#}", json!({"cores": args.cores, "secs": args.secs, "rows": rows}));
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

struct Bench<'a> {
    args: &'a BenchArgs,
    rows: Vec<Row>,
}

impl Bench<'_> {
    async fn measure(mut self) -> anyhow::Result<Vec<Row>> {
        if !self.args.json {
            print_head();
        }
        for &mode in if self.args.modes.is_empty() { Mode::value_variants() } else { &self.args.modes } {
            self.mode(mode).await.with_context(|| format!("{mode:?}"))?;
        }
        Ok(self.rows)
    }

    fn keep(&mut self, row: Row) {
        if !self.args.json {
            print_row(&row);
        }
        self.rows.push(row);
    }

    async fn mode(&mut self, mode: Mode) -> anyhow::Result<()> {
        let (span, connections) = (Duration::from_secs(self.args.secs.max(1)), self.args.connections);
        match mode {
            Mode::Direct => {
                let row = throughput::direct(span, connections).await?;
                self.keep(row);
                let row = throughput::bare(span, connections).await?;
                self.keep(row);
            }
            Mode::Single => {
                self.against_direct(|| throughput::single(span, connections), 0.35).await?;
                let mut row = throughput::single(span, 1).await?;
                row.note = Some("at least 1,500 accepted/s".to_owned());
                self.keep(row);
            }
            Mode::Batch => self.against_direct(|| throughput::batch(span, connections), 0.60).await?,
            Mode::Fanout => self.against_direct(|| throughput::fanout(span, connections), 0.65).await?,
            Mode::Flaky => self.against_single(|| throughput::flaky(span, connections), 0.9).await?,
            Mode::Schema => self.against_single(|| throughput::schema(span, connections), 0.85).await?,
            Mode::Transform => self.against_single(|| throughput::transform(span, connections), 0.6).await?,
            Mode::Many => {
                let few = || throughput::single_of_few(span, connections);
                self.against(few, "single", || crowd::many(span, connections), 0.9).await?;
            }
            Mode::Backlog => self.against_single(|| crowd::backlog(span, connections), 0.8).await?,
            Mode::Sign => {
                let one_by_one = || signing::one_by_one(span);
                self.against(one_by_one, "one by one", || signing::side_by_side(span), 0.9).await?;
            }
            Mode::Receive => {
                let many = connections * SENDER_CONNECTIONS;
                let body_only = || inbox::body_only(span, many);
                self.against(body_only, "body only", || inbox::receive(span, many), 0.5).await?;
                let row = inbox::receive_with_sink(span, many).await?;
                self.keep(row);
            }
            Mode::ReceiveMillion => {
                let row = inbox::million(connections).await?;
                self.keep(row);
            }
            Mode::Paced => {
                for (per_sec, floors_ms) in [(200, (1.0, 3.0)), (2_000, (1.5, 10.0))] {
                    for row in pace::paced(span, per_sec, floors_ms).await? {
                        self.keep(row);
                    }
                }
            }
            Mode::SlowNeighbour => {
                for row in pace::slow_neighbour(span).await? {
                    self.keep(row);
                }
            }
            Mode::SlowScript => {
                for row in pace::slow_script(span).await? {
                    self.keep(row);
                }
            }
        }
        Ok(())
    }

    async fn against_direct<F>(&mut self, this: impl Fn() -> F, floor: f64) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<Row>>,
    {
        let (span, connections) = (Duration::from_secs(self.args.secs.max(1)), self.args.connections);
        self.against(|| throughput::direct(span, connections), "direct", this, floor).await
    }

    async fn against_single<F>(&mut self, this: impl Fn() -> F, floor: f64) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<Row>>,
    {
        let (span, connections) = (Duration::from_secs(self.args.secs.max(1)), self.args.connections);
        self.against(|| throughput::single(span, connections), "single", this, floor).await
    }

    /// Measures `this`, with the baseline before and after it.
    async fn against<B, T>(
        &mut self,
        baseline: impl Fn() -> B,
        name: &str,
        this: impl Fn() -> T,
        floor: f64,
    ) -> anyhow::Result<()>
    where
        B: Future<Output = anyhow::Result<Row>>,
        T: Future<Output = anyhow::Result<Row>>,
    {
        let before = baseline().await?;
        let mut row = this().await?;
        let after = baseline().await?;
        let rate = |row: &Row| row.delivered_per_sec.unwrap_or(f64::NAN);
        let ceiling = f64::midpoint(rate(&before), rate(&after));
        row.against = Some(Against::new(name, ceiling, rate(&row), Some(floor)));
        self.keep(before);
        self.keep(row);
        self.keep(after);
        Ok(())
    }
}
