//! Every call does what the contract says.

use serde_json::json;

use crate::endpoint::Endpoint;
use crate::server::Server;

async fn webhook(server: &Server, endpoint: &Endpoint, more: serde_json::Value) -> serde_json::Value {
    let mut body = json!({"url": endpoint.url, "events": ["*"], "verify": false});
    for (name, value) in more.as_object().unwrap() {
        body[name.as_str()] = value.clone();
    }
    let answer = server.call("POST", "/v1/webhooks", body.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json
}

#[tokio::test]
async fn an_event_can_be_followed_from_its_acceptance_to_its_end() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    webhook(&server, &endpoint, json!({"id": "crm", "retryConfig": {"schedule": [1]}})).await;
    endpoint.answer(500);
    let posted = r#"{"event":"message.received","timestamp":"2026-01-31T12:00:00Z","data":{"n": 1.50,"message":{"text":"hi"}}}"#;
    let accepted = server.call("POST", "/v1/events", posted).await;
    let id = accepted.json["id"].as_str().unwrap();
    let path = format!("/v1/events/{id}");
    let ended = server.until(&path, |event| event["deliveries"]["failed"] == 1).await;
    assert_eq!(ended["timestamp"], "2026-01-31T12:00:00.000Z");
    let text = server.call("GET", &path, "").await.text;
    let data = r#""data":{"n": 1.50,"message":{"text":"hi","type":"text","metadata":{}},"entities":[],"timestamp":"2026-01-31T12:00:00.000Z"}"#;
    assert!(text.contains(data), "{text}");

    let deliveries = server.call("GET", &format!("{path}/deliveries"), "").await.json;
    let delivery = &deliveries["data"][0];
    assert_eq!((&delivery["state"], &delivery["webhookId"]), (&json!("exhausted"), &json!("crm")));
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(
        (&attempts[1]["number"], &attempts[1]["status"], &attempts[1]["answer"]),
        (&json!(2), &json!(500), &json!("noted"))
    );

    endpoint.answer(200);
    let resent = server.call("POST", &format!("{path}/resend"), r#"{"webhookId":"crm"}"#).await;
    assert_eq!((resent.status, &resent.json["webhookIds"]), (202, &json!(["crm"])));
    server.until(&path, |event| event["deliveries"]["delivered"] == 1).await;
    let log = server.call("GET", "/v1/webhooks/crm/attempts", "").await.json;
    let numbers: Vec<u64> =
        log["data"].as_array().unwrap().iter().map(|it| it["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [3, 2, 1], "newest first, and numbers go on");
    let stats = server.call("GET", "/v1/webhooks/crm/stats", "").await.json;
    assert_eq!(
        (&stats["stats"]["sent"], &stats["stats"]["failed"], &stats["stats"]["attempts"]),
        (&json!(1), &json!(0), &json!(3))
    );
    assert_eq!(server.call("GET", "/v1/stats", "").await.json["stats"], stats["stats"]);
}

#[tokio::test]
async fn a_test_answers_200_with_the_result_good_or_bad() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    webhook(&server, &endpoint, json!({"id": "w", "events": ["something.else"]})).await;
    let good = server.call("POST", "/v1/webhooks/w/test", "").await;
    assert_eq!(
        (good.status, &good.json["delivered"], &good.json["status"]),
        (200, &json!(true), &json!(200))
    );
    endpoint.answer(503);
    let bad = server.call("POST", "/v1/webhooks/w/test", "").await;
    assert_eq!((bad.status, &bad.json["delivered"], &bad.json["status"]), (200, &json!(false), &json!(503)));
    let event =
        server.call("GET", &format!("/v1/events/{}", bad.json["eventId"].as_str().unwrap()), "").await;
    assert_eq!(event.json["event"], "webhook.test");
}

#[tokio::test]
async fn pausing_resuming_and_deleting_do_what_they_say() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    webhook(&server, &endpoint, json!({"id": "w"})).await;
    assert_eq!(server.call("POST", "/v1/webhooks/w/pause", "").await.json["status"], "paused");
    server.call("POST", "/v1/events", r#"{"event":"a","id":"waits","data":1}"#).await;
    let waiting = server.call("GET", "/v1/events/waits", "").await.json;
    assert_eq!((&waiting["deliveries"]["pending"], endpoint.count()), (&json!(1), 0));
    assert_eq!(server.call("POST", "/v1/webhooks/w/resume", "").await.json["status"], "active");
    endpoint.wait_for(1).await;
    server.call("POST", "/v1/webhooks/w/pause", "").await;
    server.call("POST", "/v1/events", r#"{"event":"a","id":"never","data":1}"#).await;
    assert_eq!(server.call("DELETE", "/v1/webhooks/w", "").await.status, 204);
    server.until("/v1/events/never", |event| event["deliveries"]["cancelled"] == 1).await;
    assert_eq!(server.call("GET", "/v1/webhooks/w", "").await.status, 404);
    let nowhere = server.call("POST", "/v1/events", r#"{"event":"a","id":"nowhere","data":1}"#).await;
    assert_eq!(nowhere.status, 202);
    assert_eq!(server.call("GET", "/v1/events/nowhere", "").await.json["nowhere"], "no_webhooks");
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test]
async fn a_410_disables_the_webhook_and_resuming_starts_it_again() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    webhook(&server, &endpoint, json!({"id": "w"})).await;
    endpoint.answer(410);
    server.call("POST", "/v1/events", r#"{"event":"a","id":"one","data":1}"#).await;
    server.until("/v1/webhooks/w", |webhook| webhook["status"] == "disabled").await;
    let delivery = server.call("GET", "/v1/events/one/deliveries", "").await.json["data"][0].clone();
    assert_eq!(delivery["state"], "rejected");
    server.call("POST", "/v1/events", r#"{"event":"a","id":"two","data":1}"#).await;
    assert_eq!(server.call("GET", "/v1/events/two", "").await.json["nowhere"], "disabled");
    endpoint.answer(200);
    server.call("POST", "/v1/webhooks/w/resume", "").await;
    server.call("POST", "/v1/events", r#"{"event":"a","id":"three","data":1}"#).await;
    server.until("/v1/events/three", |event| event["deliveries"]["delivered"] == 1).await;
}

#[tokio::test]
async fn secrets_are_shown_when_asked_for_and_rotate() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    let made = webhook(&server, &endpoint, json!({"id": "w", "ed25519": true})).await;
    assert!(made["verifyingKey"].as_str().unwrap().starts_with("whpk_"));
    let first = made["secret"].as_str().unwrap();
    assert!(!server.call("GET", "/v1/webhooks/w", "").await.text.contains(first));
    assert_eq!(server.call("GET", "/v1/webhooks/w/secret", "").await.json["secret"], first);
    let rotated = server.call("POST", "/v1/webhooks/w/secret/rotate", r#"{"gracePeriodMs":60000}"#).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert!(rotated.json["rotatingUntil"].is_string());
    let again = server.call("POST", "/v1/webhooks/w/secret/rotate", "").await;
    assert_eq!((again.status, again.problem()), (409, "rotation_in_progress"));
    server.call("POST", "/v1/events", r#"{"event":"a","data":1}"#).await;
    let (headers, _) = &endpoint.wait_for(1).await[0];
    let signatures = headers["webhook-signature"].to_str().unwrap();
    assert_eq!(signatures.split(' ').count(), 3, "both secrets and the key: {signatures}");
    let at_once =
        server.call("POST", "/v1/webhooks/w/secret/rotate", r#"{"gracePeriodMs":0,"secret":"chosen"}"#).await;
    assert_eq!((at_once.status, &at_once.json["secret"]), (200, &json!("chosen")));
    for bad in [r#"{"gracePeriodMs":-1}"#, r#"{"gracePeriodMs":"1"}"#, r#"{"secret":""}"#, r#"{"what":1}"#] {
        assert_eq!(server.call("POST", "/v1/webhooks/w/secret/rotate", bad).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn lists_go_on_page_by_page_newest_first() {
    let server = Server::start().await;
    for number in 0..7 {
        let event = json!({"event": "a", "id": format!("e{number}"), "data": 1}).to_string();
        server.call("POST", "/v1/events", event).await;
        let webhook = json!({"id": format!("w{number}"), "url": "https://example.com/", "events": ["x"], "verify": false});
        server.call("POST", "/v1/webhooks", webhook.to_string()).await;
    }
    for (list, prefix) in [("/v1/events", "e"), ("/v1/webhooks", "w")] {
        let mut path = format!("{list}?limit=3");
        let mut pages = Vec::new();
        loop {
            let page = server.call("GET", &path, "").await.json;
            pages.push(
                page["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|it| it["id"].as_str().unwrap().to_owned())
                    .collect::<Vec<_>>(),
            );
            let Some(next) = page["next"].as_str() else { break };
            path = format!("{list}?limit=3&cursor={next}");
        }
        let named =
            |numbers: &[u32]| numbers.iter().map(|number| format!("{prefix}{number}")).collect::<Vec<_>>();
        assert_eq!(pages, [named(&[6, 5, 4]), named(&[3, 2, 1]), named(&[0])]);
    }
}

#[tokio::test]
async fn what_may_be_secret_is_masked() {
    let server = Server::start().await;
    let more = json!({"id": "w", "url": "https://example.com/hook?token=hunter2",
        "headers": {"Authorization": "Bearer hunter2", "X-Region": "eu"}});
    webhook(&server, &Endpoint::start().await, more).await;
    let read = server.call("GET", "/v1/webhooks/w", "").await.json;
    assert_eq!(read["headers"], json!({"Authorization": "***", "X-Region": "eu"}));
    let stats = server.call("GET", "/v1/webhooks/w/stats", "").await.json;
    assert_eq!(stats["url"], "https://example.com/hook?token=***");
}

#[tokio::test]
async fn health_and_metrics_need_no_key_and_tell_the_truth() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    webhook(&server, &endpoint, json!({"id": "w"})).await;
    server.call("POST", "/v1/events", r#"{"event":"a","id":"one","data":1}"#).await;
    server.until("/v1/events/one", |event| event["deliveries"]["delivered"] == 1).await;
    let health = server.send("GET", "/health", &[], "").await;
    assert_eq!((health.status, &health.json["status"]), (200, &json!("healthy")));
    let metrics = server.send("GET", "/metrics", &[], "").await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "vai_events_total{result=\"accepted\"} 1",
        "vai_attempts_total{result=\"2xx\"} 1",
        "vai_deliveries_total{outcome=\"delivered\"} 1",
        "vai_deliveries_waiting 0",
    ] {
        assert!(metrics.text.lines().any(|is| is == line), "{line}\n{}", metrics.text);
    }
    let types = server.call("GET", "/v1/event-types", "").await.json;
    let names: Vec<&str> =
        types["data"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 7);
    assert!(names.contains(&"a") && names.contains(&"conversation.started"));
}
