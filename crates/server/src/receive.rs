//! `vai-webhooks receive`: the receiver as a process.
//!
//! Verifies, stores each event once, answers after the write, counts truly. Read the receiver's crate
//! next.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use vai_webhooks_receiver::service::{ServiceConfig, parse_secrets, serve};

use crate::signals::Signals;

/// Options of `receive`.
#[derive(Debug, Args)]
#[command(
    after_help = "Set VAI_WEBHOOK_SECRET to the webhook's secret; while it is being rotated, to both, separated by a comma.

  VAI_WEBHOOK_SECRET=whsec_… vai-webhooks receive
  curl http://127.0.0.1:3004/webhook/status"
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
    /// Refuse requests that carry only the legacy X-VAI-Signature, which has no protection against replay
    #[arg(long, env = "VAI_RECEIVE_NO_LEGACY")]
    no_legacy: bool,
}

/// Runs until a signal, or until the store fails.
pub async fn run(args: ReceiveArgs) -> anyhow::Result<ExitCode> {
    let signals = Signals::new()?;
    let secrets = parse_secrets(&std::env::var("VAI_WEBHOOK_SECRET").unwrap_or_default())?;
    let listen = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let config =
        ServiceConfig { accept_legacy: !args.no_legacy, ..ServiceConfig::new(address, &args.data, secrets) };
    println!("Webhook receiver listens on http://{address}");
    println!("Webhook endpoint: http://{address}/webhooks/vai");
    println!("Data: {}", args.data.display());
    std::io::stdout().flush()?;
    let stop = async {
        let name = signals.first().await;
        println!("{name}: finishing (send it again to end at once)");
    };
    serve(config, listener, stop).await?;
    println!("Ended; nothing was lost");
    Ok(ExitCode::SUCCESS)
}
