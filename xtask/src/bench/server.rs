//! The server as users run it: the release binary, its own process, on a directory of its own.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::usage::Usage;
use crate::root;

/// The admin key of every server here.
pub const KEY: &str = "the-key-of-the-benchmark";
/// How long a server may take to start.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Killed where it is dropped.
pub struct Server {
    child: Child,
    data: TempDir,
    client: Client<HttpConnector, Full<Bytes>>,
    pub url: String,
}

impl Server {
    /// A new one.
    pub async fn start() -> anyhow::Result<Self> {
        // In the build directory, which is on a disk: a temporary directory may be in memory.
        let data = tempfile::Builder::new().prefix("bench-").tempdir_in(root().join("target"))?;
        let (child, url) = spawn(&data).await?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { child, data, client, url })
    }

    /// Kills it with -9 and starts it again on the same directory; says how long it took to be ready.
    pub async fn killed_and_started(mut self) -> anyhow::Result<(Self, Duration)> {
        self.child.kill().await?;
        let began = Instant::now();
        let (child, url) = spawn(&self.data).await?;
        let again = Self { child, url, ..self };
        while again.call("GET", "/health", None, None).await.is_err() {
            if began.elapsed() > START_PATIENCE {
                bail!("the server is not ready after {} s", START_PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok((again, began.elapsed()))
    }

    /// One call with the admin key, for a tenant where one is named.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        tenant: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Bytes> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {KEY}"));
        if let Some(tenant) = tenant {
            request = request.header("x-vai-tenant", tenant);
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let response = self.client.request(request.body(Full::new(Bytes::from(body)))?).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status.is_success() {
            Ok(answer)
        } else {
            bail!("{method} {path}: {status}: {}", String::from_utf8_lossy(&answer))
        }
    }

    /// What the process has used.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id().context("it runs")?)
    }

    pub async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

async fn spawn(data: &TempDir) -> anyhow::Result<(Child, String)> {
    let mut child = Command::new(root().join("target/release/vai-webhooks"))
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
    Ok((child, url))
}
