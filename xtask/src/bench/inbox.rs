//! `vai-webhooks receive` as users run it, next to a receiver that only reads the body.
//!
//! Producers sign each event and give it an id of its own, at either: what differs is the verifying, the storing and the
//! waiting for the disk.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use vai_webhooks_wire::{Secret, UnixMs, sign};

use super::events;
use super::receiver::{Mood, Receiver};
use super::report::Row;
use super::usage::Usage;
use crate::root;

const SECRET: &str = "whsec_dGhpcnR5LXR3byBieXRlcyBvZiBhIHRlc3Qgc2VjcmV0";
/// Events of the row that shows memory.
const MILLION: u64 = 1_000_000;
const MEMORY_MIB_MAX: u64 = 128;
/// Messages of one conversation, which come one after the other.
const MESSAGES_OF_A_SESSION: u64 = 8;

/// Producers that sign, straight to a receiver that only reads the body.
pub async fn body_only(span: Duration, connections: usize) -> anyhow::Result<Row> {
    let receiver = Receiver::start(Mood::Takes).await?;
    let count = post(&receiver.url, Instant::now() + span, u64::MAX, connections).await?;
    Ok(Row {
        mode: "body only, signed".to_owned(),
        delivered_per_sec: Some(count as f64 / span.as_secs_f64()),
        ..Row::default()
    })
}

/// The same to `receive` as it is without a configuration: it verifies, stores and answers, and sums up conversations.
pub async fn receive(span: Duration, connections: usize) -> anyhow::Result<Row> {
    Ok(Row { mode: "receive".to_owned(), ..measure(span, connections, Sink::None).await? })
}

/// The same to `receive` with a file of lines as its one sink.
pub async fn receive_with_sink(span: Duration, connections: usize) -> anyhow::Result<Row> {
    Ok(Row { mode: "receive, to a file".to_owned(), ..measure(span, connections, Sink::File).await? })
}

async fn measure(span: Duration, connections: usize, sink: Sink) -> anyhow::Result<Row> {
    let service = Service::start(sink).await?;
    let before = service.usage()?;
    let count = post(&service.url, Instant::now() + span, u64::MAX, connections).await?;
    let per_sec = count as f64 / span.as_secs_f64();
    let usage = service.usage()?;
    Ok(Row {
        accepted_per_sec: Some(per_sec),
        delivered_per_sec: Some(per_sec),
        engine_cpu_us: Some(usage.cpu_us_each(before, count)),
        resident_mib: Some(usage.resident_bytes_max >> 20),
        ..Row::default()
    })
}

/// A million events in the inbox.
pub async fn million(connections: usize) -> anyhow::Result<Row> {
    let service = Service::start(Sink::File).await?;
    let began = Instant::now();
    let count = post(&service.url, began + Duration::from_secs(3_600), MILLION, connections).await?;
    let usage = service.usage()?;
    let resident_mib = usage.resident_bytes_max >> 20;
    Ok(Row {
        mode: "receive, a million".to_owned(),
        accepted_per_sec: Some(count as f64 / began.elapsed().as_secs_f64()),
        resident_mib: Some(resident_mib),
        note: Some(format!(
            "{count} events in the inbox; at most {MEMORY_MIB_MAX} MiB resident are promised"
        )),
        ..Row::default()
    })
}

/// Posts signed events, each with an id of its own, until the time or the number is reached; gives how many were
/// answered 200. Any other answer is an error.
async fn post(url: &str, until: Instant, most: u64, connections: usize) -> anyhow::Result<u64> {
    let (next, count) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let run = UnixMs::now().0;
    let mut all = JoinSet::new();
    for _ in 0..connections {
        let (next, count, url) = (Arc::clone(&next), Arc::clone(&count), url.to_owned());
        all.spawn(async move {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
            let secret = Secret::parse(SECRET)?;
            let tail = events::message().replacen('{', ",", 1);
            while Instant::now() < until {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= most {
                    break;
                }
                let id = format!("evt_{run}_{number}");
                let session = format!("\"s-{}\"", number / MESSAGES_OF_A_SESSION);
                let tail = tail.replacen("\"s-1\"", &session, 1);
                let body = format!(r#"{{"id":"{id}","timestamp":"2026-01-01T00:00:00.000Z"{tail}"#);
                let at = UnixMs::now().as_secs();
                let request = Request::post(&url)
                    .header("content-type", "application/json")
                    .header("webhook-id", &id)
                    .header("webhook-timestamp", at)
                    .header("webhook-signature", sign::v1(&secret, &id, at, body.as_bytes()))
                    .body(Full::new(Bytes::from(body)))?;
                let response = client.request(request).await?;
                let status = response.status();
                let answer = response.into_body().collect().await?.to_bytes();
                if !status.is_success() {
                    bail!("{url} answered {status}: {}", String::from_utf8_lossy(&answer));
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    Ok(count.load(Ordering::Relaxed))
}

/// Where a receiver carries events.
#[derive(Clone, Copy)]
enum Sink {
    None,
    File,
}

/// A running `receive`. Killed where it is dropped.
struct Service {
    child: Child,
    url: String,
    _data: TempDir,
}

impl Service {
    async fn start(sink: Sink) -> anyhow::Result<Self> {
        // In the build directory, which is on a disk: a temporary directory may be in memory.
        let data = tempfile::Builder::new().prefix("bench-").tempdir_in(root().join("target"))?;
        let config = data.path().join("receiver.toml");
        let file = data.path().join("events.jsonl");
        let sinks = match sink {
            Sink::None => String::new(),
            Sink::File => format!("[[sink]]\nname = \"file\"\nkind = \"jsonl\"\npath = {file:?}\n"),
        };
        std::fs::write(&config, sinks)?;
        let mut child = Command::new(root().join("target/release/vai-webhooks"))
            .args(["receive", "--port", "0", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(data.path())
            .env("VAI_WEBHOOK_SECRET", SECRET)
            .env("VAI_LOG", "error")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("target/release/vai-webhooks")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let first = lines.next_line().await?.context("the receiver did not start")?;
        let origin = first.rsplit(' ').next().unwrap_or_default().to_owned();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, url: format!("{origin}/webhooks/vai"), _data: data })
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id().context("it runs")?)
    }
}
