//! A sink that is down for a while, and a receiver that is killed meanwhile: nothing is lost, nothing is doubled, nobody
//! else waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use tokio::net::TcpSocket;

use crate::inbox::{body, ids, until_done};
use crate::producer::Producer;
use crate::receiver::Receiver;
use crate::server::Server;

const EVENTS: usize = 1_000;
/// Requests that are refused after the sink takes connections again.
const REFUSED: u64 = 6;
/// Generous: on a slow machine with others on it.
const DEADLINE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_is_down_for_a_while_gets_every_event_once_and_in_order() {
    tokio::time::timeout(DEADLINE, run()).await.expect("the test ends within its deadline");
}

async fn run() {
    let place = tempfile::tempdir().unwrap();
    let (data, config) = (place.path().join("data"), place.path().join("receiver.toml"));
    // Bound and not yet listening: connections are refused, and nobody else gets the port.
    let away = TcpSocket::new_v4().unwrap();
    away.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let file = place.path().join("beside.jsonl");
    let text = format!(
        "[[sink]]\nname = \"away\"\nkind = \"http\"\nurl = \"http://{}/hook\"\n
         [[sink]]\nname = \"beside\"\nkind = \"jsonl\"\npath = {file:?}",
        away.local_addr().unwrap()
    );
    std::fs::write(&config, text).unwrap();

    let server = Server::receive(&data, &config).await;
    send(&server.url, 0..EVENTS / 2).await;
    until(&server.url, |sinks| sinks["away"]["failedTries"].as_u64() >= Some(2)).await;
    server.kill().await;
    let server = Server::receive(&data, &config).await;
    send(&server.url, EVENTS / 2..EVENTS).await;
    let kept = until(&server.url, |sinks| {
        sinks["away"]["failedTries"].as_u64() >= Some(1) && sinks["beside"]["waiting"] == 0
    })
    .await;
    assert_eq!(kept["away"]["waiting"], EVENTS, "all of them wait for it");
    assert_eq!(ids(&file), sorted(0..EVENTS), "the other one has them");

    let (refused, order) = (AtomicU64::new(0), Arc::new(Mutex::new(Vec::new())));
    let arrived = Arc::clone(&order);
    let mended = Receiver::start_on(away.listen(1_024).unwrap(), move |id, _| {
        if refused.fetch_add(1, Ordering::Relaxed) < REFUSED {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        arrived.lock().unwrap().push(id.to_owned());
        StatusCode::OK
    });
    mended.wait_for(EVENTS).await;
    until_done(&server.url).await;
    let order = order.lock().unwrap().clone();
    assert_eq!(order.len(), EVENTS, "each once");
    for (id, arrived) in mended.taken() {
        assert_eq!(arrived.bodies.len(), 1, "{id} once");
        assert_eq!(arrived.bodies[0], body(number(&id)).1, "{id} as it was received");
    }
    let mut newest: HashMap<usize, usize> = HashMap::new();
    for number in order.iter().map(|id| number(id)) {
        let before = newest.insert(number % 50, number);
        assert!(before < Some(number), "{number} after {before:?}, which is of the same session");
    }
    let done = until(&server.url, |_| true).await;
    assert_eq!(done["away"]["deadLetters"], 0);
    assert_eq!(done["away"]["status"], "active");
}

fn number(id: &str) -> usize {
    id[2..].parse().unwrap()
}

fn sorted(numbers: std::ops::Range<usize>) -> Vec<String> {
    let mut ids: Vec<String> = numbers.map(|number| body(number).0).collect();
    ids.sort();
    ids
}

async fn send(url: &str, numbers: std::ops::Range<usize>) {
    let producer = Producer::new();
    for number in numbers {
        let (id, body) = body(number);
        assert_eq!(producer.send(url, &id, &body).await.unwrap(), 200);
    }
}

/// Asks for the state of each sink until it is so.
async fn until(url: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let producer = Producer::new();
    loop {
        let (status, answer) = producer.call("GET", &format!("{url}/webhook/status"), "").await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let name = |sink: &Value| sink["name"].as_str().unwrap().to_owned();
        let sinks = answer["sinks"].as_array().unwrap().iter().map(|sink| (name(sink), sink.clone()));
        let sinks: Value = sinks.collect::<serde_json::Map<_, _>>().into();
        if is_so(&sinks) {
            return sinks;
        }
        tokio::task::yield_now().await;
    }
}
