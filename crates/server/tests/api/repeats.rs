//! The same call again: the same result, and nothing done twice.

use serde_json::json;

use crate::endpoint::Endpoint;
use crate::server::{ADMIN, Answer, Server};

async fn post(server: &Server, path: &str, key: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {ADMIN}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", key)];
    server.send("POST", path, &headers, body.to_owned()).await
}

#[tokio::test]
async fn the_same_id_and_content_is_the_same_event_and_other_content_is_409() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    server.call("POST", "/v1/webhooks", json!({"url": endpoint.url, "events": ["*"]}).to_string()).await;
    let event = r#"{"event":"a","id":"order-1","data":{"n": 1.0}}"#;
    for duplicate in [false, true, true] {
        let answer = server.call("POST", "/v1/events", event).await;
        assert_eq!(
            (answer.status, &answer.json["id"], &answer.json["duplicate"]),
            (202, &json!("order-1"), &json!(duplicate))
        );
    }
    for other in [
        r#"{"event":"a","id":"order-1","data":{"n": 1}}"#,
        r#"{"event":"b","id":"order-1","data":{"n": 1.0}}"#,
        r#"{"event":"a","id":"order-1","data":{"n": 1.0},"timestamp":"2026-01-01T00:00:00Z"}"#,
        r#"{"event":"a","id":"order-1","data":{"n": 1.0},"channels":["x"]}"#,
    ] {
        let answer = server.call("POST", "/v1/events", other).await;
        assert_eq!((answer.status, answer.problem()), (409, "content_differs"), "{other}");
    }
    server.call("POST", "/v1/events", r#"{"event":"last","data":1}"#).await;
    let got = endpoint.wait_for(3).await;
    let events: Vec<&str> = got.iter().map(|(headers, _)| headers["x-vai-event"].to_str().unwrap()).collect();
    assert_eq!(events, ["webhook.test", "a", "last"], "nothing was sent twice");
}

#[tokio::test]
async fn the_same_id_at_the_same_moment_is_one_event() {
    let server = Server::start().await;
    let event = r#"{"event":"a","id":"once","data":1}"#;
    let calls = (0..32).map(|_| server.call("POST", "/v1/events", event));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
    let new = answers.iter().filter(|answer| answer.json["duplicate"] == json!(false)).count();
    assert_eq!(new, 1);
}

#[tokio::test]
async fn an_idempotency_key_gives_the_same_event_batch_and_webhook() {
    let server = Server::start().await;
    let first = post(&server, "/v1/events", "k1", r#"{"event":"a","data":1}"#).await;
    let again = post(&server, "/v1/events", "k1", r#"{"event":"a","data":1}"#).await;
    assert_eq!(first.json["id"], again.json["id"]);
    let other = post(&server, "/v1/events", "k1", r#"{"event":"a","data":2}"#).await;
    assert_eq!((other.status, other.problem()), (409, "idempotency_key_reused"));

    let batch = r#"[{"event":"a","data":1},{"event":"b","data":2}]"#;
    let first = post(&server, "/v1/events/batch", "k2", batch).await;
    let again = post(&server, "/v1/events/batch", "k2", batch).await;
    for at in 0..2 {
        assert_eq!(first.json["results"][at]["id"], again.json["results"][at]["id"]);
        assert_eq!(again.json["results"][at]["duplicate"], true);
    }

    let endpoint = Endpoint::start().await;
    let webhook = json!({"url": endpoint.url, "events": ["never"]}).to_string();
    let first = post(&server, "/v1/webhooks", "k3", &webhook).await;
    let again = post(&server, "/v1/webhooks", "k3", &webhook).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((&first.json["id"], &first.json["secret"]), (&again.json["id"], &again.json["secret"]));
    assert_eq!(endpoint.count(), 1, "the endpoint was tested once");
    let reused =
        post(&server, "/v1/webhooks", "k3", &json!({"url": endpoint.url, "events": ["x"]}).to_string()).await;
    assert_eq!((reused.status, reused.problem()), (409, "idempotency_key_reused"));
    let bad = post(&server, "/v1/events", &"k".repeat(256), r#"{"event":"a","data":1}"#).await;
    assert_eq!((bad.status, bad.fields()), (400, vec![("", "invalid_idempotency_key")]));
}

#[tokio::test]
async fn a_key_makes_rotating_and_resending_happen_once() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    let webhook = json!({"id": "w", "url": endpoint.url, "events": ["a"], "verify": false}).to_string();
    server.call("POST", "/v1/webhooks", webhook).await;
    let path = "/v1/webhooks/w/secret/rotate";
    let first = post(&server, path, "r1", r#"{"gracePeriodMs":60000}"#).await;
    let again = post(&server, path, "r1", r#"{"gracePeriodMs":60000}"#).await;
    assert_eq!((first.status, again.status), (200, 200), "{}", again.text);
    assert_eq!(first.json["secret"], again.json["secret"]);
    let other = post(&server, path, "r1", r#"{"gracePeriodMs":0}"#).await;
    assert_eq!((other.status, other.problem()), (409, "idempotency_key_reused"));

    server.call("POST", "/v1/events", r#"{"event":"a","id":"one","data":1}"#).await;
    endpoint.wait_for(1).await;
    server.until("/v1/events/one", |event| event["deliveries"]["delivered"] == 1).await;
    for _ in 0..3 {
        let resent = post(&server, "/v1/events/one/resend", "s1", "").await;
        assert_eq!((resent.status, &resent.json["webhookIds"]), (202, &json!(["w"])));
        endpoint.wait_for(2).await;
        server.until("/v1/events/one", |event| event["deliveries"]["delivered"] == 1).await;
    }
    server.call("POST", "/v1/events", r#"{"event":"a","id":"two","data":1}"#).await;
    let got = endpoint.wait_for(3).await;
    let ids: Vec<&str> = got.iter().map(|(headers, _)| headers["webhook-id"].to_str().unwrap()).collect();
    assert_eq!(ids, ["one", "one", "two"]);
}

#[tokio::test]
async fn an_id_of_our_own_form_cannot_be_posted() {
    let server = Server::start().await;
    let made = server.call("POST", "/v1/events", r#"{"event":"a","data":1}"#).await;
    let body = json!({"event": "a", "data": 1, "id": made.json["id"]}).to_string();
    let answer = server.call("POST", "/v1/events", body).await;
    assert_eq!((answer.status, answer.problem()), (409, "id_reserved"));
}
