//! What `serve` is told: command line, environment, file, defaults, in this order.
//!
//! Invariants: a key in the file that is not known is an error, and so is a value that makes no sense;
//! the admin key comes from the environment alone, never from a file or an argument that others can
//! read. A test holds `config.example.toml` against the defaults. Read `serve.rs` next.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;

use vai_webhooks_engine::{BACKLOG_MAX, DISK_RESERVE_BYTES, LINK_LIFE};

use crate::units::Cidr;

/// Where the server listens, if not said.
pub const LISTEN: &str = "127.0.0.1:8080";
/// Where the store lies, if not said.
pub const DATA: &str = "vai-webhooks-data";
/// How long a shutdown may take, if not said, in milliseconds.
const SHUTDOWN_MS: u64 = 15_000;

/// Options of `serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "VAI_ADMIN_KEY sets an admin key. Without it, the first start makes one, shows it once, and keeps
it in DIR/admin-key, where the other commands find it.

  vai-webhooks serve --egress-allow 127.0.0.0/8    # webhooks may be on this machine
  curl http://127.0.0.1:8080/openapi.json          # every call"
)]
pub struct ServeArgs {
    /// Read options from this TOML file; the command line and the environment stand before it
    #[arg(long, env = "VAI_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen on this address [default: 127.0.0.1:8080]
    #[arg(long, env = "VAI_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Keep everything in this directory; it is made if missing [default: vai-webhooks-data]
    #[arg(long, env = "VAI_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Let webhooks have addresses in this range although it is not public, as 127.0.0.0/8 or 10.1.2.3; may be
    /// given several times, or separated by commas
    #[arg(long, env = "VAI_EGRESS_ALLOW", value_name = "CIDR", value_delimiter = ',')]
    egress_allow: Vec<Cidr>,
    /// Trust servers with certificates of the authorities in this PEM file too; may be given several times
    #[arg(long, env = "VAI_EXTRA_CA", value_name = "FILE", value_delimiter = ',')]
    extra_ca: Vec<PathBuf>,
    /// Threads that take events and send them [default: one for each processor]
    #[arg(long, env = "VAI_SENDERS", value_name = "COUNT")]
    senders: Option<usize>,
    /// Take no new events of a tenant that has so many deliveries waiting; they are answered 429 [default: 5000000]
    #[arg(long, env = "VAI_BACKLOG_MAX", value_name = "COUNT")]
    backlog_max: Option<u64>,
    /// Take no new events when the disk has no more room than this, in MiB; they are answered 503, and deliveries go
    /// on. 0: keep nothing [default: 256]
    #[arg(long, env = "VAI_DISK_RESERVE_MIB", value_name = "MIB")]
    disk_reserve_mib: Option<u64>,
    /// The address at which receivers reach this server, as https://hooks.example.com: links to the data of events, for
    /// webhooks with the format thin, begin with it [default: where it listens]
    #[arg(long, env = "VAI_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// How long such a link is good after a delivery's latest attempt, in hours [default: 168]
    #[arg(long, env = "VAI_LINK_HOURS", value_name = "HOURS")]
    link_hours: Option<u64>,
    /// How long a shutdown may wait for what is under way, in milliseconds [default: 15000]
    #[arg(long, env = "VAI_SHUTDOWN_MS", value_name = "MS")]
    shutdown_ms: Option<u64>,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Option<SocketAddr>,
    data: Option<PathBuf>,
    egress_allow: Vec<Cidr>,
    extra_ca: Vec<PathBuf>,
    senders: Option<usize>,
    backlog_max: Option<u64>,
    disk_reserve_mib: Option<u64>,
    public_url: Option<String>,
    link_hours: Option<u64>,
    shutdown_ms: Option<u64>,
}

/// What `serve` works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where the store lies.
    pub data: PathBuf,
    /// Ranges that webhooks may have although they are not public.
    pub egress_allow: Vec<Cidr>,
    /// PEM files of further authorities.
    pub extra_ca: Vec<PathBuf>,
    /// Threads that take events and send them; `None`: one for each processor.
    pub senders: Option<usize>,
    /// Deliveries that one tenant may have waiting.
    pub backlog_max: u64,
    /// What is kept of the disk, in MiB.
    pub disk_reserve_mib: u64,
    /// The address at which receivers reach the server; `None`: where it listens.
    pub public_url: Option<String>,
    /// How long a link to an event is good after the latest attempt, in hours.
    pub link_hours: u64,
    /// How long a shutdown may take, in milliseconds.
    pub shutdown_ms: u64,
}

const SENDERS_MAX: usize = 256;
const MIB_BYTES: u64 = 1024 * 1024;
const DISK_RESERVE_MIB_MAX: u64 = 1 << 32;
const LINK_HOURS_MAX: u64 = 8_784;
const SHUTDOWN_MS_MAX: u64 = 600_000;

impl ServeArgs {
    /// Everything together.
    pub fn resolve(self) -> anyhow::Result<Config> {
        let file = match &self.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let first = |own: Vec<Cidr>, other: Vec<Cidr>| if own.is_empty() { other } else { own };
        let config = Config {
            listen: match self.listen.or(file.listen) {
                Some(listen) => listen,
                None => LISTEN.parse().context("the default address")?,
            },
            data: self.data.or(file.data).unwrap_or_else(|| DATA.into()),
            egress_allow: first(self.egress_allow, file.egress_allow),
            extra_ca: if self.extra_ca.is_empty() { file.extra_ca } else { self.extra_ca },
            senders: self.senders.or(file.senders),
            backlog_max: self.backlog_max.or(file.backlog_max).unwrap_or(BACKLOG_MAX),
            disk_reserve_mib: self
                .disk_reserve_mib
                .or(file.disk_reserve_mib)
                .unwrap_or(DISK_RESERVE_BYTES / MIB_BYTES),
            public_url: self.public_url.or(file.public_url),
            link_hours: self.link_hours.or(file.link_hours).unwrap_or(LINK_LIFE.as_secs() / 3_600),
            shutdown_ms: self.shutdown_ms.or(file.shutdown_ms).unwrap_or(SHUTDOWN_MS),
        };
        if config.senders.is_some_and(|count| !(1..=SENDERS_MAX).contains(&count)) {
            anyhow::bail!("senders must be 1 to {SENDERS_MAX}");
        }
        if config.backlog_max == 0 {
            anyhow::bail!("backlog_max must be at least 1: with 0 nothing would ever be accepted");
        }
        if config.disk_reserve_mib > DISK_RESERVE_MIB_MAX {
            anyhow::bail!("disk_reserve_mib must be at most {DISK_RESERVE_MIB_MAX}");
        }
        if let Some(url) = &config.public_url {
            check_public_url(url)?;
        }
        if !(1..=LINK_HOURS_MAX).contains(&config.link_hours) {
            anyhow::bail!("link_hours must be 1 to {LINK_HOURS_MAX} (a year)");
        }
        if config.shutdown_ms > SHUTDOWN_MS_MAX {
            anyhow::bail!("shutdown_ms must be at most {SHUTDOWN_MS_MAX} (ten minutes)");
        }
        Ok(config)
    }
}

fn check_public_url(text: &str) -> anyhow::Result<()> {
    let uri = text.parse::<http::Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none() && !text.contains('#')
    });
    uri.map(drop).with_context(|| {
        format!("public_url is {text:?}; it must be an address as https://hooks.example.com, without a query")
    })
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} cannot be used", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn resolve(arguments: &[&str]) -> anyhow::Result<Config> {
        Cli::try_parse_from(["serve"].iter().chain(arguments))?.serve.resolve()
    }

    fn file(text: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (dir, path)
    }

    #[test]
    fn the_example_shows_every_option_with_its_default() {
        let text = include_str!("../../../config.example.toml");
        let (_dir, path) = file(text);
        assert_eq!(resolve(&["--config", &path]).unwrap(), resolve(&[]).unwrap());
        let commented: String =
            text.lines().filter_map(|line| line.strip_prefix("#: ")).map(|it| format!("{it}\n")).collect();
        let shown: toml::Table = format!("{text}\n{commented}").parse().unwrap();
        let mut names: Vec<&str> = shown.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "backlog_max",
                "data",
                "disk_reserve_mib",
                "egress_allow",
                "extra_ca",
                "link_hours",
                "listen",
                "public_url",
                "senders",
                "shutdown_ms"
            ]
        );
    }

    #[test]
    fn the_command_line_stands_before_the_file() {
        let (_dir, path) = file("listen = \"127.0.0.1:1\"\ndata = \"a\"\negress_allow = [\"10.0.0.0/8\"]");
        let config = resolve(&["--config", &path, "--data", "b"]).unwrap();
        assert_eq!((config.listen.port(), config.data.to_str()), (1, Some("b")));
        assert_eq!(config.egress_allow, ["10.0.0.0/8".parse().unwrap()]);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "unknown = 1",
            "listen = 80",
            "egress_allow = [\"x\"]",
            "senders = 0",
            "backlog_max = 0",
            "disk_reserve_mib = -1",
            "disk_reserve_mib = 9999999999",
            "public_url = \"hooks.example.com\"",
            "public_url = \"https://hooks.example.com/?a=1\"",
            "public_url = \"ftp://hooks.example.com\"",
            "link_hours = 0",
            "shutdown_ms = 9999999",
        ] {
            let (_dir, path) = file(text);
            assert!(resolve(&["--config", &path]).is_err(), "{text}");
        }
        assert!(resolve(&["--config", "/nowhere/at-all.toml"]).is_err());
        assert!(resolve(&["--egress-allow", "300.0.0.0/8"]).is_err());
    }
}
