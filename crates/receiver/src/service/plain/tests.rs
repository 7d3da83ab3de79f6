//! Plain requests over a real connection: in order, in pieces, at a shutdown, and what follows them.

use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use http_body_util::BodyExt as _;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;

/// A connection that is being served, seen from the other side.
struct Served {
    client: TcpStream,
    leave: oneshot::Sender<Leave>,
    /// Told when a request is there; lets its answer go when it is told in turn.
    asked: Arc<Notify>,
    go: Arc<Notify>,
    rest: JoinHandle<Option<BytesMut>>,
}

/// More than the system takes of an answer that nobody reads.
const LARGE: usize = 32 * 1024 * 1024;

/// Answers each request with its body, mostly. Where it `waits`, each answer is held until it may go.
async fn serve(waits: bool) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let (leave, leaving) = oneshot::channel();
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (telling, may) = (Arc::clone(&asked), Arc::clone(&go));
    let answer = move |request: Request| {
        let (telling, may) = (Arc::clone(&telling), Arc::clone(&may));
        async move {
            if waits {
                telling.notify_one();
                may.notified().await;
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Response::new(match &body[..] {
                b"large" => axum::body::Body::from(vec![b'x'; LARGE]),
                b"piece by piece" => {
                    let pieces = futures_util::stream::iter(["ab", "c"].map(Ok::<_, std::io::Error>));
                    axum::body::Body::from_stream(pieces)
                }
                _ => axum::body::Body::from(body),
            })
        }
    };
    let rest = tokio::spawn(async move {
        let until_leave = async move {
            match leaving.await {
                Ok(leave) => leave,
                Err(_) => std::future::pending().await,
            }
        };
        let mut leave = FuturesUnordered::from_iter([Box::pin(until_leave)]);
        let activity = Activity::new();
        let rest = plain(&mut stream, &activity, &mut leave).serve(answer).await;
        assert!(activity.idle_for().is_some(), "nothing is in progress any more");
        rest.map(|end| match end {
            End::Other(read) => read,
            End::Elsewhere => panic!("there is no other thread"),
        })
    });
    Served { client, leave, asked, go, rest }
}

fn plain<'c, L>(stream: &'c mut TcpStream, activity: &'c Activity, leave: &'c mut L) -> Plain<'c, L> {
    Plain { stream, activity, rest_wait: Duration::from_secs(1), place: None, leave, stopping: false }
}

fn post(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// All that comes until the other side closes, without the dates.
async fn all(client: &mut TcpStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    let lines = text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: "));
    lines.collect()
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_in_order() {
    let mut served = serve(false).await;
    served.client.write_all([post("a"), post(""), post("bc")].concat().as_bytes()).await.unwrap();
    served.client.shutdown().await.unwrap();
    assert_eq!(all(&mut served.client).await, [answer("a"), answer(""), answer("bc")].concat());
    assert_eq!(served.rest.await.unwrap(), None);
}

#[tokio::test]
async fn a_body_may_come_in_pieces() {
    let mut served = serve(true).await;
    let body = "x".repeat(40_000);
    let request = post(&body);
    for piece in [&request[..request.len() - 30_000], &request[request.len() - 30_000..]] {
        served.client.write_all(piece.as_bytes()).await.unwrap();
    }
    served.asked.notified().await;
    served.go.notify_one();
    served.client.shutdown().await.unwrap();
    assert_eq!(all(&mut served.client).await, answer(&body));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_left_to_others_with_all_that_was_read() {
    let mut served = serve(false).await;
    let part = post("0123456789").replace("56789", "");
    served.client.write_all(part.as_bytes()).await.unwrap();
    assert_eq!(&served.rest.await.unwrap().unwrap()[..], part.as_bytes());
}

#[tokio::test]
async fn what_is_not_plain_is_left_to_others_after_the_answers_before_it() {
    let mut served = serve(false).await;
    let other = "GET / HTTP/1.1\r\n\r\n";
    served.client.write_all([&post("a"), other].concat().as_bytes()).await.unwrap();
    assert_eq!(&served.rest.await.unwrap().unwrap()[..], other.as_bytes());
    assert_eq!(all(&mut served.client).await, answer("a"));
}

#[tokio::test]
async fn at_a_shutdown_the_request_in_progress_is_the_last() {
    let mut served = serve(true).await;
    served.client.write_all([post("a"), post("b")].concat().as_bytes()).await.unwrap();
    served.asked.notified().await;
    served.leave.send(Leave::Stopping).unwrap();
    tokio::task::yield_now().await;
    served.go.notify_one();
    let last = answer("a").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let mut text = String::new();
    // What came after it and is not read makes the system reset the connection, when the answer is there.
    let _reset = served.client.read_to_string(&mut text).await;
    assert!(text.starts_with(&last[..last.len() - 5]), "{text}");
    assert_eq!(text.matches("HTTP/1.1").count(), 1);
    assert_eq!(served.rest.await.unwrap(), None);
}

#[tokio::test]
async fn a_connection_that_is_to_be_closed_is_closed_between_requests() {
    for leave in [Leave::Stopping, Leave::Idle] {
        let mut served = serve(false).await;
        served.leave.send(leave).unwrap();
        assert_eq!(all(&mut served.client).await, "");
        assert_eq!(served.rest.await.unwrap(), None);
    }
}

#[tokio::test]
async fn one_who_always_has_another_request_ready_is_told_of_a_shutdown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    client.write_all([post("a"), post("b")].concat().as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    let mut leave = futures_util::stream::iter([Leave::Stopping]);
    let answer = async |_: Request| Response::default();
    assert_eq!(plain(&mut stream, &Activity::new(), &mut leave).serve(answer).await, None);
    drop(stream);
    let text = all(&mut client).await;
    assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

/// A large answer is about to be written.
async fn with_a_large_answer() -> Served {
    let mut served = serve(true).await;
    served.client.write_all(post("large").as_bytes()).await.unwrap();
    served.asked.notified().await;
    served.go.notify_one();
    served
}

#[tokio::test]
async fn a_shutdown_while_an_answer_is_written_makes_it_the_last() {
    let mut served = with_a_large_answer().await;
    served.leave.send(Leave::Stopping).unwrap();
    assert!(all(&mut served.client).await.len() > LARGE, "all of it was written");
    assert_eq!(served.rest.await.unwrap(), None);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up_when_the_connection_was_idle_for_too_long() {
    let mut served = with_a_large_answer().await;
    // While it is answered a connection is not idle, and this is not heard.
    tokio::task::yield_now().await;
    served.leave.send(Leave::Idle).unwrap();
    assert_eq!(served.rest.await.unwrap(), None);
    assert!(all(&mut served.client).await.len() < LARGE);
}

#[tokio::test]
async fn a_body_of_unknown_length_comes_whole_and_ends_the_connection() {
    let mut served = serve(false).await;
    served.client.write_all(post("piece by piece").as_bytes()).await.unwrap();
    let text = all(&mut served.client).await;
    assert_eq!(text, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc");
    assert_eq!(served.rest.await.unwrap(), None);
}
