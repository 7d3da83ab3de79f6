//! `vai-webhooks receive`: the receiver as a process.
//!
//! Verifies, stores each event once, answers after the write, counts truly. Read the receiver's crate
//! next.

mod check;
mod try_rule;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use vai_webhooks_receiver::rule::Rule;
use vai_webhooks_receiver::service::{ServiceConfig, parse_secrets, serve};
use vai_webhooks_receiver::{AccessKey, Config};

use crate::serve::write_private;
use crate::signals::Signals;

/// Options of `receive`.
#[derive(Debug, Args)]
#[command(
    after_help = "Set VAI_WEBHOOK_SECRET to the webhook's secret; while it is being rotated, to both, separated by a comma. \
VAI_RECEIVE_KEY sets the key to the receiver's own routes. Without it, the first start makes one and keeps it in \
the file receiver-key of the data directory.

  VAI_WEBHOOK_SECRET=whsec_… vai-webhooks receive
  KEY=$(cat vai-receiver-data/receiver-key)
  curl -H \"Authorization: Bearer $KEY\" http://127.0.0.1:3004/webhook/status"
)]
pub struct ReceiveArgs {
    /// Listen on this port
    #[arg(long, env = "PORT", default_value_t = 3004)]
    port: u16,
    /// Listen on this address
    #[arg(long, env = "VAI_RECEIVE_HOST", default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// Keep what came in in this directory; it is made if missing
    #[arg(long, env = "VAI_RECEIVE_DATA", default_value = "vai-receiver-data", value_name = "DIR")]
    data: PathBuf,
    /// Read where events go from this TOML file; docs/receiver.md lists what can stand in it
    #[arg(long, env = "VAI_RECEIVE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Refuse requests that carry only the legacy X-VAI-Signature, which has no protection against replay
    #[arg(long, env = "VAI_RECEIVE_NO_LEGACY")]
    no_legacy: bool,
    /// Verify the configuration, reach every sink, say what is wrong, and end: 0 where all is well
    #[arg(long)]
    check: bool,
    /// Say what a rule of the configuration, or a shipped one, would have done with past events, and end. FILE holds an
    /// event a line, as a jsonl sink writes them; - is the standard input
    #[arg(long, num_args = 2, value_names = ["RULE", "FILE"], conflicts_with = "check")]
    test_rule: Option<Vec<String>>,
}

/// The environment's key to the receiver's own routes.
const KEY_ENV: &str = "VAI_RECEIVE_KEY";
/// The file in the data directory with the key that was made at the first start.
const KEY_FILE: &str = "receiver-key";
/// Random bytes of a key that is made.
const KEY_BYTES: usize = 24;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs until a signal, or until the store fails.
pub async fn run(args: ReceiveArgs) -> anyhow::Result<ExitCode> {
    if let Some([name, file]) = args.test_rule.as_deref() {
        let rules = args.config.as_deref().map(read).transpose()?.unwrap_or_default().rules;
        return try_rule::run(rules, name, file);
    }
    let signals = Signals::new()?;
    let secrets = parse_secrets(&std::env::var("VAI_WEBHOOK_SECRET").unwrap_or_default())?;
    let file = match &args.config {
        Some(path) => read(path)?,
        None => Config::default(),
    };
    if args.check {
        return check::run(&args.data, file, secrets.len()).await;
    }
    let names: Vec<String> = file.sinks.iter().map(|sink| sink.name.clone()).collect();
    let (key, made) = key(&args.data)?;
    let listen = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let mut config = ServiceConfig {
        accept_legacy: !args.no_legacy,
        sinks: file.sinks,
        rules: file.rules,
        key: Some(key),
        ..ServiceConfig::new(address, &args.data, secrets)
    };
    if let Some(days) = file.retain_days {
        config.retain = Some(DAY * days);
    }
    println!("Webhook receiver listens on http://{address}");
    println!("Webhook endpoint: http://{address}/webhooks/vai");
    println!("Data: {}", args.data.display());
    if let Some(path) = made {
        println!("Key to the receiver's own routes: in {}", path.display());
    }
    if !names.is_empty() {
        println!("Sinks: {}", names.join(", "));
    }
    if !config.rules.is_empty() {
        println!("Rules: {}", rule_names(&config.rules));
    }
    std::io::stdout().flush()?;
    let stop = async {
        let name = signals.first().await;
        println!("{name}: finishing (send it again to end at once)");
    };
    serve(config, listener, stop).await?;
    println!("Ended; nothing was lost");
    Ok(ExitCode::SUCCESS)
}

fn rule_names(rules: &[Rule]) -> String {
    rules.iter().map(Rule::name).collect::<Vec<_>>().join(", ")
}

fn read(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Config::parse(&text).with_context(|| path.display().to_string())
}

/// The key, and the file it is in where it is not the environment's.
fn key(data: &Path) -> anyhow::Result<(AccessKey, Option<PathBuf>)> {
    if let Ok(text) = std::env::var(KEY_ENV) {
        return Ok((AccessKey::parse(&text).context(KEY_ENV)?, None));
    }
    let path = data.join(KEY_FILE);
    let cannot = |what: &str| format!("cannot {what} {}", path.display());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text: String =
                rand::random::<[u8; KEY_BYTES]>().iter().map(|byte| format!("{byte:02x}")).collect();
            std::fs::create_dir_all(data).with_context(|| cannot("make the directory of"))?;
            write_private(&path, &text).with_context(|| cannot("write"))?;
            text
        }
        Err(error) => return Err(error).with_context(|| cannot("read")),
    };
    let key = AccessKey::parse(text.trim()).with_context(|| path.display().to_string())?;
    Ok((key, Some(path)))
}
