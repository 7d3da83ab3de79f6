//! What is posted to `/v1/events` does not go through the router, and nobody can tell.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vai_webhooks::api::BODY_BYTES_MAX;

use crate::server::{ADMIN, PATIENCE, Server};

const GOOD: &str = r#"{"event":"a.b","data":{"n":1}}"#;

/// What is answered to these bytes: the head's lines in order of the alphabet, and the body, without what differs from
/// one call to the next.
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
        let lines = head.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned);
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        let body = match body.split_once("evt_") {
            Some((before, id)) => format!("{before}evt_{}", id.trim_start_matches(char::is_alphanumeric)),
            None => body.to_owned(),
        };
        return (lines, body);
    }
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
