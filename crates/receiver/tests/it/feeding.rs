//! Each sink gets each event of its filter, in stored order, whatever happens to it, to others and to the process.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tempfile::tempdir;
use tokio::sync::{mpsc, watch};
use vai_webhooks_receiver::sink::{Sink, SinkError, Stored};
use vai_webhooks_receiver::{BuildError, Config, Receiver};

use crate::client::{accepted, post, status};
use crate::request::{Post, body, body_without_id, key, secret};
use crate::running::{PATIENCE, Running, serve_plain};
use crate::told::{Told, until_done};

async fn send(address: std::net::SocketAddr, ids: &[&str]) {
    for id in ids {
        accepted(address, &Post::signed(&body(id, "message.sent"))).await;
    }
}

async fn collect(told: &mut mpsc::UnboundedReceiver<Vec<String>>, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(told.recv().await.expect("more comes"));
    }
    all
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_file_gets_a_line_for_each_event_of_its_filter_in_stored_order() {
    let directory = tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let text = format!(
        "[[sink]]\nname = \"all\"\nkind = \"jsonl\"\npath = {:?}\n
         [[sink]]\nname = \"some\"\nkind = \"jsonl\"\npath = {:?}\nevents = [\"conversation.*\"]\n
         where = \"data.sessionId != 's2'\"",
        path("all.jsonl"),
        path("some.jsonl"),
    );
    let sinks = Config::parse(&text).unwrap().sinks;
    let service = Running::start_with(&path("data"), |config| config.sinks = sinks).await;
    let bodies = [
        body_without_id("conversation.started", 1),
        body_without_id("message.sent", 1),
        body_without_id("conversation.started", 2),
        "{\n  \"event\": \"conversation.ended\",\r\n  \"timestamp\": \"2026-08-01T00:00:00.000Z\", \"data\": {\"sessionId\": \"s1\", \"n\": 1.50}\n}".to_owned(),
    ];
    for body in &bodies {
        assert_eq!(post(service.address, &Post::signed(body)).await.status, 200);
        assert_eq!(post(service.address, &Post::signed(body)).await.status, 200, "a duplicate");
    }
    until_done(service.address).await;
    let last = bodies[3].replace(['\n', '\r'], " ");
    assert_eq!(lines(&path("all.jsonl")), [&bodies[0][..], &bodies[1], &bodies[2], &last]);
    assert_eq!(lines(&path("some.jsonl")), [&bodies[0][..], &last]);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_file_has_already_is_not_written_again_and_half_a_line_is_mended() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("all.jsonl");
    let config = || {
        let text = format!("[[sink]]\nname = \"all\"\nkind = \"jsonl\"\npath = {path:?}");
        Config::parse(&text).unwrap().sinks
    };
    let service = Running::start_with(directory.path(), |it| it.sinks = config()).await;
    send(service.address, &["a", "b", "c"]).await;
    until_done(service.address).await;
    service.stop().await.unwrap();
    // As after a crash between the file's write and the inbox's: the place is behind, a line is torn.
    let store = rusqlite::Connection::open(directory.path().join("receiver.db")).unwrap();
    store.execute("UPDATE sinks SET taken_to = 1", []).unwrap();
    let before = lines(&path);
    let torn = format!("{}\n{}\n{}", before[0], before[1], &before[2][..20]);
    std::fs::write(&path, torn).unwrap();
    let service = Running::start_with(directory.path(), |it| it.sinks = config()).await;
    send(service.address, &["d"]).await;
    until_done(service.address).await;
    let expected: Vec<String> = ["a", "b", "c", "d"].map(|id| body(id, "message.sent")).into();
    assert_eq!(lines(&path), expected);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_full_is_put_aside_and_only_so_many_are_kept() {
    let directory = tempdir().unwrap();
    let files = directory.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let neighbour = files.join("all-of-mine.jsonl");
    std::fs::write(&neighbour, "mine").unwrap();
    let text = format!(
        "[[sink]]\nname = \"all\"\nkind = \"jsonl\"\nrotate_mib = 1\nkeep = 2\npath = {:?}",
        files.join("all.jsonl")
    );
    let sinks = Config::parse(&text).unwrap().sinks;
    let service = Running::start_with(directory.path(), |config| config.sinks = sinks).await;
    for n in 0..5 {
        let large = format!(
            r#"{{"id":"evt_{n}","event":"message.sent","timestamp":"2026-08-01T00:00:00.000Z","data":"{}"}}"#,
            "x".repeat(1024 * 1024)
        );
        assert_eq!(post(service.address, &Post::signed(&large)).await.status, 200);
        until_done(service.address).await;
    }
    let mut names: Vec<String> = std::fs::read_dir(&files)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 4, "the file, two put aside, and one that is not ours: {names:?}");
    assert!(neighbour.exists());
    let kept: Vec<String> = names
        .iter()
        .filter(|name| name.starts_with("all-2"))
        .chain([&"all.jsonl".to_owned()])
        .flat_map(|name| lines(&files.join(name)))
        .map(|line| line[..14].to_owned())
        .collect();
    assert_eq!(kept, ["{\"id\":\"evt_2\",", "{\"id\":\"evt_3\",", "{\"id\":\"evt_4\","]);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_sink_that_never_answers_holds_up_no_other_and_not_the_end() {
    struct Silent;
    impl Sink for Silent {
        fn put<'a>(&'a mut self, _: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
            Box::pin(std::future::pending())
        }
        fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
            Box::pin(std::future::pending())
        }
    }
    let directory = tempdir().unwrap();
    let (good, mut told) = Told::new(|_| Ok(()));
    let builder =
        Receiver::builder().secret(secret()).key(key()).sink("silent", "*", Silent).sink("good", "*", good);
    let receiver = builder.open(directory.path()).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    send(address, &["a", "b", "c"]).await;
    assert_eq!(collect(&mut told, 3).await, ["a", "b", "c"]);
    assert!(!receiver.close(Duration::from_millis(50)).await, "says that one did not end");
    let again = Receiver::builder().secret(secret()).key(key()).open(directory.path()).await;
    assert!(again.is_ok(), "the directory is free");
}

#[tokio::test]
async fn a_sink_that_is_down_loses_nothing_doubles_nothing_and_keeps_the_order() {
    let directory = tempdir().unwrap();
    let (up, is_up) = watch::channel(false);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let takes = taken.clone();
    let (sink, mut told) = Told::new(move |ids| match *is_up.borrow() {
        true => {
            takes.lock().unwrap().extend_from_slice(ids);
            Ok(())
        }
        false => Err(SinkError::again("down")),
    });
    let builder = Receiver::builder().secret(secret()).key(key()).sink("one", "*", sink);
    let receiver = builder.open(directory.path()).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    send(address, &["a", "b", "c", "d"]).await;
    for _ in 0..4 {
        told.recv().await.expect("it is tried again and again");
    }
    let shown = &status(address).await["sinks"][0];
    assert_eq!(
        (shown["status"].as_str(), shown["lastError"].as_str()),
        (Some("failing"), Some("down")),
        "{shown}"
    );
    assert_eq!(shown["waiting"], 4);
    up.send_replace(true);
    until_done(address).await;
    assert_eq!(status(address).await["sinks"][0]["status"], "active");
    assert!(receiver.close(PATIENCE).await);
    assert_eq!(*taken.lock().unwrap(), ["a", "b", "c", "d"], "and nothing twice");
}

#[tokio::test]
async fn what_a_sink_has_taken_is_not_given_again_because_its_place_could_not_be_written() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("receiver.db");
    let holder = Arc::new(Mutex::new(None));
    let (held, mut first) = (holder.clone(), true);
    let (sink, mut told) = Told::new(move |_| {
        if std::mem::take(&mut first) {
            // Before the place is written.
            let connection = rusqlite::Connection::open(&file).unwrap();
            connection.busy_timeout(Duration::from_secs(60)).unwrap();
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            *held.lock().unwrap() = Some(connection);
        }
        Ok(())
    });
    let builder = Receiver::builder().secret(secret()).key(key()).sink("one", "message.*", sink);
    let receiver = builder.open(directory.path()).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    send(address, &["a"]).await;
    assert_eq!(told.recv().await.unwrap(), ["a"]);
    for _ in 0..2 {
        let other = Post::signed(&body("other", "agent.metrics"));
        assert_eq!(post(address, &other).await.status, 503, "nothing can be written");
    }
    holder.lock().unwrap().take().unwrap();
    until_done(address).await;
    assert!(receiver.close(PATIENCE).await);
    assert!(told.recv().await.is_none(), "and not again");
}

#[tokio::test]
async fn an_event_that_is_refused_is_a_dead_letter_and_the_next_ones_go_on() {
    let directory = tempdir().unwrap();
    let (sink, mut told) = Told::new(|ids| match ids.iter().position(|id| id == "bad") {
        Some(at) => Err(SinkError::Refused { at, detail: "cannot be taken".to_owned() }),
        None => Ok(()),
    });
    let builder = Receiver::builder().secret(secret()).key(key()).sink("one", "*", sink);
    let receiver = builder.open(directory.path()).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    send(address, &["a", "bad", "b"]).await;
    while !told.recv().await.unwrap().contains(&"b".to_owned()) {}
    until_done(address).await;
    assert_eq!(status(address).await["sinks"][0]["deadLetters"], 1);
    receiver.close(PATIENCE).await;
    let store = rusqlite::Connection::open(directory.path().join("receiver.db")).unwrap();
    let dead: (String, String) = store
        .query_row("SELECT id, detail FROM dead_letters JOIN events USING (seq)", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(dead, ("bad".to_owned(), "cannot be taken".to_owned()));
}

#[tokio::test]
async fn an_event_that_fails_for_long_at_a_sink_that_is_there_gives_way_to_the_next() {
    let directory = tempdir().unwrap();
    let (sink, mut told) = Told::new(|ids| match ids.contains(&"poison".to_owned()) {
        true => Err(SinkError::again("something inside")),
        false => Ok(()),
    });
    let builder = Receiver::builder()
        .secret(secret())
        .key(key())
        .give_up(Duration::from_secs(1))
        .sink("one", "*", sink);
    let receiver = builder.open(directory.path()).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    send(address, &["a", "poison", "b"]).await;
    while *told.recv().await.unwrap() != ["b"] {}
    until_done(address).await;
    assert_eq!(status(address).await["sinks"][0]["deadLetters"], 1);
    receiver.close(PATIENCE).await;
}

#[tokio::test]
async fn a_sink_goes_on_where_it_was_after_a_restart_and_a_new_one_begins_as_it_is_told() {
    let directory = tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = || {
        let seen = seen.clone();
        Told::new(move |ids| {
            seen.lock().unwrap().extend_from_slice(ids);
            Ok(())
        })
    };
    for ids in [["a", "b"], ["c", "d"]] {
        let (sink, mut told) = sink();
        let receiver = Receiver::builder()
            .secret(secret())
            .key(key())
            .sink("one", "*", sink)
            .open(directory.path())
            .await
            .unwrap();
        let address = serve_plain(receiver.router()).await;
        send(address, &ids).await;
        collect(&mut told, 2).await;
        assert!(receiver.close(PATIENCE).await);
    }
    assert_eq!(*seen.lock().unwrap(), ["a", "b", "c", "d"]);
    let path = |name: &str| directory.path().join(name);
    let text = format!(
        "[[sink]]\nname = \"old\"\nkind = \"jsonl\"\nstart = \"oldest\"\npath = {:?}\n
         [[sink]]\nname = \"new\"\nkind = \"jsonl\"\npath = {:?}",
        path("old.jsonl"),
        path("new.jsonl"),
    );
    let sinks = Config::parse(&text).unwrap().sinks;
    let service = Running::start_with(directory.path(), |config| config.sinks = sinks).await;
    send(service.address, &["e"]).await;
    until_done(service.address).await;
    assert_eq!((lines(&path("old.jsonl")).len(), lines(&path("new.jsonl")).len()), (5, 1));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn it_does_not_start_with_a_sink_that_cannot_be_opened() {
    let directory = tempdir().unwrap();
    let sinks = Config::parse("[[sink]]\nname = \"x\"\nkind = \"jsonl\"").unwrap().sinks;
    let error = Receiver::builder()
        .secret(secret())
        .key(key())
        .sinks(sinks)
        .open(directory.path())
        .await
        .err()
        .unwrap();
    assert!(matches!(&error, BuildError::Config(_)), "{error}");
    assert_eq!(error.to_string(), "sink \"x\": missing field `path`");
    assert!(std::error::Error::source(&error).is_none(), "a chain would say it twice");
}
