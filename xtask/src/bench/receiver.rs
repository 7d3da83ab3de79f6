//! A receiver that reads the body and answers: the least that a receiver can do, in a few moods.

use std::collections::hash_map::DefaultHasher;
use std::convert::Infallible;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::latency::Stamps;

/// How long nothing may arrive before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a receiver answers.
#[derive(Clone, Copy)]
pub enum Mood {
    /// 200, at once.
    Takes,
    /// 500 to so many first attempts of a hundred, chosen by the event's id.
    FailsFirst(u64),
    /// 500, always.
    Refuses,
    /// 200, after this time.
    Hangs(Duration),
}

struct Shared {
    mood: Mood,
    /// Requests that were answered 200.
    taken: AtomicU64,
    /// Requests that came, whatever they were answered.
    seen: AtomicU64,
    stamps: Option<Arc<Stamps>>,
}

/// A running receiver.
pub struct Receiver {
    shared: Arc<Shared>,
    pub url: String,
}

impl Receiver {
    /// One in this mood; with `stamps`, arrivals are noted there.
    pub async fn start(mood: Mood, stamps: Option<Arc<Stamps>>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let shared = Arc::new(Shared { mood, taken: AtomicU64::new(0), seen: AtomicU64::new(0), stamps });
        let served = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                // Where this fails the connection is gone anyway.
                let _gone = tcp.set_nodelay(true);
                let shared = Arc::clone(&served);
                let service = service_fn(move |request| take(request, Arc::clone(&shared)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
            }
        });
        Ok(Self { shared, url })
    }

    /// Requests that were answered 200.
    pub fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Requests that came, whatever they were answered.
    pub fn seen(&self) -> u64 {
        self.shared.seen.load(Ordering::Relaxed)
    }
}

/// Waits until `now` says `count`; an error where it stands still before.
pub async fn until(count: u64, now: impl Fn() -> u64) -> anyhow::Result<()> {
    let mut last = (now(), Instant::now());
    while last.0 < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
        match now() {
            more if more > last.0 => last = (more, Instant::now()),
            same if last.1.elapsed() > PATIENCE => bail!("{same} of {count} arrived, then nothing more"),
            _ => {}
        }
    }
    Ok(())
}

async fn take(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let fails = match shared.mood {
        Mood::Takes => false,
        Mood::Refuses => true,
        Mood::FailsFirst(percent) => fails_first(request.headers(), percent),
        Mood::Hangs(time) => {
            tokio::time::sleep(time).await;
            false
        }
    };
    // A body that breaks off is not counted.
    let Ok(body) = request.into_body().collect().await else { return Ok(Response::new(Empty::new())) };
    shared.seen.fetch_add(1, Ordering::Relaxed);
    if let Some(stamps) = &shared.stamps {
        stamps.arrived(&body.to_bytes());
    }
    let mut response = Response::new(Empty::new());
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
