//! Which server, with which key, for which tenant.
//!
//! Invariant: the key that lies beside a server on this machine is never sent to another machine; whoever
//! wants that names the key. Read `http.rs` next.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use http::Uri;
use http::uri::Scheme;

use super::hidden::Hidden;
use super::http::Api;
use crate::serve::ADMIN_KEY_FILE;

/// The data directory of a server that was told no other.
const DATA_DIR_DEFAULT: &str = "vai-webhooks-data";
/// The most that is read of a key file, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 4096;

// The arguments' own sentence would take the place of the command's in its help.
#[expect(missing_docs, reason = "clap shows a doc comment here instead of the command's own")]
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Where the server is
    #[arg(
        id = "server",
        long = "url",
        value_name = "URL",
        env = "VAI_URL",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    pub url: String,
    /// The API key; better in the environment, where no list of processes shows it. Without it,
    /// VAI_ADMIN_KEY is used, then the key file
    #[arg(long, value_name = "KEY", env = "VAI_KEY", hide_env_values = true, global = true)]
    pub key: Option<Hidden>,
    /// A file that holds the key [default: admin-key in the data directory, for a server on this machine]
    #[arg(long, value_name = "FILE", env = "VAI_KEY_FILE", global = true)]
    pub key_file: Option<PathBuf>,
    /// The tenant to act for; needs an admin key
    #[arg(long, value_name = "NAME", env = "VAI_TENANT", global = true)]
    pub tenant: Option<String>,
    /// Print the server's JSON instead of a table
    #[arg(long, global = true)]
    pub json: bool,
}

impl Connection {
    /// What calls go through. Reads the key file, where the key is in one.
    pub(super) fn open(&self) -> anyhow::Result<Api> {
        let base = base(&self.url)?;
        let key = match &self.key {
            Some(Hidden(key)) if !key.is_empty() => Some(key.clone()),
            _ => self.key_elsewhere(&base, |name| std::env::var_os(name))?,
        };
        let tenant = self.tenant.as_deref().filter(|name| !name.is_empty());
        Api::new(&base, key.as_deref(), tenant)
    }

    fn key_elsewhere(
        &self,
        base: &Uri,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> anyhow::Result<Option<String>> {
        if let Some(path) = self.key_file.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            return read_key(path).map(Some).with_context(|| format!("the key file {}", path.display()));
        }
        if let Some(key) = env("VAI_ADMIN_KEY").filter(|key| !key.is_empty()) {
            return key.into_string().map(Some).ok().context("VAI_ADMIN_KEY is no text");
        }
        let data_dir = env("VAI_DATA").filter(|dir| !dir.is_empty());
        let path =
            data_dir.map_or_else(|| PathBuf::from(DATA_DIR_DEFAULT), PathBuf::from).join(ADMIN_KEY_FILE);
        if !is_this_machine(base) || !path.is_file() {
            return Ok(None);
        }
        read_key(&path).map(Some).with_context(|| format!("the key file {}", path.display()))
    }
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)?;
    match text.trim() {
        "" => bail!("it is empty"),
        key => Ok(key.to_owned()),
    }
}

/// The server's address: `http`, a host, and a path where a proxy puts one before ours.
fn base(url: &str) -> anyhow::Result<Uri> {
    let Ok(uri) = url.trim_end_matches('/').parse::<Uri>() else {
        bail!("--url is no URL; it looks like http://127.0.0.1:8080");
    };
    let Some(authority) = uri.authority() else {
        bail!("--url names no host; it looks like http://127.0.0.1:8080");
    };
    if authority.as_str().contains('@') {
        bail!("--url holds a user name or password; give a key with --key or VAI_KEY");
    }
    if uri.query().is_some() {
        bail!("--url has a query; it looks like http://127.0.0.1:8080");
    }
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTPS => {
            bail!(
                "this client speaks plain http only; use it on the machine of a server that is behind https"
            )
        }
        _ => bail!("--url must begin with http://"),
    }
}

fn is_this_machine(base: &Uri) -> bool {
    let host = base.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(url: &str) -> Connection {
        Connection { url: url.to_owned(), key: None, key_file: None, tenant: None, json: false }
    }

    fn found(connection: &Connection, data_dir: &Path, admin_key: Option<&str>) -> Option<String> {
        let env = |name: &str| match name {
            "VAI_DATA" => Some(data_dir.as_os_str().to_owned()),
            "VAI_ADMIN_KEY" => admin_key.map(OsString::from),
            _ => None,
        };
        connection.key_elsewhere(&base(&connection.url).unwrap(), env).unwrap()
    }

    #[test]
    fn a_key_file_then_the_admin_key_then_the_servers_own_file_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let mut local = connection("http://127.0.0.1:1");
        assert_eq!(found(&local, dir.path(), None), None);
        std::fs::write(dir.path().join(ADMIN_KEY_FILE), "vaik_own\n").unwrap();
        assert_eq!(found(&local, dir.path(), None).as_deref(), Some("vaik_own"));
        assert_eq!(found(&local, dir.path(), Some("vaik_env")).as_deref(), Some("vaik_env"));
        std::fs::write(dir.path().join("other"), " vaik_file ").unwrap();
        local.key_file = Some(dir.path().join("other"));
        assert_eq!(found(&local, dir.path(), Some("vaik_env")).as_deref(), Some("vaik_file"));
    }

    #[test]
    fn the_servers_own_key_file_is_not_sent_to_another_machine() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(ADMIN_KEY_FILE), "vaik_own").unwrap();
        for url in ["http://localhost:1", "http://[::1]:1", "http://127.9.9.9"] {
            assert!(found(&connection(url), dir.path(), None).is_some(), "{url}");
        }
        for url in ["http://example.com", "http://10.0.0.1", "http://localhost.example.com"] {
            assert_eq!(found(&connection(url), dir.path(), None), None, "{url}");
        }
    }

    #[test]
    fn a_named_key_file_must_be_there_and_hold_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let mut named = connection("http://127.0.0.1:1");
        named.key_file = Some(dir.path().join("missing"));
        assert!(named.open().is_err());
        std::fs::write(dir.path().join("empty"), " \n").unwrap();
        named.key_file = Some(dir.path().join("empty"));
        assert!(named.open().is_err());
    }

    #[test]
    fn only_plain_http_urls_of_a_server_are_taken() {
        for good in ["http://127.0.0.1:8080", "http://localhost/", "http://[::1]:80/hooks/"] {
            assert!(base(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "127.0.0.1:8080",
            "ftp://x",
            "/x",
            "http://u:hunter2@x",
            "http://x?a=b",
            "http://",
        ] {
            let error = base(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"));
        }
        assert!(base("https://x").unwrap_err().to_string().contains("plain http"));
    }
}
