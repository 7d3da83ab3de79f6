//! A tenant that floods delays nobody else's event. Ignored where tests run side by side: a machine that is busy with other
//! tests delays events too. `cargo xtask test` runs these after the others, one at a time. A machine that is disturbed
//! from outside, by a disk that stalls above all, delays events as well, but not in every run; a flood that delays others
//! does so in each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::producer::Producer;
use crate::server::Server;

const FLOOD: usize = 100_000;
const BATCH: usize = 1_000;
/// Batches that are posted at once.
const FLOODERS: usize = 4;
/// Events of the quiet tenant, one after the other.
const PROBES: usize = 40;
/// How much later the quiet tenant's events may arrive because of the flood, in the median.
const DELAY_MAX: Duration = Duration::from_millis(50);
/// Runs, of which one must show it.
const RUNS: usize = 5;
/// How long the slow receiver takes.
const SLOW: Duration = Duration::from_millis(300);

/// When each id arrived.
#[derive(Default)]
struct Arrivals {
    at: Mutex<HashMap<String, Instant>>,
    came: Notify,
}

async fn receiver(wait: Duration) -> (String, Arc<Arrivals>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let arrivals = Arc::new(Arrivals::default());
    let take = move |State(arrivals): State<Arc<Arrivals>>, headers: HeaderMap| async move {
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        arrivals.at.lock().unwrap().entry(id).or_insert_with(Instant::now);
        arrivals.came.notify_waiters();
        tokio::time::sleep(wait).await;
        StatusCode::OK
    };
    let router = Router::new().route("/", post(take)).with_state(Arc::clone(&arrivals));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, arrivals)
}

/// How long single events of the quiet tenant take, from the call to the arrival: the median.
async fn quiet(producer: &Producer, server: &Server, name: &str, arrivals: &Arrivals) -> Duration {
    let mut took = Vec::new();
    for number in 0..PROBES {
        let id = format!("{name}-{number}");
        let began = Instant::now();
        let event = json!({"id": id, "event": "quiet.event", "data": {}}).to_string();
        let url = format!("{}/v1/events", server.url);
        let (status, answer) = producer.call_as("quiet", "POST", &url, &event).await.unwrap();
        assert_eq!(status, 202, "{answer}");
        let arrived = loop {
            let came = arrivals.came.notified();
            if let Some(at) = arrivals.at.lock().unwrap().get(&id) {
                break *at;
            }
            came.await;
        };
        took.push(arrived - began);
    }
    took.sort_unstable();
    took[PROBES / 2]
}

/// Posts the flood; a batch that is refused because there is too much to do is posted again.
async fn flood(url: String) {
    let events: Vec<_> =
        (0..BATCH).map(|number| json!({"event": "flood.event", "data": {"number": number}})).collect();
    let batch = Arc::new(json!(events).to_string());
    let mut floods = JoinSet::new();
    for _ in 0..FLOODERS {
        let (url, batch) = (format!("{url}/v1/events/batch"), Arc::clone(&batch));
        floods.spawn(async move {
            let producer = Producer::new();
            for _ in 0..FLOOD / BATCH / FLOODERS {
                while producer.call_once_as("loud", "POST", &url, &batch).await.unwrap().0 != 202 {}
            }
        });
    }
    floods.join_all().await;
}

async fn a_flood_towards_a_receiver_that_takes(wait: Duration) {
    let mut runs = Vec::new();
    while runs.len() < RUNS {
        let [alone, during, after] = run(wait).await;
        println!(
            "in the median: {alone:?} alone, {during:?} during the flood, {after:?} after it was accepted"
        );
        if during.max(after) < alone + DELAY_MAX {
            return;
        }
        runs.push([alone, during, after]);
    }
    panic!("at most {DELAY_MAX:?} more beside the flood than alone; alone, during it, after it: {runs:?}");
}

/// One run: alone, during the flood, and after it was accepted, each in the median.
async fn run(wait: Duration) -> [Duration; 3] {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let producer = Producer::new();
    let ((loud, _), (own, arrivals)) = (receiver(wait).await, receiver(Duration::ZERO).await);
    for (tenant, url) in [("loud", loud), ("quiet", own)] {
        let webhook = json!({"url": url, "events": ["*"], "verify": false}).to_string();
        let webhooks = format!("{}/v1/webhooks", server.url);
        assert_eq!(producer.call_as(tenant, "POST", &webhooks, &webhook).await.unwrap().0, 201);
    }
    let alone = quiet(&producer, &server, "alone", &arrivals).await;
    let flood = tokio::spawn(flood(server.url.clone()));
    // In the middle of it: once the flood has begun to be accepted, and after its last event was.
    let stats = format!("{}/v1/stats", server.url);
    let accepted = async {
        loop {
            let (_, stats) = producer.call_as("loud", "GET", &stats, "").await.unwrap();
            if stats["stats"]["pending"] != 0 || stats["stats"]["sent"] != 0 {
                return;
            }
        }
    };
    accepted.await;
    let during = quiet(&producer, &server, "during", &arrivals).await;
    flood.await.unwrap();
    let after = quiet(&producer, &server, "after", &arrivals).await;
    [alone, during, after]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes times: `cargo xtask test` runs it with nothing beside it"]
async fn a_flood_of_one_tenant_does_not_delay_anothers_event_where_the_receiver_is_fast() {
    a_flood_towards_a_receiver_that_takes(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes times: `cargo xtask test` runs it with nothing beside it"]
async fn a_flood_of_one_tenant_does_not_delay_anothers_event_where_the_receiver_is_slow() {
    a_flood_towards_a_receiver_that_takes(SLOW).await;
}
