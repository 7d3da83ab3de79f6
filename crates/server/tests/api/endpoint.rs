//! A webhook's endpoint: remembers what it got, and answers what it is told to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What an endpoint got, and with what it answers.
struct Shared {
    got: Mutex<Vec<(HeaderMap, Bytes)>>,
    count: watch::Sender<usize>,
    status: Mutex<StatusCode>,
}

/// A running endpoint.
pub struct Endpoint {
    shared: Arc<Shared>,
    pub url: String,
}

impl Endpoint {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let status = Mutex::new(StatusCode::OK);
        let shared = Arc::new(Shared { got: Mutex::default(), count: watch::Sender::new(0), status });
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared, url }
    }

    /// From now on, it answers this.
    pub fn answer(&self, status: u16) {
        *self.shared.status.lock().unwrap() = StatusCode::from_u16(status).unwrap();
    }

    /// Waits for so many requests in all, and gives them.
    pub async fn wait_for(&self, count: usize) -> Vec<(HeaderMap, Bytes)> {
        self.shared.count.subscribe().wait_for(|got| *got >= count).await.unwrap();
        self.shared.got.lock().unwrap().clone()
    }

    /// How many requests it got.
    pub fn count(&self) -> usize {
        *self.shared.count.borrow()
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let count = {
        let mut got = shared.got.lock().unwrap();
        got.push((headers, body));
        got.len()
    };
    shared.count.send_replace(count);
    (*shared.status.lock().unwrap(), "noted")
}
