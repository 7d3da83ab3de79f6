//! Requests that are made by hand.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vai_webhooks_wire::{Secret, sign};

/// A request to a receiver.
#[derive(Clone)]
pub struct Post {
    pub id: String,
    pub timestamp_secs: i64,
    pub signature: String,
    pub body: Vec<u8>,
    pub path: &'static str,
}

pub fn now_secs() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// An event's body.
pub fn body(id: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"id":"{id}","event":"message.sent","timestamp":"2026-01-01T00:00:00.000Z","data":{{"sessionId":"s-1","response":{{"text":"Bună"}}}}}}"#
    );
    body.into_bytes()
}

impl Post {
    /// Signed as our engine does.
    pub fn signed(secret: &str, id: &str, timestamp_secs: i64, body: Vec<u8>) -> Self {
        let signature = sign::v1(&Secret::parse(secret).unwrap(), id, timestamp_secs, &body);
        Self { id: id.to_owned(), timestamp_secs, signature, body, path: "/webhooks/vai" }
    }

    /// The status that it is answered with.
    pub async fn send(&self, port: u16) -> u16 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: receiver\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nwebhook-id: {}\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}\r\n\r\n",
            self.path,
            self.body.len(),
            self.id,
            self.timestamp_secs,
            self.signature,
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // Who answers before the end may close before it too.
        stream.write_all(&self.body).await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        let answer = String::from_utf8_lossy(&answer);
        answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("{answer:?}"))
    }
}
