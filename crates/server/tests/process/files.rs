//! A shell's low limit on open files keeps nobody out.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::Server;

const SOFT_LIMIT: u32 = 128;
const CALLERS: usize = 300;

#[tokio::test]
async fn more_callers_are_answered_at_once_than_the_soft_limit_has_files() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with_files(data.path(), SOFT_LIMIT).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut connected = Vec::new();
    for _ in 0..CALLERS {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        ask(&mut stream).await;
        connected.push(stream);
    }
    // None of them was closed to make room for another.
    for stream in &mut connected {
        ask(stream).await;
    }
    server.kill().await;
}

async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the connection was closed");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}
