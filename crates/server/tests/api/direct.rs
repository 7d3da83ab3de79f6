//! What is posted to `/v1/events` does not go through the router, and a plain request not through hyper; nobody can tell.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vai_webhooks::api::BODY_BYTES_MAX;

use crate::server::{ADMIN, PATIENCE, Server};

const GOOD: &str = r#"{"event":"a.b","data":{"n":1}}"#;

/// What is answered to these bytes, as [`shown`].
async fn answer(url: &str, request: &str) -> (Vec<String>, String) {
    loop {
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
        let mut text = String::new();
        let exchange = async {
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.read_to_string(&mut text).await.unwrap();
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap();
        if text.contains(r#""code":"busy""#) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        }
        let (head, body) = text.rsplit_once("\r\n\r\n").unwrap_or((&text, ""));
        return shown(head, body);
    }
}

/// A head's lines in order of the alphabet, and the body, without what differs from one call to the next.
fn shown(head: &str, body: &str) -> (Vec<String>, String) {
    let without_id = |line: &str| line.split_once("/wh_").map_or(line, |(before, _)| before).to_owned();
    let lines = head.lines().filter(|line| !line.starts_with("date:")).map(without_id);
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    let body = match body.split_once("evt_") {
        Some((before, id)) => format!("{before}evt_{}", id.trim_start_matches(char::is_alphanumeric)),
        None => body.to_owned(),
    };
    (lines, body)
}

/// A call on a connection of its own.
fn call(first: &str, headers: &str, body: &str) -> String {
    format!("{first} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn an_event_is_answered_as_the_router_answers_it() {
    let (direct, routed) = (Server::start().await, Server::start().await);
    let by_router = routed.by_router().await;
    let key = format!("authorization: Bearer {ADMIN}\r\n");
    let of = |body: &str| format!("{key}content-length: {}\r\n", body.len());
    let post = |headers: &str, body: &str| call("POST /v1/events", &(of(body) + headers), body);
    let large = "x".repeat(BODY_BYTES_MAX + 1);
    let own = r#"{"event":"a.b","id":"own-1","data":1}"#;
    let requests = [
        post("", GOOD),
        post("content-type: text/plain\r\naccept: text/html\r\n", GOOD),
        post("", own),
        post("", own),
        post("", &own.replace("\"data\":1", "\"data\":2")),
        post("idempotency-key: k\r\n", GOOD),
        post("idempotency-key: k\r\n", GOOD),
        post("idempotency-key: k\r\n", own),
        post("idempotency-key: \u{103}\r\n", GOOD),
        post("x-vai-tenant: another\r\n", GOOD),
        post("x-vai-tenant: No Tenant\r\n", GOOD),
        post("", ""),
        post("", r#"{"event":"a b","more":1}"#),
        post("", r#"{"event":"message.sent","data":1}"#),
        post("", &large),
        call("POST /v1/events", "", GOOD),
        call("POST /v1/events", "authorization: Basic abc\r\n", ""),
        call("POST /v1/events", "authorization: Bearer nobody-has-this-key\r\n", ""),
        call("POST /v1/events", &key, ""),
        call("POST /v1/events?a=b", &of(GOOD), GOOD),
        call("POST http://a/v1/events", &of(GOOD), GOOD),
        call("POST /v1/events/", &of(GOOD), GOOD),
        call("POST /v1/%65vents", &of(GOOD), GOOD),
        call("POST /V1/EVENTS", &of(GOOD), GOOD),
        call("PUT /v1/events", &of(GOOD), GOOD),
        call("OPTIONS /v1/events", &key, ""),
        call("HEAD /v1/events", &key, ""),
        call("POST /v1/events", &format!("{key}expect: 100-continue\r\ncontent-length: 2\r\n"), "{}"),
        call(
            "POST /v1/events",
            &format!("{key}transfer-encoding: chunked\r\n"),
            "10\r\n{\"event\":\"a.b\",\"\r\n8\r\ndata\":1}\r\n0\r\nx-after: 1\r\n\r\n",
        ),
        call("POST /v1/events", &format!("{key}transfer-encoding: chunked\r\n"), "zz\r\n"),
        call(
            "POST /v1/events",
            &format!("{key}transfer-encoding: chunked\r\n"),
            &format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len()),
        ),
    ];
    let mut taken = 0;
    for request in &requests {
        let direct = answer(&direct.url, request).await;
        assert_eq!(direct, answer(&by_router, request).await, "{}", &request[..request.len().min(400)]);
        taken += usize::from(direct.0.iter().any(|line| line.starts_with("HTTP/1.1 202")));
    }
    assert_eq!(taken, 11, "the events were good");
    let kept = direct.call("GET", "/v1/events", "").await.json;
    let also = routed.call("GET", "/v1/events", "").await.json;
    assert_eq!(kept["data"].as_array().unwrap().len(), also["data"].as_array().unwrap().len());
}

/// What is answered to these bytes on a connection that stays open, as [`shown`].
async fn answer_of_kept(stream: &mut TcpStream, request: &str) -> (Vec<String>, String) {
    loop {
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, one_answer(stream)).await.unwrap();
        if !answer.1.contains(r#""code":"busy""#) {
            return answer;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn one_answer(stream: &mut TcpStream) -> (Vec<String>, String) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.map_or(0, |length| length.parse().unwrap()) {
                return shown(head, &without_what_differs(body));
            }
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "closed after {bytes:?}");
    }
}

/// A body without ids, secrets and times.
fn without_what_differs(body: &str) -> String {
    let differs = |text: &str| ["evt_", "wh_", "whsec_", "20"].iter().any(|start| text.starts_with(start));
    let pieces = body.split('"').map(|text| if differs(text) { "..." } else { text });
    pieces.collect::<Vec<_>>().join("\"")
}

#[tokio::test]
async fn a_plain_request_is_answered_as_hyper_answers_it() {
    let (ours, hypers) = (Server::start().await, Server::start().await);
    let key = format!("authorization: Bearer {ADMIN}\r\n");
    let post = |path: &str, headers: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
    };
    let webhook = r#"{"url":"http://127.0.0.1:9/","events":["c.d"],"verify":false}"#;
    let long = format!(r#"{{"event":"a.b","data":"{}"}}"#, "x".repeat(60_000));
    let requests = [
        post("/v1/events", &key, GOOD),
        post("/v1/events", &key, &long),
        post("/v1/events", &format!("{key}content-type: text/plain\r\nx-a: \u{fc}\r\n"), GOOD),
        post("/v1/events", &format!("{key}{key}"), GOOD),
        post("/v1/events", &format!("{key}idempotency-key: k\r\n"), GOOD),
        post("/v1/events", &format!("{key}idempotency-key: k\r\n"), r#"{"event":"a.b","data":2}"#),
        post("/v1/events", &key, r#"{"event":"a b"}"#),
        post("/v1/events", &key, ""),
        post("/v1/events", "", GOOD),
        post("/v1/events/batch", &key, &format!("[{GOOD},{GOOD}]")),
        post("/v1/events?a=b#c", &key, GOOD),
        post("/v1/webhooks", &key, webhook),
        post("/v1/webhooks/wh_none/pause", &key, ""),
        post("/v1/nothing", &key, GOOD),
        post("/openapi.json", "", ""),
        post("/%ff", &key, GOOD),
    ];
    let connect =
        |server: &Server| TcpStream::connect(server.url.strip_prefix("http://").unwrap().to_owned());
    let mut plain = connect(&ours).await.unwrap();
    let mut other = connect(&hypers).await.unwrap();
    // With its first request, a connection becomes hyper's.
    answer_of_kept(&mut other, "GET /health HTTP/1.1\r\n\r\n").await;
    for request in &requests {
        let by_hyper = answer_of_kept(&mut other, request).await;
        let by_ours = answer_of_kept(&mut plain, request).await;
        assert_eq!(by_ours, by_hyper, "{}", &request[..request.len().min(300)]);
    }
    // And it stays good for whatever comes.
    let health = answer_of_kept(&mut plain, "GET /health HTTP/1.1\r\n\r\n").await;
    assert!(health.0.contains(&"HTTP/1.1 200 OK".to_owned()), "{health:?}");
    let again = answer_of_kept(&mut plain, &requests[0]).await;
    assert!(again.0.contains(&"HTTP/1.1 202 Accepted".to_owned()), "{again:?}");
}
