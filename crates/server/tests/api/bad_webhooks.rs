//! Bad registrations and changes: every problem told at once, and nothing changed.

use serde_json::json;

use crate::endpoint::Endpoint;
use crate::server::Server;

fn with(member: &str, value: serde_json::Value) -> String {
    let mut body = json!({"url": "https://example.com/hook", "events": ["*"], "verify": false});
    body[member] = value;
    body.to_string()
}

#[tokio::test]
async fn each_bad_member_has_its_problem_and_changes_nothing() {
    let server = Server::start().await;
    let before = server.everything().await;
    for (body, field) in [
        (with("events", json!([])), ("/events", "empty")),
        (with("events", json!("x")), ("/events", "wrong_type")),
        (with("events", json!(["a b"])), ("/events/0", "invalid_event_type")),
        (with("retryConfig", json!({"maxAttempts": 0})), ("/retryConfig/maxAttempts", "out_of_range")),
        (with("retryConfig", json!({"maxAttempts": -1})), ("/retryConfig/maxAttempts", "wrong_type")),
        (
            with("retryConfig", json!({"maxAttempts": 1_000_000_000})),
            ("/retryConfig/maxAttempts", "out_of_range"),
        ),
        (with("retryConfig", json!({"backoffMs": 0})), ("/retryConfig/backoffMs", "out_of_range")),
        (with("retryConfig", json!({"attempts": 3})), ("/retryConfig/attempts", "unknown_field")),
        (
            with("retryConfig", json!({"schedule": [1], "backoffMs": 5})),
            ("/retryConfig/schedule", "conflicts"),
        ),
        (with("headers", json!({"X-A": "a\r\nX-B: c"})), ("/headers/X-A", "invalid_header_value")),
        (with("headers", json!({"X-A\r\nX-B": "c"})), ("/headers/X-AX-B", "invalid_header_name")),
        (with("headers", json!({"Host": "evil"})), ("/headers/Host", "reserved_header")),
        (
            with("headers", json!({"webhook-signature": "v1,x"})),
            ("/headers/webhook-signature", "reserved_header"),
        ),
        (with("headers", json!({"X-VAI-Event": "x"})), ("/headers/X-VAI-Event", "reserved_header")),
        (with("headers", json!({"X-A": 1})), ("/headers", "wrong_type")),
        (with("timeoutMs", json!(999)), ("/timeoutMs", "out_of_range")),
        (with("timeoutMs", json!(30_001)), ("/timeoutMs", "out_of_range")),
        (with("id", json!("no spaces")), ("/id", "invalid_id")),
        (with("secret", json!("whsec_???")), ("/secret", "invalid_secret")),
        (with("secret", json!("")), ("/secret", "invalid_secret")),
        (with("stats", json!({})), ("/stats", "unknown_field")),
        (with("dataTransform", json!("x =>")), ("/dataTransform", "invalid_script")),
        (with("url", json!("no url")), ("/url", "invalid_url")),
        (with("url", json!("ftp://example.com/")), ("/url", "refused_url")),
        (with("url", json!("https://user:hunter2@example.com/")), ("/url", "refused_url")),
    ] {
        let answer = server.call("POST", "/v1/webhooks", body.clone()).await;
        assert_eq!((answer.status, answer.problem()), (400, "invalid_input"), "{body}");
        assert_eq!(answer.fields(), [field], "{body}");
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
    }
    let answer =
        server.call("POST", "/v1/webhooks", r#"{"url":"x","events":[],"timeoutMs":1,"oops":1}"#).await;
    assert_eq!(answer.fields(), [("/oops", "unknown_field")], "shape first");
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn a_url_of_each_refused_kind_is_refused_where_the_url_shows_it() {
    let server = Server::start().await;
    for host in [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "198.51.100.7",
        "[::1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
        "0xA000001",
        "167772161",
        "012.0.0.1",
        "10.1",
    ] {
        let answer = server.call("POST", "/v1/webhooks", with("url", json!(format!("http://{host}/")))).await;
        assert_eq!(
            (answer.status, answer.fields()),
            (400, vec![("/url", "refused_url")]),
            "{host}: {}",
            answer.text
        );
        assert!(answer.text.contains("--egress-allow"), "{host}: it says what the operator can do");
    }
}

#[tokio::test]
async fn a_registration_whose_endpoint_refuses_the_test_registers_nothing() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    endpoint.answer(404);
    let before = server.everything().await;
    let body = json!({"url": endpoint.url, "events": ["*"]}).to_string();
    let answer = server.call("POST", "/v1/webhooks", body.clone()).await;
    assert_eq!((answer.status, answer.problem()), (422, "endpoint_unreachable"));
    assert_eq!(
        (&answer.json["attempt"]["status"], &answer.json["attempt"]["answer"]),
        (&json!(404), &json!("noted"))
    );
    assert_eq!(server.everything().await, before);
    endpoint.answer(200);
    assert_eq!(server.call("POST", "/v1/webhooks", body).await.status, 201);
    let (headers, _) = &endpoint.wait_for(2).await[1];
    assert_eq!(headers["x-vai-event"], "webhook.test");
}

#[tokio::test]
async fn a_change_is_validated_as_a_registration_is() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    let body = json!({"id": "w", "url": endpoint.url, "events": ["a"]}).to_string();
    assert_eq!(server.call("POST", "/v1/webhooks", body).await.status, 201);
    let before = server.call("GET", "/v1/webhooks/w", "").await.text;
    for (change, field) in [
        (json!({"events": []}), ("/events", "empty")),
        (json!({"events": "a"}), ("/events", "wrong_type")),
        (json!({"status": "active"}), ("/status", "unknown_field")),
        (json!({"secret": "x"}), ("/secret", "unknown_field")),
        (json!({"url": "http://10.0.0.1/"}), ("/url", "refused_url")),
        (json!({"timeoutMs": "1000"}), ("/timeoutMs", "wrong_type")),
    ] {
        let answer = server.call("PATCH", "/v1/webhooks/w", change.to_string()).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field]), "{change}");
    }
    let silent = format!("{}/elsewhere", endpoint.url);
    let answer = server.call("PATCH", "/v1/webhooks/w", json!({"url": silent}).to_string()).await;
    assert_eq!((answer.status, answer.problem()), (422, "endpoint_unreachable"));
    assert_eq!(server.call("GET", "/v1/webhooks/w", "").await.text, before);
    let answer = server
        .call("PATCH", "/v1/webhooks/w", json!({"events": ["b.*"], "description": "new"}).to_string())
        .await;
    assert_eq!(
        (answer.status, &answer.json["events"], &answer.json["url"]),
        (200, &json!(["b.*"]), &json!(endpoint.url))
    );
    assert_eq!(server.call("POST", "/v1/events", r#"{"event":"b.c","data":1}"#).await.status, 202);
    endpoint.wait_for(2).await;
}
