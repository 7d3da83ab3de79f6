//! kill -9 loses nothing that was accepted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use rand::RngExt as _;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::producer::Producer;
use crate::receiver::Receiver;
use crate::server::Server;

const EVENTS: usize = 20_000;
const CONNECTIONS: usize = 32;
const KILLS: usize = 12;
/// Generous: on a slow machine with others on it.
const DEADLINE: Duration = Duration::from_secs(600);

/// A tenth of first attempts fails, always the same ones.
fn fails_first(id: &str) -> bool {
    id.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())).is_multiple_of(10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_event_is_delivered_although_the_engine_is_killed_again_and_again() {
    tokio::time::timeout(DEADLINE, run()).await.expect("the test ends within its deadline");
}

async fn run() {
    let data = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|id, attempt| match attempt == 1 && fails_first(id) {
        true => StatusCode::INTERNAL_SERVER_ERROR,
        false => StatusCode::OK,
    })
    .await;
    let server = Server::start(data.path()).await;
    let webhook = json!({"id": "all", "url": receiver.url, "events": ["*"], "verify": false,
        "retryConfig": {"schedule": [100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000]}});
    let (status, answer) = Producer::new()
        .call("POST", &format!("{}/v1/webhooks", server.url), &webhook.to_string())
        .await
        .unwrap();
    assert_eq!(status, 201, "{answer}");

    let (url, current) = watch::channel(server.url.clone());
    let next = Arc::new(AtomicUsize::new(0));
    let (accepted, mut progress) = mpsc::channel(1_024);
    for _ in 0..CONNECTIONS {
        tokio::spawn(produce(current.clone(), Arc::clone(&next), accepted.clone()));
    }
    drop(accepted);

    // Killed when so many are accepted: at random, and spread over the whole run.
    let slice = EVENTS / (KILLS + 1);
    let mut kill_at: Vec<usize> =
        (0..KILLS).map(|kill| kill * slice + rand::rng().random_range(1..slice)).collect();
    kill_at.reverse();
    let mut server = Some(server);
    let mut all = BTreeSet::new();
    let mut kills = 0;
    while let Some(id) = progress.recv().await {
        assert!(all.insert(id), "each is accepted once");
        if kill_at.last().is_some_and(|at| all.len() >= *at) {
            kill_at.pop();
            server.take().unwrap().kill().await;
            kills += 1;
            let again = Server::start(data.path()).await;
            url.send_replace(again.url.clone());
            server = Some(again);
        }
    }
    assert_eq!((all.len(), kills), (EVENTS, KILLS));
    receiver.wait_for(EVENTS).await;

    let taken = receiver.taken();
    let delivered: BTreeSet<String> = taken.keys().cloned().collect();
    assert_eq!(delivered, all, "what was accepted is what was delivered");
    for (id, arrived) in &taken {
        assert!(
            arrived.bodies.iter().all(|body| *body == arrived.bodies[0]),
            "{id} is always the same bytes"
        );
        assert!(
            !fails_first(id) || arrived.attempts[0] > 1,
            "{id} failed first, so a later attempt delivered it"
        );
    }
    let server = server.unwrap();
    let stats = format!("{}/v1/stats", server.url);
    loop {
        let (_, answer) = Producer::new().call("GET", &stats, "").await.unwrap();
        if answer["stats"]["pending"] == 0 {
            assert_eq!(answer["stats"]["sent"], EVENTS);
            assert_eq!(answer["stats"]["failed"], 0);
            break;
        }
    }
    let (_, event) = Producer::new().call("GET", &format!("{}/v1/events/e-0", server.url), "").await.unwrap();
    assert_eq!(event["deliveries"]["delivered"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_that_is_on_disk_when_the_engine_is_killed_arrives_whole() {
    const BACKLOG: usize = 5_000;
    let data = tempfile::tempdir().unwrap();
    let (mended, is_mended) = watch::channel(false);
    let receiver = Receiver::start(move |_, _| match *is_mended.borrow() {
        true => StatusCode::OK,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    })
    .await;
    let mut server = Server::start(data.path()).await;
    // Enough of them for a disk that stalls, and short ones at first.
    let waits = [vec![500; 9], vec![5_000; 40]].concat();
    let webhook = json!({"id": "all", "url": receiver.url, "events": ["*"], "verify": false,
        "retryConfig": {"schedule": waits}});
    let producer = Producer::new();
    let url = format!("{}/v1/webhooks", server.url);
    let (status, answer) = producer.call("POST", &url, &webhook.to_string()).await.unwrap();
    assert_eq!(status, 201, "{answer}");
    let mut all = BTreeSet::new();
    for kill in 0..5 {
        let ids = (0..BACKLOG / 5).map(|number| format!("e-{kill}-{number}"));
        let events: Vec<_> = ids
            .inspect(|id| assert!(all.insert(id.clone())))
            .map(|id| json!({"id": id, "event": "order.made", "data": {"text": "x".repeat(200)}}))
            .collect();
        let url = format!("{}/v1/events/batch", server.url);
        let (status, answer) = producer.call("POST", &url, &json!(events).to_string()).await.unwrap();
        assert_eq!(status, 202, "{answer}");
        server.kill().await;
        server = Server::start(data.path()).await;
        let url = format!("{}/v1/stats", server.url);
        let (_, answer) = producer.call("GET", &url, "").await.unwrap();
        assert_eq!(answer["stats"]["pending"], all.len(), "what is counted is what was accepted");
    }
    mended.send_replace(true);
    let arrive = receiver.wait_for(BACKLOG);
    tokio::time::timeout(DEADLINE, arrive).await.expect("the backlog arrives");
    assert_eq!(receiver.taken().into_keys().collect::<BTreeSet<_>>(), all);
}

/// Posts events under ids of its own until all are accepted; repeats what was not answered.
async fn produce(url: watch::Receiver<String>, next: Arc<AtomicUsize>, accepted: mpsc::Sender<String>) {
    let producer = Producer::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= EVENTS {
            return;
        }
        let id = format!("e-{number}");
        let body =
            json!({"event": "order.made", "id": id, "data": {"number": number, "text": "x".repeat(200)}});
        let body = body.to_string();
        loop {
            let current = url.borrow().clone();
            match producer.call("POST", &format!("{current}/v1/events"), &body).await {
                Ok((202, answer)) => {
                    assert_eq!(answer["id"], *id);
                    break;
                }
                Ok((status, answer)) => panic!("{status}: {answer}"),
                // It was killed: whether this one is on disk is not known, so it is sent again.
                Err(_) => tokio::task::yield_now().await,
            }
        }
        accepted.send(id).await.unwrap();
    }
}
