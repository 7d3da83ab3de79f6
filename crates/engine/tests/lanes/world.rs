//! An engine with a real store, and receivers that answer what they are told to.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use vai_webhooks_engine::{Engine, EngineOptions, NewEvent, NewWebhook, RetryPolicy, TenantId};
use vai_webhooks_wire::{EventId, UnixMs, WebhookId};

use crate::patience::patiently;

/// Waits in tests end with a failure after this: long enough for a disk that stalls and cores that others use.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// Events that are posted with one call.
const BATCH: usize = 1_000;

/// An engine on a directory that outlives it.
pub struct World {
    pub engine: Arc<Engine>,
    pub tenant: TenantId,
    pub data: Arc<TempDir>,
}

impl World {
    pub async fn new() -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// An engine on this directory.
    pub async fn on(data: Arc<TempDir>) -> Self {
        let engine = Arc::new(Engine::open(options(data.path())).await.unwrap());
        let name = "default".parse().unwrap();
        let tenant = patiently(|| engine.tenant(&name)).await.unwrap();
        Self { engine, tenant, data }
    }

    /// The same after a restart in good order.
    pub async fn again(self) -> Self {
        self.engine.shutdown(PATIENCE).await;
        Self::on(self.data).await
    }

    /// Registers a webhook of these events.
    pub async fn webhook(&self, id: &str, url: &str, event: &str, waits_ms: &[u64]) -> WebhookId {
        let mut webhook = NewWebhook::new(url, [event]);
        webhook.id = Some(id.parse().unwrap());
        webhook.verify = false;
        webhook.config.retry = RetryPolicy::Schedule { schedule: waits_ms.to_vec() };
        webhook.config.timeout_ms = 30_000;
        let register = || self.engine.register(self.tenant, webhook.clone(), None);
        patiently(register).await.unwrap().webhook.id
    }

    /// Sends an event under this id.
    pub async fn send(&self, event: &str, id: &str) {
        let event = NewEvent { id: Some(id.parse().unwrap()), ..NewEvent::new(event, "{}") };
        patiently(|| self.engine.trigger(self.tenant, event.clone())).await.unwrap();
    }

    /// Sends an event under each of these ids, as those do who have many: in batches, all of them at once. A batch
    /// that is not accepted whole is sent again, under the same ids.
    pub async fn accepted(&self, event: &str, ids: &[String]) {
        let batches = ids.chunks(BATCH).map(async |batch| {
            let entry = |id: &String| format!(r#"{{"event":"{event}","id":"{id}","data":{{}}}}"#);
            let entries: Vec<String> = batch.iter().map(entry).collect();
            let entries: Vec<&[u8]> = entries.iter().map(String::as_bytes).collect();
            let whole = async || {
                let results = self.engine.trigger_batch_json(self.tenant, &entries, None).await?;
                results.into_iter().collect::<Result<Vec<_>, _>>()
            };
            patiently(whole).await.unwrap();
        });
        futures_util::future::join_all(batches).await;
    }

    /// Waits until an event's one delivery is in this state.
    pub async fn until_state(&self, id: &str, state: &str) {
        let id: EventId = id.parse().unwrap();
        let wait = async {
            loop {
                let deliveries = self.engine.deliveries(self.tenant, &id).await.unwrap();
                if deliveries.iter().all(|delivery| delivery.state.as_str() == state) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the delivery gets into its state");
    }
}

fn options(data: &Path) -> EngineOptions {
    let egress_allow = vec!["127.0.0.0/8".parse().unwrap()];
    EngineOptions { egress_allow, ..EngineOptions::new(data) }
}

/// What a receiver answers to one request.
#[derive(Clone)]
pub enum Reply {
    Status(u16),
    RetryAfter(u16, &'static str),
    /// Nothing, as long as the test runs.
    Silence,
}

/// One request that arrived: its `webhook-id`, its attempt, and when.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub id: String,
    pub attempt: u32,
    pub at: UnixMs,
}

/// Decides on a request by its id and attempt.
type Decide = dyn Fn(&str, u32) -> Reply + Send + Sync;

struct Shared {
    arrivals: Mutex<Vec<Arrival>>,
    count: watch::Sender<usize>,
    decide: Box<Decide>,
}

/// A receiver that runs as long as the test.
#[derive(Clone)]
pub struct Receiver {
    shared: Arc<Shared>,
    pub url: String,
}

impl Receiver {
    pub async fn start(decide: impl Fn(&str, u32) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let decide = Box::new(decide);
        let shared = Arc::new(Shared { arrivals: Mutex::default(), count: watch::Sender::new(0), decide });
        let served = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&served);
                let service = hyper::service::service_fn(move |request| take(Arc::clone(&shared), request));
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { shared, url }
    }

    /// Waits for so many requests in all, and gives them.
    pub async fn wait_for(&self, count: usize) -> Vec<Arrival> {
        let mut arrived = self.shared.count.subscribe();
        let wait = arrived.wait_for(|arrived| *arrived >= count);
        tokio::time::timeout(PATIENCE, wait).await.expect("so many requests arrive").unwrap();
        self.arrivals()
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().unwrap().clone()
    }

    /// How often each id arrived.
    pub fn times(&self) -> HashMap<String, usize> {
        let mut times = HashMap::new();
        for arrival in self.arrivals() {
            *times.entry(arrival.id).or_default() += 1;
        }
        times
    }
}

async fn take(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let text = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    let (id, attempt) = (text("webhook-id"), text("x-vai-attempt").parse().unwrap());
    request.into_body().collect().await?;
    let reply = (shared.decide)(&id, attempt);
    let count = {
        let mut arrivals = shared.arrivals.lock().unwrap();
        arrivals.push(Arrival { id, attempt, at: UnixMs::now() });
        arrivals.len()
    };
    shared.count.send_replace(count);
    let answer = Response::builder();
    Ok(match reply {
        Reply::Status(status) => answer.status(status).body(Empty::new()).unwrap(),
        Reply::RetryAfter(status, after) => {
            answer.status(status).header("retry-after", after).body(Empty::new()).unwrap()
        }
        Reply::Silence => std::future::pending().await,
    })
}
