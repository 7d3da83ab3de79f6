//! A receiver that is killed again and again loses and doubles nothing in its sinks; its configuration can be checked;
//! idle connections take it from nobody.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command as Blocking;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::producer::Producer;
use crate::server::{SECRET, Server, binary};

const EVENTS: usize = 10_000;
const CONNECTIONS: usize = 32;
const KILLS: usize = 5;
const IDLE: usize = 10_000;
/// Generous: on a slow machine with others on it.
const DEADLINE: Duration = Duration::from_secs(600);

pub fn body(number: usize) -> (String, String) {
    let id = format!("e-{number}");
    let (session, kind) =
        (number % 50, if number.is_multiple_of(2) { "message.sent" } else { "agent.metrics" });
    let body = format!(
        r#"{{"id":"{id}","event":"{kind}","timestamp":"2026-08-01T00:00:00.000Z","data":{{"sessionId":"s{session}","text":"{}"}}}}"#,
        "x".repeat(200)
    );
    (id, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_is_in_every_sink_once_although_the_receiver_is_killed_again_and_again() {
    tokio::time::timeout(DEADLINE, killed()).await.expect("the test ends within its deadline");
}

async fn killed() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let write = |name: &str, text: String| std::fs::write(path(name), text).unwrap();
    write(
        "front.toml",
        format!(
            "[[sink]]\nname = \"file\"\nkind = \"jsonl\"\npath = {:?}\n
             [[sink]]\nname = \"some\"\nkind = \"jsonl\"\npath = {:?}\nevents = [\"message.*\"]\n
             [[sink]]\nname = \"tables\"\nkind = \"sqlite\"\npath = {:?}",
            path("front.jsonl"),
            path("some.jsonl"),
            path("tables.db"),
        ),
    );
    let mut front = Server::receive(&path("front"), &path("front.toml")).await;
    let (url, current) = watch::channel(front.url.clone());
    let (next, (accepted, mut progress)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel(1_024));
    for _ in 0..CONNECTIONS {
        tokio::spawn(produce(current.clone(), next.clone(), accepted.clone()));
    }
    drop(accepted);
    let slice = EVENTS / (KILLS + 1);
    let mut kill_at: Vec<usize> =
        (0..KILLS).map(|kill| kill * slice + rand::rng().random_range(1..slice)).collect();
    kill_at.reverse();
    let mut all = BTreeSet::new();
    while let Some(id) = progress.recv().await {
        all.insert(id);
        if kill_at.last().is_some_and(|at| all.len() >= *at) {
            kill_at.pop();
            front.kill().await;
            front = Server::receive(&path("front"), &path("front.toml")).await;
            url.send_replace(front.url.clone());
        }
    }
    assert_eq!((all.len(), kill_at.len()), (EVENTS, 0));
    until_done(&front.url).await;

    let all: Vec<String> = all.into_iter().collect();
    assert_eq!(ids(&path("front.jsonl")), all, "each once");
    assert_eq!(rows(&path("tables.db")), all, "each once");
    let is_message = |id: &&String| id[2..].parse::<usize>().unwrap().is_multiple_of(2);
    let messages: Vec<String> = all.iter().filter(is_message).cloned().collect();
    assert_eq!(ids(&path("some.jsonl")), messages, "each once");
}

/// Posts events until all are acknowledged; repeats what was not answered.
async fn produce(url: watch::Receiver<String>, next: Arc<AtomicUsize>, accepted: mpsc::Sender<String>) {
    let producer = Producer::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= EVENTS {
            return;
        }
        let (id, body) = body(number);
        loop {
            let current = url.borrow().clone();
            match producer.send(&current, &id, &body).await {
                Ok(status) => break assert_eq!(status, 200),
                // It was killed: whether this one is on disk is not known, so it is sent again.
                Err(_) => tokio::task::yield_now().await,
            }
        }
        accepted.send(id).await.unwrap();
    }
}

pub async fn until_done(url: &str) {
    let producer = Producer::new();
    loop {
        let (status, answer) = producer.call("GET", &format!("{url}/webhook/status"), "").await.unwrap();
        assert_eq!(status, 200, "{answer}");
        if answer["sinks"].as_array().unwrap().iter().all(|sink| sink["waiting"] == 0) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// The ids in a file of lines, sorted.
pub fn ids(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    let mut ids: Vec<String> = text.lines().map(id).collect();
    ids.sort();
    ids
}

/// The ids in a database of the kind `sqlite`, sorted.
fn rows(path: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(path).unwrap();
    let mut query = database
        .prepare("SELECT event_id FROM message_sent UNION ALL SELECT event_id FROM agent_metrics ORDER BY 1")
        .unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_take_the_receiver_from_nobody() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("receiver.toml");
    std::fs::write(&config, "").unwrap();
    let receiver = Server::receive(&place.path().join("data"), &config).await;
    let address = receiver.url.strip_prefix("http://").unwrap().to_owned();
    let mut idle = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(&address).await.unwrap());
    }
    let producer = Producer::new();
    for number in 0..20 {
        let (id, body) = body(number);
        let sent = tokio::time::timeout(DEADLINE, producer.send(&receiver.url, &id, &body)).await;
        assert_eq!(sent.expect("answered in time").unwrap(), 200);
    }
    assert_eq!(idle.len(), IDLE);
}

#[test]
fn check_says_of_every_sink_whether_it_is_well_and_ends_accordingly() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("receiver.toml");
    let check = |text: &str| {
        std::fs::write(&config, text).unwrap();
        let mut command = Blocking::new(binary());
        command
            .args(["receive", "--check", "--data"])
            .arg(place.path().join("data"))
            .arg("--config")
            .arg(&config);
        let output = command.env("VAI_WEBHOOK_SECRET", SECRET).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let good =
        format!("[[sink]]\nname = \"good\"\nkind = \"jsonl\"\npath = {:?}\n", place.path().join("a.jsonl"));
    let (code, said) = check(&good);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("ok    1 secret\nok    data: ")
            && said.contains("\nok    sink good (jsonl): ")
            && said.contains("All is well"),
        "{said}"
    );
    let (code, said) = check(&format!(
        "{good}[[sink]]\nname = \"away\"\nkind = \"jsonl\"\npath = \"/no/such/place/a.jsonl\"\n[[sink]]\nname = \"odd\"\nkind = \"jsonl\""
    ));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("wrong sink away (jsonl): ") && said.contains("wrong sink odd (jsonl): "),
        "{said}"
    );
    assert!(said.contains("ok    sink good") && said.contains("2 of 5 to mend"), "{said}");
    assert!(!said.contains("sink \"odd\""), "its name once: {said}");
    let (code, said) = check("[[sink]]\nname = \"a\"");
    assert_ne!(code, Some(0));
    assert_eq!(said.matches("missing field `kind`").count(), 1, "{said}");
    assert!(!place.path().join("data").exists(), "a check makes nothing");
    std::fs::write(place.path().join("data"), "no directory").unwrap();
    let (code, said) = check(&good);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("wrong data: cannot use the data directory "), "{said}");
}
