//! kill -9 in the middle of events, several times: every acknowledged one is in every sink that can know it again, once,
//! and counted once in the summaries. PostgreSQL is real.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parquet::file::reader::SerializedFileReader;
use parquet::record::RowAccessor as _;
use rusqlite::Connection;
use tempfile::tempdir;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use vai_webhooks_receiver::{Config, Receiver};

use crate::client::{get, status};
use crate::postgresql::{PASSWORD, Server};
use crate::request::{Post, body, key, secret};
use crate::running::serve_plain;
use crate::vendor::clickhouse;

const EVENTS: usize = 3_000;
const KILLS: usize = 4;
const PRODUCERS: usize = 8;
/// The child's configuration; its data lies beside it.
const CHILD_CONFIG: &str = "VAI_TEST_CHILD_CONFIG";

/// The receiver that is killed: runs in a process of its own and does nothing in the tests' own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_with_sinks_to_be_killed() {
    let Ok(file) = std::env::var(CHILD_CONFIG) else { return };
    let config = Config::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let builder = Receiver::builder().secret(secret()).key(key()).sinks(config.sinks).summaries_and_rules([]);
    let receiver = builder.open(Path::new(&file).with_file_name("data")).await.unwrap();
    println!("\nlistens {}", serve_plain(receiver.router()).await);
    // Whoever started it holds this open.
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    std::process::exit(0);
}

/// Killed where it is dropped.
struct Killed(Child, SocketAddr);

impl Killed {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::a_receiver_with_sinks_to_be_killed", "--nocapture"])
            .env(CHILD_CONFIG, config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let address = lines.find_map(|line| line.strip_prefix("listens ").map(str::to_owned)).unwrap();
        Self(child, address.parse().unwrap())
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The status that an event is answered with; an error where nobody is there, or goes away before the answer.
async fn answered(address: SocketAddr, request: &Post) -> std::io::Result<[u8; 3]> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&request.bytes()).await?;
    let mut begins = [0; 12];
    stream.read_exact(&mut begins).await?;
    Ok([begins[9], begins[10], begins[11]])
}

/// Posts events until all are acknowledged, and tells each.
async fn produce(address: watch::Receiver<SocketAddr>, next: Arc<AtomicUsize>, tell: mpsc::Sender<String>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= EVENTS {
            return;
        }
        let id = format!("evt_{number:05}");
        let text = body(&id, "message.sent").replace("\"s1\"", &format!("\"s{}\"", number % 20));
        loop {
            let current = *address.borrow();
            match answered(current, &Post::signed(&text)).await {
                // Told to come again, or not known whether it was taken.
                Ok([b'5', b'0', b'3']) | Err(_) => tokio::task::yield_now().await,
                Ok(status) => break assert_eq!(&status, b"200"),
            }
        }
        tell.send(id).await.unwrap();
    }
}

fn configuration(place: &Path, postgres: &str, clickhouse: SocketAddr) -> String {
    let path = |name: &str| place.join(name);
    format!(
        "[[sink]]\nname = \"file\"\nkind = \"jsonl\"\npath = {:?}\n
         [[sink]]\nname = \"tables\"\nkind = \"sqlite\"\npath = {:?}\n
         [[sink]]\nname = \"lake\"\nkind = \"parquet\"\npath = {:?}\n
         [[sink]]\nname = \"warehouse\"\nkind = \"postgres\"\nurl = \"{postgres}\"\n
         [[sink]]\nname = \"rows\"\nkind = \"clickhouse\"\nurl = \"http://{clickhouse}\"\nuser = \"vai\"\npassword = \"hunter2\"",
        path("file.jsonl"),
        path("tables.db"),
        path("lake"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_is_in_every_kind_of_sink_once_although_the_receiver_is_killed() {
    let place = tempdir().unwrap();
    let (postgres, clickhouse) = (Server::start().await, clickhouse::start().await);
    let config = place.path().join("receiver.toml");
    let text = configuration(place.path(), &postgres.url(PASSWORD), clickhouse.address);
    std::fs::write(&config, text).unwrap();

    let mut receiver = Killed::start(&config);
    let (moved, address) = watch::channel(receiver.1);
    let (next, (tell, mut told)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel(1));
    for _ in 0..PRODUCERS {
        tokio::spawn(produce(address.clone(), next.clone(), tell.clone()));
    }
    drop(tell);
    let mut all = BTreeSet::new();
    while let Some(id) = told.recv().await {
        all.insert(id);
        if all.len().is_multiple_of(EVENTS / (KILLS + 1)) && all.len() < EVENTS {
            drop(receiver);
            receiver = Killed::start(&config);
            moved.send_replace(receiver.1);
        }
    }
    let waits = |status: &serde_json::Value| {
        let sinks = status["sinks"].as_array().unwrap();
        sinks.iter().any(|sink| sink["waiting"] != 0) || status["derived"]["waiting"] != 0
    };
    while waits(&status(receiver.1).await) {
        tokio::task::yield_now().await;
    }

    let all: Vec<String> = all.into_iter().collect();
    assert_eq!(all.len(), EVENTS);
    assert_eq!(in_lines(&place.path().join("file.jsonl")), all);
    assert_eq!(in_tables(&place.path().join("tables.db")), all);
    assert_eq!(in_files(&place.path().join("lake")), all);
    let in_postgres = postgres.rows("SELECT event_id FROM vai.message_sent ORDER BY event_id").await;
    assert_eq!(in_postgres.into_iter().filter_map(|row| row[0].clone()).collect::<Vec<_>>(), all);
    assert_eq!(clickhouse.state().tables["`default`.`vai_events`"].ids(), all);
    for session in 0..20 {
        let summary = get(receiver.1, &format!("/conversations/s{session}")).await.json();
        assert_eq!(summary["messages"]["sent"], EVENTS / 20, "{summary}");
    }
}

fn in_lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut ids: Vec<String> = lines.map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn in_tables(path: &Path) -> Vec<String> {
    let database = Connection::open(path).unwrap();
    let mut query = database.prepare("SELECT event_id FROM message_sent ORDER BY 1").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn in_files(path: &Path) -> Vec<String> {
    let folder = path.join("date=2026-08-01/event=message.sent");
    let mut ids = Vec::new();
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|end| end == "parquet") {
            let rows = SerializedFileReader::try_from(file.as_path()).unwrap().into_iter();
            ids.extend(rows.map(|row| row.unwrap().get_string(1).unwrap().clone()));
        }
    }
    ids.sort();
    ids
}
