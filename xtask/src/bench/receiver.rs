//! A receiver that reads the body, counts, and answers 200: the least that a receiver can do.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// How long the last deliveries may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running receiver.
pub struct Receiver {
    count: Arc<AtomicU64>,
    pub url: String,
}

impl Receiver {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                // Where this fails the connection is gone anyway.
                let _gone = tcp.set_nodelay(true);
                let count = Arc::clone(&counted);
                let service = service_fn(move |request| take(request, Arc::clone(&count)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
            }
        });
        Ok(Self { count, url })
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until `count` requests were answered in all.
    pub async fn wait_for(&self, count: u64) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.count() < count {
            if Instant::now() > until {
                bail!("{} of {count} deliveries arrived within {} s", self.count(), PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

async fn take(
    request: Request<Incoming>,
    count: Arc<AtomicU64>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    // A body that breaks off is not counted.
    if request.into_body().collect().await.is_ok() {
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(Response::new(Empty::new()))
}
