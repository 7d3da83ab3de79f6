//! The service's bounds: idle connections, crowds, shutdowns; both versions of HTTP; its secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::tempdir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use vai_webhooks_receiver::service::{Body, SecretsError, ServiceLimits, parse_secrets, serve_connections};

use crate::client::{Client, post};
use crate::request::{Post, SECRET, body};
use crate::running::{Running, stored_ids};

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_a_thing_is_closed() {
    let directory = tempdir().unwrap();
    let service =
        Running::start_with(directory.path(), |config| config.limits.connection_idle_ms = 100).await;
    let beginnings: [&[u8]; 5] = [
        b"",
        b"PRI",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /webhooks/vai HTTP/1.1\r\nHost: x\r\nX-",
        b"\r\n",
    ];
    for beginning in beginnings {
        let mut client = Client::connect(service.address).await;
        client.write(beginning).await;
        client.until_closed().await;
    }
    service.stop().await.unwrap();
}

#[tokio::test]
async fn idle_connections_at_the_limit_do_not_shut_others_out() {
    let directory = tempdir().unwrap();
    let service = Running::start_with(directory.path(), |config| config.limits.connections_max = 8).await;
    let mut idle = Vec::new();
    for n in 0..24 {
        let mut client = Client::connect(service.address).await;
        if n % 2 == 0 {
            client.write(b"POST /webhooks").await;
        }
        idle.push(client);
    }
    let answer = post(service.address, &Post::signed(&body("evt_1", "message.sent"))).await;
    assert_eq!(answer.status, 200);
    idle[0].until_closed().await;
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_shutdown_lets_the_request_in_flight_finish_and_takes_no_new_one() {
    let directory = tempdir().unwrap();
    let mut service = Running::start(directory.path()).await;
    let request = Post::signed(&body("evt_1", "message.sent"));
    let mut idle = Client::connect(service.address).await;
    let mut client = in_flight(&service, &request).await;
    service.begin_stop();
    idle.until_closed().await;
    client.write(&request.body).await;
    assert_eq!(client.answer().await.expect("it was in flight").status, 200);
    let address = service.address;
    service.ended().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    assert_eq!(stored_ids(directory.path()), ["evt_1"]);
}

/// A request whose head the service has read: it says so by asking for the body.
async fn in_flight(service: &Running, request: &Post) -> Client {
    let mut client = Client::connect(service.address).await;
    let length = request.body.len();
    client.write(&request.head(&format!("Content-Length: {length}\r\nExpect: 100-continue"))).await;
    assert_eq!(client.answer().await.expect("an interim answer").status, 100);
    client
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_shutdown_beyond_its_deadline() {
    let directory = tempdir().unwrap();
    let mut service = Running::start_with(directory.path(), |config| config.limits.shutdown_ms = 50).await;
    let mut client = in_flight(&service, &Post::signed(&body("evt_1", "message.sent"))).await;
    service.begin_stop();
    service.ended().await.unwrap();
    client.until_closed().await;
    assert!(stored_ids(directory.path()).is_empty());
}

#[tokio::test]
async fn plain_requests_come_whole_and_after_another_one_all_come_from_hyper() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let service = tokio::spawn(async move {
        let answer = async |request: http::Request<Body>| {
            let how = if let Body::Whole(_) = request.body() { "whole" } else { "coming" };
            let body = request.into_body().collect().await.unwrap().to_bytes();
            axum::response::Response::new(format!("{how} {}", body.len()).into())
        };
        let stopped = async { stopped.await.unwrap() };
        serve_connections(listener, answer, &ServiceLimits::default(), Vec::new(), stopped).await;
    });
    let post = |headers: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\nbody");
    let (plain, chunked) = ("Content-Length: 4", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0");
    let chunked = format!("POST / HTTP/1.1\r\nHost: a\r\n{chunked}\r\n\r\n");
    let mut client = Client::connect(address).await;
    // All at once: what the plain side has read of it goes on to hyper.
    client.write([post(plain), post(plain), chunked, post(plain)].concat().as_bytes()).await;
    for expected in ["whole 4", "whole 4", "coming 3", "coming 4"] {
        assert_eq!(client.answer().await.unwrap().body, expected);
    }
    stop.send(()).unwrap();
    client.until_closed().await;
    service.await.unwrap();
}

#[tokio::test]
async fn plain_requests_are_answered_on_the_given_threads_and_all_others_here() {
    let apart = Apart::named("apart");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let threads = vec![apart.handle.clone()];
    let service = tokio::spawn(async move {
        let answer = async |_: http::Request<Body>| {
            let thread = std::thread::current();
            axum::response::Response::new(
                if thread.name() == Some("apart") { "there" } else { "here" }.into(),
            )
        };
        let stopped = async { stopped.await.unwrap() };
        serve_connections(listener, answer, &ServiceLimits::default(), threads, stopped).await;
    });
    let plain = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    let other = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = Client::connect(address).await;
    for (request, expected) in [(plain, "there"), (plain, "there"), (other, "here"), (plain, "here")] {
        client.write(request.as_bytes()).await;
        assert_eq!(client.answer().await.unwrap().body, expected);
    }
    let mut idle = Client::connect(address).await;
    idle.write(plain.as_bytes()).await;
    assert_eq!(idle.answer().await.unwrap().body, "there");
    stop.send(()).unwrap();
    client.until_closed().await;
    idle.until_closed().await;
    service.await.unwrap();
}

/// A thread with a name and a runtime of its own, until it is dropped.
struct Apart {
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Apart {
    fn named(name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let run = move || drop(runtime.block_on(ended));
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run).unwrap();
        Self { handle, end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[tokio::test]
async fn connections_leave_a_thread_that_has_far_more_to_do_than_another() {
    let (busy, quiet) = (Apart::named("busy"), Apart::named("quiet"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let threads = vec![busy.handle.clone(), quiet.handle.clone()];
    let service = tokio::spawn(async move {
        let answer = async |_: http::Request<Body>| {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            axum::response::Response::new(name.into())
        };
        let stopped = async { stopped.await.unwrap() };
        serve_connections(listener, answer, &ServiceLimits::default(), threads, stopped).await;
    });
    let plain = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    let mut clients = Vec::new();
    for expected in ["busy", "quiet", "busy", "quiet"] {
        let mut client = Client::connect(address).await;
        client.write(plain.as_bytes()).await;
        assert_eq!(client.answer().await.unwrap().body, expected);
        clients.push(client);
    }
    // What nobody can spread: it leaves others a moment now and then.
    let ended = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&ended);
    let work = busy.handle.spawn(async move {
        let mut sum = 0_u64;
        while !until.load(Ordering::Relaxed) {
            sum = (0..50_000).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
            tokio::task::yield_now().await;
        }
        sum
    });
    // Each answers all the while, and in the end all are where there is less to do.
    let all_moved = async {
        loop {
            let mut places = Vec::new();
            for client in &mut clients {
                client.write(plain.as_bytes()).await;
                places.push(client.answer().await.unwrap().body);
            }
            if places.iter().all(|place| place == "quiet") {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(300), all_moved).await.unwrap();
    ended.store(true, Ordering::Relaxed);
    work.await.unwrap();
    stop.send(()).unwrap();
    for client in &mut clients {
        client.until_closed().await;
    }
    service.await.unwrap();
}

#[tokio::test]
async fn http_2_is_served_too() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let stream = TcpStream::connect(service.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for (id, status) in [("evt_1", 200), ("evt_2", 200)] {
        let post = Post::signed(&body(id, "message.sent"));
        let mut request = http::Request::post(format!("http://{}/webhooks/vai", service.address));
        for (name, value) in &post.headers {
            request = request.header(name, &value[..]);
        }
        let answer =
            sender.send_request(request.body(Full::new(Bytes::from(post.body))).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status);
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&text[..], br#"{"received":true}"#);
    }
    drop(sender);
    assert_eq!(stored_ids(directory.path()), ["evt_1", "evt_2"]);
    service.stop().await.unwrap();
}

#[test]
fn secrets_are_read_from_a_list_and_never_shown() {
    assert_eq!(parse_secrets(SECRET).unwrap().len(), 1);
    assert_eq!(parse_secrets(&format!(" {SECRET} , a plain one,")).unwrap().len(), 2);
    for empty in ["", " ", ",", " , ,"] {
        assert!(matches!(parse_secrets(empty), Err(SecretsError::Empty)), "{empty:?}");
    }
    let error = parse_secrets(&format!("{SECRET},whsec_***not-base64***")).expect_err("the second is bad");
    let text = format!("{error} {error:?}");
    assert!(text.contains("secret number 2") && !text.contains("not-base64"), "{text}");
}
