//! What the kind `http` promises, against a real receiver and one that answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tempfile::tempdir;
use vai_webhooks_receiver::sink::{Sink, SinkError};

use super::{again, refused, sink, stored, try_open};
use crate::request::SECRET;
use crate::running::{Running, serve_plain, stored_ids};

#[tokio::test]
async fn a_receiver_behind_takes_what_is_signed_anew_and_knows_it_when_it_comes_again() {
    let directory = tempdir().unwrap();
    let behind = Running::start_with(directory.path(), |config| config.accept_legacy = false).await;
    let url = format!("url = \"http://{}/webhooks/vai\"", behind.address);
    let mut signed = sink("http", &format!("{url}\nsecret = \"{SECRET}\""));
    let batch: Vec<_> =
        (1..=20).map(|seq| stored(seq, "a.b", &format!("{{\"sessionId\":\"s-{}\"}}", seq % 3))).collect();
    signed.put(&batch).await.unwrap();
    signed.put(&batch).await.unwrap();
    let mut ids = stored_ids(directory.path());
    ids.sort_by_key(|id| id[4..].parse::<u32>().unwrap());
    assert_eq!(ids, batch.iter().map(|stored| stored.event.id.clone()).collect::<Vec<_>>());
    assert!(signed.check().await.unwrap().contains("takes connections"));
    let detail = again(sink("http", &url).put(&batch[..1]).await);
    assert!(detail.contains("401"), "unsigned: {detail}");
    behind.stop().await.unwrap();
}

/// Answers by the event's number, and keeps what it took.
#[derive(Clone)]
struct Told {
    answer: Arc<dyn Fn(u32, usize) -> StatusCode + Send + Sync>,
    seen: Arc<Mutex<Vec<(u32, HeaderMap, Bytes)>>>,
}

async fn told(answer: impl Fn(u32, usize) -> StatusCode + Send + Sync + 'static) -> (SocketAddr, Told) {
    let told = Told { answer: Arc::new(answer), seen: Arc::default() };
    let router = Router::new().fallback(take).with_state(told.clone());
    (serve_plain(router).await, told)
}

async fn take(State(told): State<Told>, headers: HeaderMap, body: Bytes) -> Response {
    let number: u32 = headers["webhook-id"].to_str().unwrap()[4..].parse().unwrap();
    let mut seen = told.seen.lock().unwrap();
    let before = seen.iter().filter(|(seen, _, _)| *seen == number).count();
    seen.push((number, headers, body));
    let status = (told.answer)(number, before);
    (status, [("retry-after", "7")], "said").into_response()
}

fn session(seq: i64, session: &str) -> vai_webhooks_receiver::sink::Stored {
    stored(seq, "a.b", &format!("{{\"sessionId\":\"{session}\"}}"))
}

fn to(address: SocketAddr, members: &str) -> Box<dyn Sink> {
    sink("http", &format!("url = \"http://{address}/in?a=1\"\n{members}"))
}

#[tokio::test]
async fn what_was_taken_is_not_sent_again_when_the_rest_of_its_batch_is_and_sessions_keep_their_order() {
    let (address, told) = told(|number, before| match (number, before) {
        (4, 0) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    })
    .await;
    let mut sink = to(address, "connections = 8");
    let batch = [
        session(1, "a"),
        session(2, "b"),
        session(3, "a"),
        session(4, "a"),
        session(5, "a"),
        session(6, "b"),
    ];
    let asked = sink.put(&batch).await;
    assert!(
        matches!(&asked, Err(SinkError::Again { after, .. }) if *after == Some(Duration::from_secs(7))),
        "{asked:?}"
    );
    sink.put(&batch).await.unwrap();
    let seen = told.seen.lock().unwrap();
    let of = |wanted: &[u32]| -> Vec<u32> {
        seen.iter().map(|(number, _, _)| *number).filter(|number| wanted.contains(number)).collect()
    };
    assert_eq!(of(&[1, 3, 4, 5]), [1, 3, 4, 4, 5], "5 waited for 4");
    assert_eq!(of(&[2, 6]), [2, 6]);
}

#[tokio::test]
async fn what_was_taken_is_not_sent_again_when_the_rest_of_its_batch_comes_in_parts() {
    let (address, told) = told(|number, before| match (number, before) {
        (2, 0) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    })
    .await;
    let mut sink = to(address, "connections = 8");
    let batch = [session(1, "a"), session(2, "a"), session(3, "b"), session(4, "b")];
    again(sink.put(&batch).await);
    // As the inbox does with what goes on failing.
    for part in batch.chunks(2) {
        sink.put(part).await.unwrap();
    }
    let mut numbers: Vec<u32> = told.seen.lock().unwrap().iter().map(|(number, _, _)| *number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 2, 3, 4]);
}

#[tokio::test]
async fn what_was_asked_for_again_is_sent_once_for_each_time() {
    let (address, told) = told(|number, before| match (number, before) {
        (2, 0..2) => StatusCode::SERVICE_UNAVAILABLE,
        (3, _) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::OK,
    })
    .await;
    let mut sink = to(address, "connections = 8");
    let mut batch: Vec<_> = (1..=4).map(|seq| session(seq, &format!("s{seq}"))).collect();
    batch.iter_mut().for_each(|stored| stored.replay = true);
    again(sink.put(&batch).await);
    again(sink.put(&batch[..2]).await);
    sink.put(&batch[..2]).await.unwrap();
    assert_eq!(refused(sink.put(&batch[2..]).await), 0);
    sink.put(&batch[3..]).await.unwrap();
    // Asked for once more.
    assert_eq!(refused(sink.put(&batch).await), 2);
    sink.put(&batch[3..]).await.unwrap();
    let mut numbers: Vec<u32> = told.seen.lock().unwrap().iter().map(|(number, _, _)| *number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 1, 2, 2, 2, 2, 3, 3, 4, 4]);
}

#[tokio::test]
async fn an_event_that_is_refused_is_named_and_the_others_of_its_batch_are_taken_once() {
    let (address, told) = told(|number, _| match number {
        2 | 4 => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::OK,
    })
    .await;
    let mut sink = to(address, "");
    let batch: Vec<_> = (1..=5).map(|seq| session(seq, &format!("s{seq}"))).collect();
    let said = sink.put(&batch).await;
    assert!(said.as_ref().err().unwrap().to_string().contains("422"), "{said:?}");
    assert_eq!(refused(said), 1);
    assert_eq!(refused(sink.put(&batch[2..]).await), 1);
    sink.put(&batch[4..]).await.unwrap();
    let mut numbers: Vec<u32> = told.seen.lock().unwrap().iter().map(|(number, _, _)| *number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn the_body_is_the_received_one_and_headers_are_added() {
    let (address, told) = told(|_, _| StatusCode::NO_CONTENT).await;
    let event = stored(1, "order.made", r#"{"b":1.50, "a":1e2}"#);
    to(address, "headers = { authorization = \"Bearer x\" }")
        .put(std::slice::from_ref(&event))
        .await
        .unwrap();
    let seen = told.seen.lock().unwrap();
    let (_, headers, body) = &seen[0];
    assert_eq!(*body, event.event.body);
    let expected = [
        ("content-type", "application/json"),
        ("x-vai-event", "order.made"),
        ("x-vai-webhook-id", "wh_1"),
        ("authorization", "Bearer x"),
    ];
    for (name, value) in expected {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(!headers.contains_key("webhook-signature"), "there is no secret");
}

#[test]
fn nonsense_is_refused_with_what_is_wrong() {
    for (members, said) in [
        ("", "missing field `url`"),
        ("url = \"ftp://a/\"", "url "),
        ("url = \"http://a/\"\nconnections = 0", "connections must be"),
        ("url = \"http://a/\"\nsecret = \"whsec_***\"", "secret "),
        ("url = \"http://a/\"\nheaders = { \"a b\" = \"x\" }", "headers "),
        ("url = \"http://a/\"\nother = 1", "other"),
    ] {
        let error = try_open("http", members).err().expect(members);
        assert!(error.contains(said) && !error.contains("***"), "{members}: {error}");
    }
}
