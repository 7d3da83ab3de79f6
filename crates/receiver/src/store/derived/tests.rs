//! A consumer gets each event once, with its rows; notices reach their sink; faults are rolled back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tempfile::tempdir;
use tokio::sync::mpsc;
use vai_webhooks_wire::Secret;

use super::*;
use crate::Receiver;
use crate::sink::{Sink, SinkError, Stored};
use crate::store::{NewEvent, derived};

/// Counts events in a table, and sends a notice for each that is told to.
struct Count {
    /// Fails or panics so often at an event named `bad`.
    faults: Arc<Mutex<Vec<&'static str>>>,
}

impl Consumer for Count {
    fn name(&self) -> &str {
        "count"
    }

    fn reload(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        transaction.execute_batch("CREATE TABLE IF NOT EXISTS count_events (id TEXT NOT NULL) STRICT")
    }

    fn take(
        &mut self,
        transaction: &Transaction<'_>,
        stored: &Stored,
        outbox: &mut Outbox,
    ) -> rusqlite::Result<()> {
        transaction.execute("INSERT INTO count_events VALUES (?1)", [&stored.event.id])?;
        let notice =
            |id: &str| Notice { id: id.to_owned(), title: "an event".to_owned(), text: String::new() };
        outbox.send("people", notice(&stored.event.id));
        if stored.event.id == "bad" {
            let fault = self.faults.lock().unwrap().pop();
            match fault {
                Some("panic") => panic!("a consumer's own fault"),
                Some(_) => return Err(rusqlite::Error::InvalidQuery),
                None => {}
            }
        }
        Ok(())
    }
}

/// Tells the ids of notices; is down at first.
struct People {
    tell: mpsc::UnboundedSender<String>,
    tries: u32,
}

impl Sink for People {
    fn put<'a>(&'a mut self, _: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    fn notify<'a>(&'a mut self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SinkError>> {
        self.tries += 1;
        Box::pin(async {
            match (self.tries, notice.id.as_str()) {
                (1, _) => Err(SinkError::again("down")),
                (_, "refused") => Err(SinkError::Refused { at: 0, detail: "no".to_owned() }),
                (_, id) => {
                    self.tell.send(id.to_owned()).unwrap();
                    Ok(())
                }
            }
        })
    }

    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        Box::pin(async { Ok(String::new()) })
    }
}

struct Running {
    receiver: Receiver,
    told: mpsc::UnboundedReceiver<String>,
}

async fn start(directory: &std::path::Path, faults: &[&'static str]) -> Running {
    let (tell, told) = mpsc::unbounded_channel();
    let faults = Arc::new(Mutex::new(faults.to_vec()));
    let receiver = Receiver::builder()
        .secret(Secret::parse("a secret").unwrap())
        .sink("people", "*", People { tell, tries: 0 })
        .derive([Box::new(Count { faults }) as Box<dyn Consumer>])
        .open(directory)
        .await
        .unwrap();
    Running { receiver, told }
}

async fn put(receiver: &Receiver, id: &str) {
    let event = NewEvent {
        identity: id.to_owned(),
        body_sha256: None,
        same_body_is_same_event: false,
        event_type: "message.sent".to_owned(),
        webhook_id: None,
        scheme: "v1",
        received_at_ms: 1,
        body: Bytes::from_static(b"{}"),
        memory: None,
    };
    receiver.shared_handle().store.put(event).await.unwrap();
}

fn rows(directory: &std::path::Path) -> Vec<String> {
    let connection = derived::open_to_read(directory).unwrap();
    let mut query = connection.prepare("SELECT id FROM count_events ORDER BY rowid").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

async fn hear(told: &mut mpsc::UnboundedReceiver<String>, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(told.recv().await.unwrap());
    }
    all
}

#[tokio::test]
async fn each_event_gives_its_row_and_its_notice_once_across_restarts() {
    let directory = tempdir().unwrap();
    let Running { receiver, mut told } = start(directory.path(), &[]).await;
    for id in ["a", "refused", "b"] {
        put(&receiver, id).await;
    }
    assert_eq!(hear(&mut told, 2).await, ["a", "b"]);
    assert!(receiver.close(Duration::from_secs(10)).await);
    let Running { receiver, mut told } = start(directory.path(), &[]).await;
    put(&receiver, "c").await;
    assert_eq!(hear(&mut told, 1).await, ["c"]);
    assert!(receiver.close(Duration::from_secs(10)).await);
    assert_eq!(rows(directory.path()), ["a", "refused", "b", "c"]);
}

#[tokio::test]
async fn what_fails_is_rolled_back_with_its_notices_and_tried_again() {
    let directory = tempdir().unwrap();
    let Running { receiver, mut told } = start(directory.path(), &["error", "panic"]).await;
    for id in ["a", "bad", "b"] {
        put(&receiver, id).await;
    }
    assert_eq!(hear(&mut told, 3).await, ["a", "bad", "b"]);
    assert!(receiver.close(Duration::from_secs(10)).await);
    assert_eq!(rows(directory.path()), ["a", "bad", "b"]);
}

#[tokio::test]
async fn an_event_that_can_never_be_taken_is_skipped() {
    let directory = tempdir().unwrap();
    let Running { receiver, mut told } = start(directory.path(), &["error"; 100]).await;
    for id in ["a", "bad", "b"] {
        put(&receiver, id).await;
    }
    assert_eq!(hear(&mut told, 2).await, ["a", "b"]);
    assert!(receiver.close(Duration::from_secs(10)).await);
    assert_eq!(rows(directory.path()), ["a", "b"]);
}

#[tokio::test]
async fn a_notice_that_was_sent_is_not_sent_again_because_that_could_not_be_written() {
    let directory = tempdir().unwrap();
    let Running { receiver, mut told } = start(directory.path(), &[]).await;
    let connection = Connection::open(directory.path().join(FILE_NAME)).unwrap();
    connection.busy_timeout(Duration::from_secs(300)).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE full (number INTEGER);
             CREATE TRIGGER fills BEFORE DELETE ON outbox WHEN NOT EXISTS (SELECT 1 FROM full)
             BEGIN INSERT INTO full VALUES (old.number); SELECT RAISE(FAIL, 'full'); END",
        )
        .unwrap();
    for id in ["a", "b"] {
        put(&receiver, id).await;
    }
    assert_eq!(hear(&mut told, 2).await, ["a", "b"]);
    let failed: i64 = connection.query_row("SELECT count(*) FROM full", [], |row| row.get(0)).unwrap();
    assert_eq!(failed, 1, "the first could not be taken out at once");
    assert!(receiver.close(Duration::from_secs(300)).await);
}
