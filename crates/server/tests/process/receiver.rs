//! A receiver that remembers everything and fails when it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What arrived under one `webhook-id`.
#[derive(Clone)]
pub struct Arrived {
    pub bodies: Vec<Bytes>,
    pub attempts: Vec<u32>,
}

/// Decides what a request is answered: its `webhook-id` and attempt.
type Answer = dyn Fn(&str, u32) -> StatusCode + Send + Sync;

struct Shared {
    taken: Mutex<HashMap<String, Arrived>>,
    count: watch::Sender<usize>,
    answer: Box<Answer>,
}

/// A running receiver.
#[derive(Clone)]
pub struct Receiver {
    shared: Arc<Shared>,
    pub url: String,
}

impl Receiver {
    /// Starts one; it runs as long as the test.
    pub async fn start(answer: impl Fn(&str, u32) -> StatusCode + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    /// The same on this listener.
    pub fn start_on(
        listener: TcpListener,
        answer: impl Fn(&str, u32) -> StatusCode + Send + Sync + 'static,
    ) -> Self {
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let shared =
            Shared { taken: Mutex::default(), count: watch::Sender::new(0), answer: Box::new(answer) };
        let shared = Arc::new(shared);
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared, url }
    }

    /// Waits until `count` different ids were taken.
    pub async fn wait_for(&self, count: usize) {
        let mut taken = self.shared.count.subscribe();
        taken.wait_for(|taken| *taken >= count).await.unwrap();
    }

    /// Everything that was taken, by id.
    pub fn taken(&self) -> HashMap<String, Arrived> {
        self.shared.taken.lock().unwrap().clone()
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    // A receiver's sink does not count its tries.
    let attempt = text("x-vai-attempt").map_or(1, |digits| digits.parse().unwrap());
    let id = text("webhook-id").unwrap();
    let status = (shared.answer)(&id, attempt);
    if status.is_success() {
        let mut taken = shared.taken.lock().unwrap();
        let arrived = taken.entry(id).or_insert_with(|| Arrived { bodies: Vec::new(), attempts: Vec::new() });
        arrived.bodies.push(body);
        arrived.attempts.push(attempt);
        let count = taken.len();
        drop(taken);
        shared.count.send_replace(count);
    }
    status
}
