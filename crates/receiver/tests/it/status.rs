//! The routes beside the webhook's, and what they say.

use tempfile::tempdir;

use crate::client::{Client, get, healthy, post, status};
use crate::request::{KEY, Post, body};
use crate::running::Running;

#[tokio::test]
async fn the_status_has_the_seeds_shape_and_true_counts() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let fresh = get(service.address, "/webhook/status").await;
    let begins = fresh.body.split_once(r#","startedAt""#).map(|(begins, _)| begins);
    assert_eq!(
        begins,
        Some(concat!(
            r#"{"status":"active","lastReceived":null,"totalReceived":{"conversationStarted":0,"#,
            r#""messageReceived":0,"messageSent":0,"conversationEnded":0,"agentMetrics":0,"webhookTest":0,"custom":0},"#,
            r#""total":0,"duplicates":0,"rejected":{},"derived":{"waiting":0},"sinks":[]"#
        ))
    );
    for (n, event_type) in ["agent.metrics", "agent.metrics", "conversation.ended"].into_iter().enumerate() {
        post(service.address, &Post::signed(&body(&format!("evt_{n}"), event_type))).await;
    }
    post(service.address, &Post::new("{}")).await;
    let after = status(service.address).await;
    assert_eq!(after["totalReceived"]["agentMetrics"], 2);
    assert_eq!(after["totalReceived"]["conversationEnded"], 1);
    assert_eq!(after["total"], 3);
    assert_eq!(after["rejected"].as_object().unwrap().len(), 1);
    let at = after["lastReceived"].as_str().unwrap();
    assert!(at.len() == 24 && at.ends_with('Z'), "RFC 3339 in UTC with milliseconds: {at}");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn health_has_the_seeds_shape() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let answer = healthy(service.address).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json()["status"], "healthy");
    assert!(answer.json()["timestamp"].as_str().unwrap().ends_with('Z'));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_method_is_405_with_what_is_allowed_and_a_wrong_path_is_404() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    for (line, status, allow) in [
        ("GET /webhooks/vai", 405, Some("POST")),
        ("PUT /webhooks/vai", 405, Some("POST")),
        ("POST /health", 405, Some("GET,HEAD")),
        ("DELETE /webhook/status", 405, Some("GET,HEAD")),
        ("GET /nothing", 404, None),
        ("POST /webhooks/vai/", 404, None),
    ] {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: receiver\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 0\r\n\r\n"
        );
        let answer = Client::connect(service.address).await.ask(request.as_bytes()).await;
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{line}");
        assert!(answer.json()["error"].is_string(), "{line}");
    }
    service.stop().await.unwrap();
}
