//! Producers: post bodies over connections that each wait for their answers.
//!
//! `run` posts as fast as it is answered; `paced` posts at a rate, whatever the answers take, and times
//! each event from the moment at which it was due to be sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::events;
use super::latency::now_us;

/// One request's body, and the tenant it is for.
#[derive(Clone)]
pub struct Shot {
    pub body: Bytes,
    pub tenant: Option<String>,
}

/// What is posted, and where.
#[derive(Clone)]
pub struct Load {
    pub url: String,
    /// The API key; empty for none.
    pub key: &'static str,
    /// Posted in turn.
    pub shots: Arc<Vec<Shot>>,
    pub connections: usize,
    /// Over bare connections, in place of a pooled client.
    pub bare: bool,
}

impl Load {
    /// Posts the same body again and again.
    pub fn of(url: String, key: &'static str, body: String, connections: usize) -> Self {
        Self {
            url,
            key,
            shots: Arc::new(vec![Shot { body: body.into(), tenant: None }]),
            connections,
            bare: false,
        }
    }

    /// Posts for `span`; gives how many were answered 2xx. Any other answer is an error.
    pub async fn run(&self, span: Duration) -> anyhow::Result<u64> {
        self.until(Instant::now() + span, u64::MAX).await
    }

    /// Posts so many.
    pub async fn post(&self, count: u64) -> anyhow::Result<()> {
        let each = count.div_ceil(self.connections as u64);
        self.until(Instant::now() + Duration::from_secs(3_600), each).await.map(drop)
    }

    async fn until(&self, until: Instant, each: u64) -> anyhow::Result<u64> {
        let mut all = JoinSet::new();
        for at in 0..self.connections {
            let load = self.clone();
            all.spawn(async move {
                let mut connection = Connection::open(&load).await?;
                let mut count = 0;
                let mut next = at;
                while Instant::now() < until && count < each {
                    connection.post(&load.shots[next % load.shots.len()]).await?;
                    next += load.connections;
                    count += 1;
                }
                anyhow::Ok(count)
            });
        }
        let mut count = 0;
        while let Some(done) = all.join_next().await {
            count += done??;
        }
        Ok(count)
    }

    /// Posts so many events, `per_sec` each second; each carries the moment at which it was due.
    pub async fn paced(&self, count: u32, per_sec: u32) -> anyhow::Result<()> {
        let (due, waiting) = mpsc::channel::<u64>(usize::try_from(count)?.max(1));
        let waiting = Arc::new(Mutex::new(waiting));
        let mut all = JoinSet::new();
        for _ in 0..self.connections {
            let (load, waiting) = (self.clone(), Arc::clone(&waiting));
            all.spawn(async move {
                let mut connection = Connection::open(&load).await?;
                loop {
                    let next = waiting.lock().await.recv().await;
                    let Some(due_us) = next else { return anyhow::Ok(()) };
                    connection.post(&Shot { body: events::due(due_us).into(), tenant: None }).await?;
                }
            });
        }
        // A thread of its own: the runtime's timers know whole milliseconds only.
        let gap = Duration::from_secs(1) / per_sec;
        let pacer = std::thread::spawn(move || {
            let began = Instant::now() + Duration::from_millis(50);
            for number in 0..count {
                let at = began + gap * number;
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                let late_us = u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX);
                if due.blocking_send(now_us() - late_us).is_err() {
                    return;
                }
            }
        });
        while let Some(done) = all.join_next().await {
            done??;
        }
        pacer.join().map_err(|_| anyhow::anyhow!("the pacer failed"))
    }
}

/// One connection of a producer.
struct Connection {
    sender: Sender,
    uri: Uri,
    bearer: String,
}

enum Sender {
    /// hyper's pooled client, which most HTTP clients are made of.
    Usual(Box<Client<HttpConnector, Full<Bytes>>>),
    /// A bare connection of hyper's.
    Bare(SendRequest<Full<Bytes>>),
}

impl Connection {
    async fn open(load: &Load) -> anyhow::Result<Self> {
        let uri: Uri = load.url.parse()?;
        let sender = if load.bare {
            let tcp = TcpStream::connect(uri.authority().context("a host")?.as_str()).await?;
            tcp.set_nodelay(true)?;
            let (sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(tcp)).await?;
            tokio::spawn(connection);
            Sender::Bare(sender)
        } else {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            Sender::Usual(Box::new(Client::builder(TokioExecutor::new()).build(connector)))
        };
        Ok(Self { sender, uri, bearer: format!("Bearer {}", load.key) })
    }

    async fn post(&mut self, shot: &Shot) -> anyhow::Result<()> {
        let mut request = Request::post(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, &self.bearer);
        if let Some(tenant) = &shot.tenant {
            request = request.header("x-vai-tenant", tenant);
        }
        let mut request = request.body(Full::new(shot.body.clone()))?;
        let response = match &mut self.sender {
            Sender::Usual(client) => client.request(request).await?,
            Sender::Bare(sender) => {
                let host = self.uri.authority().context("a host")?.as_str().parse()?;
                request.headers_mut().insert(header::HOST, host);
                *request.uri_mut() = self.uri.path().parse()?;
                sender.send_request(request).await?
            }
        };
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{} answered {status}: {}", self.uri, String::from_utf8_lossy(&answer));
        }
        Ok(())
    }
}
