//! A receiver as a process of its own: reads the body and answers, the least that a receiver can do, in a few moods.
//!
//! It says what came over `GET /taken`, `/seen` and `/spread`.

use std::collections::hash_map::DefaultHasher;
use std::convert::Infallible;
use std::hash::{Hash as _, Hasher as _};
use std::process::Stdio;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::latency::{Arrivals, Spread};
use super::usage::Usage;

/// How long nothing may arrive before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a receiver answers.
#[derive(Debug, Clone, Copy)]
pub enum Mood {
    /// 200, at once.
    Takes,
    /// The same over bare connections of hyper's, in place of axum.
    Bare,
    /// 500 to so many first attempts of a hundred, chosen by the event's id.
    FailsFirst(u64),
    /// 200, after so many milliseconds.
    Hangs(u64),
}

impl FromStr for Mood {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, number) = text.split_once(':').unwrap_or((text, "0"));
        Ok(match name {
            "takes" => Self::Takes,
            "bare" => Self::Bare,
            "fails-first" => Self::FailsFirst(number.parse()?),
            "hangs" => Self::Hangs(number.parse()?),
            _ => bail!("{text} is no mood"),
        })
    }
}

impl std::fmt::Display for Mood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Takes => f.write_str("takes"),
            Self::Bare => f.write_str("bare"),
            Self::FailsFirst(percent) => write!(f, "fails-first:{percent}"),
            Self::Hangs(ms) => write!(f, "hangs:{ms}"),
        }
    }
}

/// A running receiver. Killed where it is dropped.
pub struct Receiver {
    child: Child,
    client: Client<HttpConnector, Full<Bytes>>,
    origin: String,
    pub url: String,
}

impl Receiver {
    pub async fn start(mood: Mood) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bench", "--receiver", &mood.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let origin = lines.next_line().await?.context("the receiver did not start")?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { child, client, url: format!("{origin}/hook"), origin })
    }

    /// Requests that were answered 200.
    pub async fn taken(&self) -> anyhow::Result<u64> {
        self.ask("/taken").await
    }

    /// Requests that came, whatever they were answered.
    pub async fn seen(&self) -> anyhow::Result<u64> {
        self.ask("/seen").await
    }

    /// How long those events took to arrive that came since this was last asked.
    pub async fn take_spread(&self) -> anyhow::Result<Spread> {
        self.ask("/spread").await
    }

    /// Waits until so many were taken; an error where it stands still before.
    pub async fn until_taken(&self, count: u64) -> anyhow::Result<()> {
        let mut last = (self.taken().await?, Instant::now());
        while last.0 < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
            match self.taken().await? {
                more if more > last.0 => last = (more, Instant::now()),
                same if last.1.elapsed() > PATIENCE => bail!("{same} of {count} arrived, then nothing more"),
                _ => {}
            }
        }
        Ok(())
    }

    /// What the process has used.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id().context("it runs")?)
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let request = Request::get(format!("{}{path}", self.origin)).body(Full::default())?;
        let answer = self.client.request(request).await?.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&answer)?)
    }
}

struct Shared {
    mood: Mood,
    taken: AtomicU64,
    seen: AtomicU64,
    arrivals: Arrivals,
}

/// The receiver's own process.
pub async fn serve(mood: Mood) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let (taken, seen) = (AtomicU64::new(0), AtomicU64::new(0));
    let shared = Arc::new(Shared { mood, taken, seen, arrivals: Arrivals::default() });
    if !matches!(mood, Mood::Bare) {
        let take = move |request: Request<Body>| answer(request, Arc::clone(&shared));
        let router = Router::new().fallback(take);
        return Ok(axum::serve(listener.tap_io(nodelay), router).await?);
    }
    while let Ok((tcp, _)) = listener.accept().await {
        let mut tcp = tcp;
        nodelay(&mut tcp);
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request: Request<Incoming>| answer(request, Arc::clone(&shared)));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
    Ok(())
}

fn nodelay(tcp: &mut TcpStream) {
    // Where this fails the connection is gone anyway.
    let _gone = tcp.set_nodelay(true);
}

async fn answer<B: HttpBody>(
    request: Request<B>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        let text = match request.uri().path() {
            "/taken" => shared.taken.load(Ordering::Relaxed).to_string(),
            "/seen" => shared.seen.load(Ordering::Relaxed).to_string(),
            _ => serde_json::to_string(&shared.arrivals.take_spread()).unwrap_or_default(),
        };
        return Ok(Response::new(text.into()));
    }
    let fails = match shared.mood {
        Mood::Takes | Mood::Bare => false,
        Mood::FailsFirst(percent) => fails_first(request.headers(), percent),
        Mood::Hangs(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            false
        }
    };
    // A body that breaks off is not counted.
    let Ok(body) = request.into_body().collect().await else { return Ok(Response::default()) };
    shared.seen.fetch_add(1, Ordering::Relaxed);
    shared.arrivals.note(&body.to_bytes());
    let mut response = Response::default();
    if fails {
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    } else {
        shared.taken.fetch_add(1, Ordering::Relaxed);
    }
    Ok(response)
}

fn fails_first(headers: &HeaderMap, percent: u64) -> bool {
    let first = headers.get("x-vai-attempt").is_some_and(|attempt| attempt == "1");
    let mut hash = DefaultHasher::new();
    headers.get("webhook-id").map(http::HeaderValue::as_bytes).hash(&mut hash);
    first && hash.finish() % 100 < percent
}
