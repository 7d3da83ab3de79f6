//! The server as users run it: the release binary, its own process, on a directory of its own.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::root;

const KEY: &str = "the-key-of-the-benchmark";

/// What a process has used.
pub struct Usage {
    pub cpu: Duration,
    pub resident_bytes: u64,
}

/// A running server. Killed where it is dropped.
pub struct Server {
    child: Child,
    /// Gone with the server.
    _data: TempDir,
    pub url: String,
    pub key: String,
}

impl Server {
    pub async fn start() -> anyhow::Result<Self> {
        // In the build directory, which is on a disk: a temporary directory may be in memory.
        let target = root().join("target");
        let data = tempfile::Builder::new().prefix("bench-").tempdir_in(&target)?;
        let mut child = Command::new(target.join("release/vai-webhooks"))
            .args(["serve", "--listen", "127.0.0.1:0", "--egress-allow", "127.0.0.0/8", "--data"])
            .arg(data.path())
            .env("VAI_ADMIN_KEY", KEY)
            .env("VAI_LOG", "error")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("target/release/vai-webhooks")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let first = lines.next_line().await?.context("the server did not start")?;
        let url = first.rsplit(' ').next().unwrap_or_default().to_owned();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, _data: data, url, key: KEY.to_owned() })
    }

    /// Registers the one webhook.
    pub async fn register(&self, receiver: &str) -> anyhow::Result<()> {
        let body = json!({"url": receiver, "events": ["*"], "verify": false}).to_string();
        let request = Request::post(format!("{}/v1/webhooks", self.url))
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::new(Bytes::from(body)))?;
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status.is_success() { Ok(()) } else { bail!("{status}: {}", String::from_utf8_lossy(&answer)) }
    }

    /// What the process has used: processor time, and the most memory that was resident, in bytes.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        let pid = self.child.id().context("it runs")?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // After the name, which may hold anything: fields 14 and 15 of proc(5) are in ticks of 10 ms.
        let after = stat.rsplit(") ").next().unwrap_or_default();
        let ticks = |field: usize| after.split(' ').nth(field - 3).and_then(|text| text.parse::<u64>().ok());
        let ticks = ticks(14).context("utime")? + ticks(15).context("stime")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak_kib: u64 =
            peak.and_then(|text| text.split_whitespace().next()?.parse().ok()).context("VmHWM")?;
        Ok(Usage { cpu: Duration::from_millis(ticks * 10), resident_bytes: peak_kib * 1024 })
    }

    pub async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
