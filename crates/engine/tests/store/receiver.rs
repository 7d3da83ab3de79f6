//! A receiver whose answers say something, and that can leave a request without one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Status and body of the answer to a request, by its path, its `webhook-id` and how often that came there before;
/// `None`: there is no answer.
type Decide = dyn Fn(&str, &str, usize) -> Option<(u16, Vec<u8>)> + Send + Sync;

/// A receiver that runs as long as the test.
pub struct Receiver {
    pub address: SocketAddr,
    /// How often each id came to each path.
    times: Arc<Mutex<HashMap<(String, String), usize>>>,
}

impl Receiver {
    pub async fn start(
        decide: impl Fn(&str, &str, usize) -> Option<(u16, Vec<u8>)> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), times: Arc::default() };
        let times = Arc::clone(&receiver.times);
        let decide: Arc<Decide> = Arc::new(decide);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (times, decide) = (Arc::clone(&times), Arc::clone(&decide));
                let service = hyper::service::service_fn(move |request| {
                    answer(Arc::clone(&times), Arc::clone(&decide), request)
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        receiver
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often an id came to a path.
    pub fn times(&self, path: &str, id: &str) -> usize {
        let times = self.times.lock().unwrap();
        times.get(&(path.to_owned(), id.to_owned())).copied().unwrap_or_default()
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.times.lock().unwrap().values().sum()
    }
}

async fn answer(
    times: Arc<Mutex<HashMap<(String, String), usize>>>,
    decide: Arc<Decide>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let id = request.headers()["webhook-id"].to_str().unwrap().to_owned();
    request.into_body().collect().await?;
    let before = {
        let mut times = times.lock().unwrap();
        let count = times.entry((path.clone(), id.clone())).or_default();
        *count += 1;
        *count - 1
    };
    match decide(&path, &id, before) {
        Some((status, body)) => Ok(Response::builder().status(status).body(Full::new(body.into())).unwrap()),
        None => std::future::pending().await,
    }
}
