//! Stand-ins for services that cannot run here, each with the rules that its vendor documents, and with tests that hold
//! it to them: a stand-in that takes everything would prove nothing.

pub mod clickhouse;
pub mod slack;
pub mod smtp;
pub mod teams;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a test may ask of any of them.
#[derive(Debug, Default)]
pub struct Mood {
    /// So many of the next requests are answered 429, with this `Retry-After`.
    pub busy: Vec<&'static str>,
    /// All requests are answered so.
    pub down: Option<StatusCode>,
    /// Whatever holds this text is refused for what it is.
    pub poison: Option<&'static str>,
}

/// A stand-in with its state, on a port of its own; it ends with its value.
pub struct Vendor<S> {
    pub address: SocketAddr,
    state: Arc<Mutex<S>>,
    task: JoinHandle<()>,
}

impl<S: Send + 'static> Vendor<S> {
    pub async fn serve(state: S, router: impl FnOnce(Arc<Mutex<S>>) -> Router) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self::serve_on(listener, state, router)
    }

    pub fn serve_on(listener: TcpListener, state: S, router: impl FnOnce(Arc<Mutex<S>>) -> Router) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(state));
        let router = router(state.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state, task }
    }

    pub fn state(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap()
    }
}

impl<S> Drop for Vendor<S> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer that a mood forces, where it forces one.
pub fn forced(mood: &mut Mood) -> Option<(StatusCode, HeaderMap, String)> {
    if let Some(status) = mood.down {
        return Some((status, HeaderMap::new(), "down for maintenance".to_owned()));
    }
    let after = mood.busy.pop()?;
    let headers = HeaderMap::from_iter([(axum::http::header::RETRY_AFTER, after.parse().unwrap())]);
    Some((StatusCode::TOO_MANY_REQUESTS, headers, "rate_limited".to_owned()))
}

/// Posts straight to a stand-in, as its own tests do: the status and the text.
pub async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: vendor\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let answer = crate::client::Client::connect(address).await.ask(request.as_bytes()).await;
    (answer.status, answer.body)
}

pub const JSON: (&str, &str) = ("Content-Type", "application/json");
