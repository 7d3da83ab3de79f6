//! The receiver as a service: what `vai-webhooks receive` runs.
//!
//! It exists for those who want to run something and write nothing. It opens a [`Receiver`], logs one
//! line for each event as the seed's does, and serves the router over HTTP/1.1 and HTTP/2 within the
//! bounds of [`ServiceLimits`]. Invariant: when [`serve`] returns, no connection is open, the store is
//! closed, and its directory may be opened again. The environment is read elsewhere.
//! Read `connections.rs` next.

mod activity;
mod balance;
mod begun;
mod body;
mod connection;
mod connections;
mod plain;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::response::Response;
use hyper::Request;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tower::Service as _;
use vai_webhooks_wire::{ParseSecretError, Secret, VerifyingKey};

pub use self::body::Body;
use crate::accepts::{BODY_BYTES_MAX, BODY_TIMEOUT_MS};
use crate::config::SinkConfig;
use crate::console::AccessKey;
use crate::inbox::RETAIN_MS;
use crate::observe::{Observation, Observer, Outcome};
use crate::receiver::{BuildError, Receiver};
use crate::rule::Rule;

/// The seed's port, where `PORT` names no other.
pub const PORT_DEFAULT: u16 = 3004;
/// Connections that may be open at once, by default.
pub const CONNECTIONS_MAX: usize = 8_192;
/// How long a connection may be open without a request in progress, by default. A request is in
/// progress when its whole head has arrived, so this bounds slow heads too.
pub const CONNECTION_IDLE_MS: u64 = 30_000;
/// How long requests in flight may take to end after the shutdown began, by default.
pub const SHUTDOWN_MS: u64 = 10_000;

/// What the store gets for closing, however late the connections ended.
const CLOSE_MS_MIN: u64 = 1_000;

/// What bounds the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLimits {
    /// The largest body in bytes.
    pub body_bytes_max: usize,
    /// How long a whole body may take to arrive.
    pub body_timeout_ms: u64,
    /// Connections that may be open at once. At this number, idle ones are closed to make room.
    pub connections_max: usize,
    /// How long a connection may be open without a request in progress.
    pub connection_idle_ms: u64,
    /// How long requests in flight, and then handlers, may take to end at a shutdown.
    pub shutdown_ms: u64,
}

impl Default for ServiceLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: BODY_BYTES_MAX,
            body_timeout_ms: BODY_TIMEOUT_MS,
            connections_max: CONNECTIONS_MAX,
            connection_idle_ms: CONNECTION_IDLE_MS,
            shutdown_ms: SHUTDOWN_MS,
        }
    }
}

/// What the service is told at its start.
#[derive(Clone)]
pub struct ServiceConfig {
    /// Where the caller listens; named in the log. [`serve`] itself takes the bound listener.
    pub listen: SocketAddr,
    /// Where the store lies; made where it is missing.
    pub data_dir: PathBuf,
    /// Secrets of which any may have signed a request. At least one of these or of the keys.
    pub secrets: Vec<Secret>,
    /// Ed25519 keys of which any may have signed (`v1a`) a request.
    pub verifying_keys: Vec<VerifyingKey>,
    /// How far `webhook-timestamp` may be from now, either way; `None` for five minutes.
    pub tolerance: Option<Duration>,
    /// Whether the legacy signature alone is enough, as the seed's own sender makes it.
    pub accept_legacy: bool,
    /// Where stored events go.
    pub sinks: Vec<SinkConfig>,
    /// What is worth a message, and to which of the sinks.
    pub rules: Vec<Rule>,
    /// The key to the routes about the receiver itself; without one they are closed.
    pub key: Option<AccessKey>,
    /// How long an event stays after the last sink is done with it; `None` keeps all.
    pub retain: Option<Duration>,
    /// The bounds.
    pub limits: ServiceLimits,
    /// Sees every request's outcome; for the demo.
    pub observer: Option<Observer>,
}

impl ServiceConfig {
    /// The defaults: legacy senders accepted, no sinks, no rules, no observer, default limits, no keys.
    pub fn new(listen: SocketAddr, data_dir: impl Into<PathBuf>, secrets: Vec<Secret>) -> Self {
        Self {
            listen,
            data_dir: data_dir.into(),
            secrets,
            verifying_keys: Vec::new(),
            tolerance: None,
            accept_legacy: true,
            sinks: Vec::new(),
            rules: Vec::new(),
            key: None,
            retain: Some(Duration::from_millis(RETAIN_MS)),
            limits: ServiceLimits::default(),
            observer: None,
        }
    }
}

impl fmt::Debug for ServiceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceConfig")
            .field("listen", &self.listen)
            .field("data_dir", &self.data_dir)
            .field("secrets", &self.secrets.len())
            .field("verifying_keys", &self.verifying_keys.len())
            .field("tolerance", &self.tolerance)
            .field("accept_legacy", &self.accept_legacy)
            .field("sinks", &self.sinks)
            .field("rules", &self.rules.iter().map(Rule::name).collect::<Vec<_>>())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why the service did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It could not start.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The store failed for good. Nothing that was answered 200 is lost; start the service again
    /// when the disk is well.
    #[error("the store failed and nothing more can be stored: see the log, then start the receiver again")]
    StoreFailed,
}

/// Why `VAI_WEBHOOK_SECRET` holds no secrets. Never shows one.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// There is nothing in it.
    #[error("no secret: set VAI_WEBHOOK_SECRET to the webhook's secret (several separated by commas)")]
    Empty,
    /// One of them is no secret.
    #[error("secret number {number} is not usable: {what}")]
    Bad {
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong with it. The message has it, so it is no source: a chain would say it twice.
        what: ParseSecretError,
    },
}

/// Reads a list of secrets separated by commas, as `VAI_WEBHOOK_SECRET` holds while a secret is being
/// rotated. Spaces around a secret do not belong to it; an empty place in the list means nothing.
pub fn parse_secrets(list: &str) -> Result<Vec<Secret>, SecretsError> {
    let named = list.split(',').map(str::trim).filter(|text| !text.is_empty());
    let secrets: Vec<Secret> = named
        .enumerate()
        .map(|(at, text)| Secret::parse(text).map_err(|what| SecretsError::Bad { number: at + 1, what }))
        .collect::<Result<_, _>>()?;
    if secrets.is_empty() { Err(SecretsError::Empty) } else { Ok(secrets) }
}

/// Opens the receiver of `config`: what [`serve`] does first, for a caller that wraps the router with
/// layers of its own and then calls [`serve_router`].
pub async fn open(config: &ServiceConfig) -> Result<Receiver, BuildError> {
    let mut builder = Receiver::builder()
        .accept_legacy(config.accept_legacy)
        .body_bytes_max(config.limits.body_bytes_max)
        .body_timeout_ms(config.limits.body_timeout_ms)
        .retain(config.retain)
        .sinks(config.sinks.clone())
        .summaries_and_rules(config.rules.clone());
    for secret in &config.secrets {
        builder = builder.secret(secret.clone());
    }
    for key in &config.verifying_keys {
        builder = builder.verifying_key(key.clone());
    }
    if let Some(key) = &config.key {
        builder = builder.key(key.clone());
    }
    if let Some(tolerance) = config.tolerance {
        builder = builder.tolerance(tolerance);
    }
    let observer = config.observer.clone();
    builder = builder.observe(move |seen: &Observation<'_>| {
        log_event(seen);
        if let Some(observer) = &observer {
            observer(seen);
        }
    });
    builder.open(&config.data_dir).await
}

/// Runs the service on `listener` until `shutdown` completes, then stops accepting, ends what is in
/// flight within the limit, and closes the store. An error that is returned while it ran means that
/// the store failed; all is closed then too.
pub async fn serve(
    config: ServiceConfig,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    let receiver = open(&config).await?;
    tracing::info!(listen = %config.listen, data = %config.data_dir.display(), "webhook receiver listening");
    let router = receiver.router();
    serve_router(&receiver, router, listener, &config.limits, shutdown).await
}

/// As [`serve`], with a receiver that is open and a router that leads to it (its own, with the
/// caller's layers around it).
pub async fn serve_router(
    receiver: &Receiver,
    router: axum::Router,
    listener: TcpListener,
    limits: &ServiceLimits,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    let mut failed = false;
    let mut deadline = Instant::now();
    let stop = async {
        tokio::select! {
            () = shutdown => {}
            () = receiver.failed() => failed = true,
        }
        deadline = Instant::now() + Duration::from_millis(limits.shutdown_ms);
    };
    let answer = move |request| {
        let answer = router.clone().call(request);
        async move {
            let Ok(answer) = answer.await;
            answer
        }
    };
    connections::serve(listener, answer, limits, Vec::new(), stop).await;
    let left = deadline.saturating_duration_since(Instant::now());
    if !receiver.close(left.max(Duration::from_millis(CLOSE_MS_MIN))).await {
        tracing::warn!(
            "sinks or handlers were stopped at the deadline; the events they had not taken stay stored"
        );
    }
    if failed { Err(ServiceError::StoreFailed) } else { Ok(()) }
}

/// One line per event, with nothing in it of what people said.
fn log_event(seen: &Observation<'_>) {
    let (Some(id), Some(event_type), Outcome::Stored) = (seen.event_id, seen.event_type, seen.outcome) else {
        return;
    };
    let (from, scheme) = (seen.webhook_id.unwrap_or("an unnamed webhook"), seen.scheme.unwrap_or_default());
    tracing::info!(?id, %scheme, "Received webhook event: {event_type} from {from}");
}

/// Answers requests within the service's bounds on connections, until `stop` completes and what is in
/// flight has ended, or the deadline in `limits` has passed. Connections are spread over `threads` (runtimes of one thread
/// each) as long as their requests are plain ones (small and whole), by what these have to do, and go on here when they are
/// not; all are here where there are no threads.
pub async fn serve_connections<F, A>(
    listener: TcpListener,
    answer: F,
    limits: &ServiceLimits,
    threads: Vec<Handle>,
    stop: impl Future<Output = ()>,
) where
    F: Fn(Request<Body>) -> A + Clone + Send + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    connections::serve(listener, answer, limits, threads, stop).await;
}
