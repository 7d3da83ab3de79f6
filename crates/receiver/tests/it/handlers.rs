//! Handlers get each event once, after it is stored, in order; their faults are their own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::tempdir;
use tokio::sync::{mpsc, oneshot};
use vai_webhooks_receiver::{BuildError, Event, Outcome, Receiver};

use crate::client::post;
use crate::request::{Post, SECRET, body, now_secs, secret};
use crate::running::{PATIENCE, serve_plain, stored_ids};

#[tokio::test]
async fn a_handler_gets_what_its_filter_takes_once_and_in_stored_order() {
    let directory = tempdir().unwrap();
    let path = directory.path().to_owned();
    let (tell, mut told) = mpsc::channel(100);
    let handler = move |event: Arc<Event>| {
        let (tell, path) = (tell.clone(), path.clone());
        async move {
            assert!(stored_ids(&path).contains(&event.id), "stored before it is handled");
            tell.send(event.id.clone()).await?;
            Ok(())
        }
    };
    let receiver =
        Receiver::builder().secret(secret()).on("message.*", handler).open(directory.path()).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    for (id, event_type) in [
        ("a", "message.sent"),
        ("b", "agent.metrics"),
        ("c", "message.received"),
        ("a", "message.sent"),
        ("d", "message.sent"),
    ] {
        assert_eq!(post(address, &Post::signed(&body(id, event_type))).await.status, 200);
    }
    assert!(receiver.close(PATIENCE).await, "close lets handlers finish");
    let mut got = Vec::new();
    while let Ok(id) = told.try_recv() {
        got.push(id);
    }
    assert_eq!(got, ["a", "c", "d"]);
    assert_eq!(post(address, &Post::signed(&body("e", "message.sent"))).await.status, 503, "closed");
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_holds_up_neither_answers_nor_the_next_handler() {
    let directory = tempdir().unwrap();
    let (tell, mut told) = mpsc::channel(100);
    let receiver = Receiver::builder()
        .secret(secret())
        .on_any(|_: Arc<Event>| async { Err("it did not work".into()) })
        .on_any(|_: Arc<Event>| async { panic!("a handler's own fault") })
        .on_any(move |event: Arc<Event>| {
            let tell = tell.clone();
            async move { Ok(tell.send(event.id.clone()).await?) }
        })
        .open(directory.path())
        .await
        .unwrap();
    let address = serve_plain(receiver.router()).await;
    for id in ["a", "b"] {
        assert_eq!(post(address, &Post::signed(&body(id, "message.sent"))).await.status, 200);
        assert_eq!(told.recv().await.as_deref(), Some(id));
    }
    assert!(receiver.close(PATIENCE).await);
    assert_eq!(stored_ids(directory.path()), ["a", "b"]);
}

#[tokio::test]
async fn a_handler_that_never_ends_does_not_hold_up_an_answer_or_the_end() {
    let directory = tempdir().unwrap();
    let (begun, begins) = oneshot::channel();
    let begun = Arc::new(Mutex::new(Some(begun)));
    let receiver = Receiver::builder()
        .secret(secret())
        .on_any(move |_: Arc<Event>| {
            let begun = begun.lock().unwrap().take();
            async move {
                begun.map(|begun| begun.send(()));
                std::future::pending().await
            }
        })
        .open(directory.path())
        .await
        .unwrap();
    let address = serve_plain(receiver.router()).await;
    for id in ["a", "b"] {
        assert_eq!(post(address, &Post::signed(&body(id, "message.sent"))).await.status, 200);
    }
    begins.await.unwrap();
    assert!(!receiver.close(Duration::from_millis(50)).await, "it says that handlers were stopped");
    assert_eq!(stored_ids(directory.path()), ["a", "b"]);
}

#[tokio::test]
async fn what_was_handled_before_a_restart_is_not_handled_again() {
    let directory = tempdir().unwrap();
    let (tell, mut told) = mpsc::channel(100);
    for id in ["a", "b"] {
        let tell = tell.clone();
        let handler = move |event: Arc<Event>| {
            let tell = tell.clone();
            async move { Ok(tell.send(event.id.clone()).await?) }
        };
        let builder = Receiver::builder().secret(secret()).on_any(handler);
        let receiver = builder.open(directory.path()).await.unwrap();
        let address = serve_plain(receiver.router()).await;
        assert_eq!(post(address, &Post::signed(&body(id, "message.sent"))).await.status, 200);
        assert!(receiver.close(PATIENCE).await);
        assert_eq!(told.try_recv().as_deref(), Ok(id));
        assert!(told.try_recv().is_err());
    }
}

#[tokio::test]
async fn an_event_shows_its_data_and_what_is_known_of_it() {
    let directory = tempdir().unwrap();
    let (tell, mut told) = mpsc::channel(1);
    let receiver = Receiver::builder()
        .secret(secret())
        .on("message.sent", move |event: Arc<Event>| {
            let tell = tell.clone();
            async move { Ok(tell.send(event).await?) }
        })
        .open(directory.path())
        .await
        .unwrap();
    let address = serve_plain(receiver.router()).await;
    let text = body("evt_1", "message.sent");
    let request = Post::new(&text).v1(SECRET, "evt_1", now_secs()).set("X-VAI-Webhook-ID", "crm");
    assert_eq!(post(address, &request).await.status, 200);
    let event = told.recv().await.unwrap();
    assert_eq!((event.id.as_str(), event.event_type.as_str()), ("evt_1", "message.sent"));
    assert_eq!((event.webhook_id.as_deref(), event.scheme.as_str()), (Some("crm"), "v1"));
    assert_eq!(&event.body[..], text.as_bytes());
    let data: serde_json::Value = serde_json::from_str(event.envelope().unwrap().data.get()).unwrap();
    assert_eq!(data["sessionId"], "s1");
    receiver.close(PATIENCE).await;
}

#[tokio::test]
async fn an_observer_sees_every_outcome() {
    let directory = tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let receiver = Receiver::builder()
        .secret(secret())
        .observe(move |seen| {
            let id = seen.event_id.map(str::to_owned);
            notes.lock().unwrap().push((id, seen.attempt, seen.scheme, seen.outcome));
        })
        .open(directory.path())
        .await
        .unwrap();
    let address = serve_plain(receiver.router()).await;
    let good = Post::new(&body("evt_1", "message.sent")).v1(SECRET, "evt_1", now_secs());
    post(address, &good.clone().set("X-VAI-Attempt", "1")).await;
    post(address, &good.clone().set("X-VAI-Attempt", "2")).await;
    post(address, &good.set("X-VAI-Event", "message.received")).await;
    post(address, &Post::new("{}")).await;
    let seen = seen.lock().unwrap();
    let id = Some("evt_1".to_owned());
    assert_eq!(seen[0], (id.clone(), Some(1), Some("v1"), Outcome::Stored));
    assert_eq!(seen[1], (id, Some(2), Some("v1"), Outcome::Duplicate));
    let refused = |at: usize| match seen[at].3 {
        Outcome::Refused { status, code } => (status.as_u16(), code),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(2), (400, "event_header_differs"));
    assert_eq!(refused(3).0, 401);
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn it_does_not_open_without_a_secret_or_with_a_filter_that_is_none() {
    let directory = tempdir().unwrap();
    let nothing = Receiver::builder().open(directory.path()).await.err().unwrap();
    assert!(matches!(nothing, BuildError::NothingToVerifyWith));
    let builder = Receiver::builder().secret(secret()).on("message.*.x", |_: Arc<Event>| async { Ok(()) });
    let bad = builder.open(directory.path()).await.err().unwrap();
    assert!(matches!(&bad, BuildError::BadFilter(filter) if filter == "message.*.x"), "{bad}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was made");
}
