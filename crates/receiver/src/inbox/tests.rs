//! What became of an event at a sink is written down once, however slow the disk is.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tempfile::tempdir;
use tokio::sync::oneshot;

use super::*;
use crate::sink::{SinkError, Stored};
use crate::store::NewEvent;

/// Refuses the first event, and has the disk stall before that is written down; takes what comes then.
struct Refuses {
    puts: Arc<AtomicUsize>,
    file: std::path::PathBuf,
    stalled: Option<oneshot::Sender<Connection>>,
}

impl Sink for Refuses {
    fn put<'a>(&'a mut self, _: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        let Some(stalled) = self.stalled.take() else { return Box::pin(async { Ok(()) }) };
        let holder = Connection::open(&self.file).unwrap();
        holder.busy_timeout(Duration::from_secs(300)).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        // From now on, every wait is over at once where nothing else is to be done.
        tokio::time::pause();
        stalled.send(holder).unwrap();
        Box::pin(async { Err(SinkError::Refused { at: 0, detail: "no".to_owned() }) })
    }

    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        Box::pin(async { Ok(String::new()) })
    }
}

async fn put(store: &Store) {
    let event = || NewEvent {
        identity: "a".to_owned(),
        body_sha256: None,
        same_body_is_same_event: false,
        event_type: "message.sent".to_owned(),
        webhook_id: None,
        scheme: "v1",
        received_at_ms: 1,
        body: Bytes::from_static(b"{}"),
        memory: None,
    };
    while store.put(event()).await.is_err() {}
}

#[tokio::test]
async fn a_dead_letter_that_was_written_late_is_not_written_again_after_its_replay() {
    let directory = tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let (stalled, stalls) = oneshot::channel();
    let puts = Arc::new(AtomicUsize::new(0));
    let sink = Refuses { puts: puts.clone(), file: store.file().to_owned(), stalled: Some(stalled) };
    let name: Arc<str> = "one".into();
    let wanted = Wanted { filters: vec![Filter::Any], condition: None };
    let fed = Fed {
        name: name.clone(),
        kind: "custom".to_owned(),
        wanted,
        start: Start::Oldest,
        sink: Box::new(sink),
    };
    put(&store).await;
    let inbox = Inbox::start(&store, vec![fed], Vec::new(), Duration::from_secs(900)).await.unwrap();
    let holder = stalls.await.unwrap();
    // Somebody asks for it again behind the dead letter, and goes away; the feeder has time to ask again.
    let replay = Change::Replay { sink: name.clone(), which: Which::AllDead };
    assert_eq!(store.change(replay).await, Err(StoreError::Late));
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(holder);
    tokio::time::resume();
    let begin = || Change::Begin { sink: name.clone(), after: 0 };
    while store.change(begin()).await.is_err() {}
    inbox.poke.send_modify(|count| *count += 1);
    let dead = loop {
        let name = name.clone();
        let (dead, replays) = store.look(move |reader| reader.set_aside(&name)).await.unwrap();
        if replays == 0 && dead + i64::from(puts.load(Ordering::SeqCst) == 2) > 0 {
            break dead;
        }
        tokio::task::yield_now().await;
    };
    // It was asked for again and taken, or, where the lock was held for too long, it is what nobody asked for yet.
    assert_eq!(usize::try_from(dead).unwrap() + puts.load(Ordering::SeqCst), 2);
    inbox.stop().await;
    store.close().await;
}
