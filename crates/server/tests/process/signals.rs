//! Signals end a server in good order, and a directory belongs to one server at a time.

use std::process::Stdio;

use axum::http::StatusCode;
use serde_json::json;
use tokio::process::Command;

use crate::producer::Producer;
use crate::receiver::Receiver;
use crate::server::{Server, binary};

#[tokio::test]
async fn at_sigterm_and_sigint_it_finishes_and_exits_0() {
    for signal in ["TERM", "INT"] {
        let data = tempfile::tempdir().unwrap();
        let receiver = Receiver::start(|_, _| StatusCode::OK).await;
        let server = Server::start(data.path()).await;
        let producer = Producer::new();
        let webhook = json!({"url": receiver.url, "events": ["*"]}).to_string();
        let (status, answer) =
            producer.call("POST", &format!("{}/v1/webhooks", server.url), &webhook).await.unwrap();
        assert_eq!(status, 201, "{answer}");
        let event = r#"{"event":"a","id":"one","data":1}"#;
        let (status, _) = producer.call("POST", &format!("{}/v1/events", server.url), event).await.unwrap();
        assert_eq!(status, 202);
        server.signal(signal).await;
        let (ended, printed) = server.ended().await;
        assert!(ended.success(), "{signal}: {ended} {printed}");
        assert!(printed.contains("nothing was lost"), "{printed}");
        let again = Server::start(data.path()).await;
        receiver.wait_for(2).await;
        let (_, event) = producer.call("GET", &format!("{}/v1/events/one", again.url), "").await.unwrap();
        assert_eq!(event["id"], "one");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let data = tempfile::tempdir().unwrap();
    // It never answers, so that an attempt is under way for as long as its deadline.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = Server::start(data.path()).await;
    let producer = Producer::new();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let webhook = json!({"url": url, "events": ["*"], "verify": false, "timeoutMs": 30_000}).to_string();
    producer.call("POST", &format!("{}/v1/webhooks", server.url), &webhook).await.unwrap();
    producer.call("POST", &format!("{}/v1/events", server.url), r#"{"event":"a","data":1}"#).await.unwrap();
    let _held = silent.accept().await.unwrap();
    server.signal("TERM").await;
    while !server.line().await.expect("it says that it finishes").contains("finishing") {}
    server.signal("TERM").await;
    // Had it waited for the attempt, it would have ended in good order.
    let (status, _) = server.ended().await;
    assert_eq!(status.code(), Some(130));
}

#[tokio::test]
async fn a_directory_in_use_is_refused_with_the_reason() {
    let data = tempfile::tempdir().unwrap();
    let _server = Server::start(data.path()).await;
    let second = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("in use by another process"), "{said}");
}

#[tokio::test]
async fn the_first_start_makes_an_admin_key_and_shows_it_once() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("made");
    let mut shown = Vec::new();
    for _ in 0..2 {
        let mut child = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&dir)
            .env_remove("VAI_ADMIN_KEY")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pid = child.id().unwrap().to_string();
        let mut lines =
            tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
        let mut printed = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("Data:") && !shown.is_empty() || line.starts_with("Admin key") {
                Command::new("kill").arg(&pid).status().await.unwrap();
            }
            printed.push_str(&line);
        }
        assert!(child.wait().await.unwrap().success());
        shown.push(printed);
    }
    let kept = std::fs::read_to_string(dir.join("admin-key")).unwrap();
    assert!(shown[0].contains(&kept), "{}", shown[0]);
    assert!(!shown[1].contains("vaik_"), "{}", shown[1]);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(dir.join("admin-key")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}
