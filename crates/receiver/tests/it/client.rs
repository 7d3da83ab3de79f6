//! A client that writes bytes and reads answers, so that a test can send what no library would.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::request::{KEY, Post};

/// One HTTP/1.1 connection.
pub struct Client(BufReader<TcpStream>);

/// An answer that was read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("every answer is JSON")
    }
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the service listens");
        stream.set_nodelay(true).expect("a socket of ours");
        Self(BufReader::new(stream))
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.expect("the service reads");
    }

    /// Says that nothing more comes.
    pub async fn end_writing(&mut self) {
        self.0.get_mut().shutdown().await.expect("a socket of ours");
    }

    /// The next answer; `None` where the connection was closed instead.
    pub async fn answer(&mut self) -> Option<Answer> {
        let line = self.line().await?;
        let status = line.split(' ').nth(1)?.parse().expect("a status line");
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: String::new() };
        let len = answer.header("content-length").map_or(0, |len| len.parse().expect("a length"));
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).await.ok()?;
        answer.body = String::from_utf8(body).expect("answers are UTF-8");
        Some(answer)
    }

    /// Waits until the other side has closed the connection, whatever it says before.
    pub async fn until_closed(&mut self) {
        let mut rest = Vec::new();
        // A reset is a way of closing too.
        self.0.read_to_end(&mut rest).await.ok();
    }

    pub async fn ask(&mut self, bytes: &[u8]) -> Answer {
        self.write(bytes).await;
        self.answer().await.expect("an answer")
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

/// Sends one request on a connection of its own.
pub async fn post(address: SocketAddr, request: &Post) -> Answer {
    Client::connect(address).await.ask(&request.bytes()).await
}

/// Sends an event until it is taken, as senders do: who is told 503 comes again.
pub async fn accepted(address: SocketAddr, request: &Post) {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        pace.tick().await;
        match post(address, request).await.status {
            503 => {}
            status => return assert_eq!(status, 200),
        }
    }
}

/// GETs a path, with the tests' key.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    call(address, "GET", path, Some(KEY), "").await
}

/// What `/health` answers without a key, once the store answers it in time.
pub async fn healthy(address: SocketAddr) -> Answer {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        pace.tick().await;
        let answer = call(address, "GET", "/health", None, "").await;
        if answer.status != 503 {
            return answer;
        }
    }
}

/// Any call, with a key or without.
pub async fn call(address: SocketAddr, method: &str, path: &str, key: Option<&str>, body: &str) -> Answer {
    let key = key.map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: receiver\r\n{key}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Client::connect(address).await.ask(format!("{head}{body}").as_bytes()).await
}

/// The whole of `/webhook/status`.
pub async fn status(address: SocketAddr) -> Value {
    get(address, "/webhook/status").await.json()
}
