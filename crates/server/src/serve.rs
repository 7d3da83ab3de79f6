//! `vai-webhooks serve`: the engine and its API as a process.
//!
//! Starts, says what it does, and ends in good order: at the first signal it stops accepting, finishes
//! and exits 0; at a second one it ends at once, and loses nothing, since nothing is answered before it
//! is on disk. Read `api/mod.rs` next.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpListener;
use vai_webhooks_engine::{Engine, EngineOptions, Redacted};
use vai_webhooks_receiver::service::{ServiceLimits, serve_connections};

use crate::api;
use crate::config::Config;
use crate::signals::Signals;

/// The environment's name for the admin key.
pub const ADMIN_KEY_ENV: &str = "VAI_ADMIN_KEY";
/// The file in the data directory that keeps the admin key that was made.
pub const ADMIN_KEY_FILE: &str = "admin-key";
/// The shortest admin key that is taken from the environment, in characters.
const ADMIN_KEY_CHARS_MIN: usize = 16;

/// Runs until a signal, or until the store fails.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let signals = Signals::new()?;
    let admin_key = admin_key_from_environment()?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let options = EngineOptions {
        egress_allow: config.egress_allow.iter().map(|range| range.0).collect(),
        extra_roots: certificates(&config.extra_ca)?,
        backlog_max: config.backlog_max,
        disk_reserve_bytes: config.disk_reserve_mib * 1024 * 1024,
        admin_key: admin_key.map(Redacted),
        public_url: Some(config.public_url.unwrap_or_else(|| own_url(address))),
        link_life: Duration::from_hours(config.link_hours),
        ..EngineOptions::new(&config.data)
    };
    let options = EngineOptions { shards: config.senders.unwrap_or(options.shards), ..options };
    let engine = Arc::new(Engine::open(options).await?);
    say(format_args!("VAI Webhooks {} listens on http://{address}", env!("CARGO_PKG_VERSION")));
    say(format_args!("Data: {}", config.data.display()));
    if !engine.has_admin_key() {
        make_admin_key(&engine, &config.data).await?;
    }

    let limits = ServiceLimits { shutdown_ms: config.shutdown_ms, ..ServiceLimits::default() };
    let mut failed = None;
    let stop = async {
        tokio::select! {
            name = signals.first() => say(format_args!("{name}: finishing (send it again to end at once)")),
            error = engine.failure() => failed = Some(error),
        }
    };
    let service = api::Service::over(Arc::clone(&engine));
    let answer = move |request| service.clone().answer(request);
    serve_connections(listener, answer, &limits, engine.threads(), stop).await;
    if let Some(error) = failed {
        anyhow::bail!("{error}. Everything that was accepted is on disk; start again when the disk is well");
    }
    if !engine.shutdown(Duration::from_millis(config.shutdown_ms)).await {
        say(format_args!("Some attempts did not end in time; they are made again at the next start"));
    }
    say(format_args!("Ended; nothing was lost"));
    Ok(ExitCode::SUCCESS)
}

/// Where a receiver on this machine reaches the server.
fn own_url(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}

/// Prints a line. Who closed our output has no use for it, and the server goes on.
fn say(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout();
    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn admin_key_from_environment() -> anyhow::Result<Option<String>> {
    let Ok(key) = std::env::var(ADMIN_KEY_ENV) else { return Ok(None) };
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.len() < ADMIN_KEY_CHARS_MIN || !visible {
        anyhow::bail!(
            "{ADMIN_KEY_ENV} must have at least {ADMIN_KEY_CHARS_MIN} visible characters; `openssl rand -hex 32` makes a good one"
        );
    }
    Ok(Some(key))
}

fn certificates(files: &[PathBuf]) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for file in files {
        let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let found = found
            .map_err(|error| anyhow::anyhow!("cannot read certificates in {}: {error}", file.display()))?;
        anyhow::ensure!(!found.is_empty(), "{} holds no certificate", file.display());
        all.extend(found.into_iter().map(|certificate| certificate.to_vec()));
    }
    Ok(all)
}

/// Makes the first admin key, keeps it where only the owner can read it, and shows it.
async fn make_admin_key(engine: &Engine, data: &Path) -> anyhow::Result<()> {
    let path = data.join(ADMIN_KEY_FILE);
    let (_, key) = engine.create_key(None, "made at the first start", None).await?;
    write_private(&path, &key).with_context(|| format!("cannot write {}", path.display()))?;
    say(format_args!("Admin key (shown this once, kept in {}): {key}", path.display()));
    Ok(())
}

/// Writes a file that only its owner can read.
#[cfg(unix)]
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Writes a file.
#[cfg(not(unix))]
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}
