//! Webhooks with transformations: what is sent, what waits, what stays the same.

use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::patience::patiently;
use crate::server::{Answer, PATIENCE, Server};

/// Registers a webhook with this transformation.
async fn register(server: &Server, endpoint: &Endpoint, transform: Value) -> Answer {
    let body = json!({"id": "crm", "url": endpoint.url, "events": ["*"], "verify": false,
        "retryConfig": {"maxAttempts": 50, "backoffMs": 10, "maxBackoffMs": 50}, "dataTransform": transform});
    server.call("POST", "/v1/webhooks", body.to_string()).await
}

async fn send(server: &Server, id: &str) {
    let event = json!({"event": "order.paid", "id": id, "data": {"total": 12}});
    assert_eq!(server.call("POST", "/v1/events", event.to_string()).await.status, 202);
}

async fn delivery(server: &Server, id: &str, is: impl Fn(&Value) -> bool) -> Value {
    let all = server.until(&format!("/v1/events/{id}/deliveries"), |all| is(&all["data"][0])).await;
    all["data"][0].clone()
}

fn text(body: &bytes::Bytes) -> &str {
    std::str::from_utf8(body).unwrap()
}

#[tokio::test]
async fn what_a_script_returns_is_what_is_signed_and_sent_and_the_delivery_says_which_version_made_it() {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    let code = "(e, c) => { c.setHeader('X-Kind', e.event); c.setQuery('a=1'); return { n: e.data.total, at: Date.now() } }";
    let made = register(&server, &endpoint, json!(code)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.json["dataTransform"], json!({"code": code, "onError": "fail", "version": 1}));
    let event = json!({"event": "order.paid", "id": "o-1", "timestamp": "2026-01-31T12:00:00.000Z", "data": {"total": 12}});
    server.call("POST", "/v1/events", event.to_string()).await;
    let got = endpoint.wait_for(1).await;
    let (headers, body) = &got[0];
    assert_eq!(text(body), r#"{"n":12,"at":1769860800000}"#);
    assert_eq!(headers["x-kind"], "order.paid");
    let secret = vai_webhooks_wire::Secret::parse(made.json["secret"].as_str().unwrap()).unwrap();
    assert_eq!(headers["x-vai-signature"], vai_webhooks_wire::sign::legacy(&secret, body).as_str());
    let delivery = delivery(&server, "o-1", |it| it["state"] == "delivered").await;
    assert_eq!(delivery["transformVersion"], 1);
    assert_eq!(delivery["held"], false);
}

#[tokio::test]
async fn every_attempt_has_the_same_bytes_after_the_script_was_changed_too() {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    register(&server, &endpoint, json!("e => ['one', Math.random(), e.id]")).await;
    endpoint.answer(500);
    send(&server, "o-1").await;
    endpoint.wait_for(2).await;
    let change = json!({"dataTransform": "e => ['two', e.id]"});
    let changed = server.call("PATCH", "/v1/webhooks/crm", change.to_string()).await;
    assert_eq!(changed.json["dataTransform"]["version"], 2, "{}", changed.text);
    let seen = endpoint.count();
    endpoint.wait_for(seen + 2).await;
    endpoint.answer(200);
    delivery(&server, "o-1", |it| it["state"] == "delivered").await;
    send(&server, "o-2").await;
    let newer = delivery(&server, "o-2", |it| it["state"] == "delivered").await;
    assert_eq!(newer["transformVersion"], 2);
    let got = endpoint.wait_for(5).await;
    let (last, older) = got.split_last().unwrap();
    assert_eq!(text(&last.1), r#"["two","o-2"]"#);
    assert!(text(&got[0].1).starts_with(r#"["one",0."#), "{}", text(&got[0].1));
    assert!(older.iter().all(|(_, body)| *body == got[0].1), "{got:?}");

    server.call("POST", "/v1/events/o-1/resend", "{}").await;
    let again = endpoint.wait_for(got.len() + 1).await;
    assert_eq!(again.last().unwrap().1, got[0].1, "sent again by hand, too");
}

#[tokio::test]
async fn every_attempt_has_the_same_bytes_after_a_restart() {
    let endpoint = Endpoint::start().await;
    let data = tempfile::tempdir().unwrap();
    let options = || vai_webhooks_engine::EngineOptions {
        egress_allow: vec!["127.0.0.0/8".parse().unwrap()],
        ..vai_webhooks_engine::EngineOptions::new(data.path())
    };
    let engine = vai_webhooks_engine::Engine::open(options()).await.unwrap();
    let name = "default".parse().unwrap();
    let tenant = patiently(|| engine.tenant(&name)).await.unwrap();
    let webhook = json!({"id": "crm", "url": endpoint.url, "events": ["*"], "verify": false,
        "retryConfig": {"maxAttempts": 50, "backoffMs": 10, "maxBackoffMs": 50}, "dataTransform": "e => [Math.random(), e]"});
    let new = vai_webhooks_engine::NewWebhook::from_json(webhook.to_string().as_bytes()).unwrap();
    patiently(|| engine.register(tenant, new.clone(), None)).await.unwrap();
    endpoint.answer(500);
    let event = vai_webhooks_engine::NewEvent::new("a.b", r#"{"n":12345678901234567890}"#);
    patiently(|| engine.trigger(tenant, event.clone())).await.unwrap();
    endpoint.wait_for(1).await;
    engine.shutdown(PATIENCE).await;
    drop(engine);
    let before = endpoint.count();
    let engine = vai_webhooks_engine::Engine::open(options()).await.unwrap();
    let change =
        vai_webhooks_engine::WebhookChange::from_json(br#"{"dataTransform":"() => 'other'"}"#).unwrap();
    let id = "crm".parse().unwrap();
    patiently(|| engine.update(tenant, &id, change.clone())).await.unwrap();
    let got = endpoint.wait_for(before + 2).await;
    assert!(got.iter().all(|(_, body)| *body == got[0].1), "{got:?}");
    assert!(text(&got[0].1).contains("12345678901234567890"), "{got:?}");
    engine.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_script_that_does_not_compile_is_refused_with_its_place_and_changes_nothing() {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    let bad = "function transform(e) {\n  return { a: };\n}";
    let refused = register(&server, &endpoint, json!(bad)).await;
    assert_eq!((refused.status, refused.fields()), (400, vec![("/dataTransform", "invalid_script")]));
    assert!(refused.text.contains("line 2, column 15"), "{}", refused.text);
    register(&server, &endpoint, json!("e => 1")).await;
    let before = server.everything().await;
    for bad in [
        json!(bad),
        json!({"code": "const x = 1"}),
        json!({"version": 7}),
        json!({"code": "e => 1", "onError": "x"}),
        json!(7),
        json!({}),
    ] {
        let refused =
            server.call("PATCH", "/v1/webhooks/crm", json!({"dataTransform": bad}).to_string()).await;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.text);
        assert!(refused.fields()[0].0.starts_with("/dataTransform"), "{bad}: {}", refused.text);
    }
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn what_fails_waits_unsent_and_goes_out_when_the_script_is_mended() {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    register(&server, &endpoint, json!("e => {\n  return e.data.no.such;\n}")).await;
    send(&server, "o-1").await;
    let held = delivery(&server, "o-1", |it| it["held"] == true).await;
    assert_eq!((&held["state"], &held["nextAttemptAt"]), (&json!("pending"), &json!(null)));
    assert!(
        held["reason"].as_str().unwrap().starts_with("version 1 of the transformation: line 2, column "),
        "{held}"
    );
    let log = server.call("GET", "/v1/webhooks/crm/attempts", "").await;
    assert_eq!(log.json["data"][0]["failure"], "transform", "{}", log.text);
    assert!(log.json["data"][0]["detail"].as_str().unwrap().contains("TypeError"), "{}", log.text);
    send(&server, "o-2").await;
    delivery(&server, "o-2", |it| it["held"] == true).await;
    assert_eq!(endpoint.count(), 0);

    let change = json!({"dataTransform": "e => [e.id]"});
    server.call("PATCH", "/v1/webhooks/crm", change.to_string()).await;
    for id in ["o-1", "o-2"] {
        let sent = delivery(&server, id, |it| it["state"] == "delivered").await;
        assert_eq!(
            (&sent["transformVersion"], &sent["held"], &sent["reason"]),
            (&json!(2), &json!(false), &json!(null))
        );
    }
    let mut bodies: Vec<String> =
        endpoint.wait_for(2).await.iter().map(|(_, body)| text(body).to_owned()).collect();
    bodies.sort();
    assert_eq!(bodies, [r#"["o-1"]"#, r#"["o-2"]"#]);
}

#[tokio::test]
async fn what_is_held_goes_as_it_was_accepted_when_the_transformation_is_taken_away_and_is_cancelled_with_its_webhook()
 {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    register(&server, &endpoint, json!("e => { throw 1 }")).await;
    send(&server, "o-1").await;
    delivery(&server, "o-1", |it| it["held"] == true).await;
    server.call("PATCH", "/v1/webhooks/crm", json!({"dataTransform": null}).to_string()).await;
    delivery(&server, "o-1", |it| it["state"] == "delivered").await;
    assert!(text(&endpoint.wait_for(1).await[0].1).starts_with(r#"{"id":"o-1","event":"order.paid""#));
    server.call("PATCH", "/v1/webhooks/crm", json!({"dataTransform": "e => { throw 1 }"}).to_string()).await;
    send(&server, "o-2").await;
    delivery(&server, "o-2", |it| it["held"] == true).await;
    server.call("DELETE", "/v1/webhooks/crm", "").await;
    delivery(&server, "o-2", |it| it["state"] == "cancelled").await;
}

#[tokio::test]
async fn by_choice_the_original_goes_out_where_the_script_fails() {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    register(
        &server,
        &endpoint,
        json!({"code": "e => e.data.total === 12 ? e.no.such : 1", "onError": "sendOriginal"}),
    )
    .await;
    send(&server, "o-1").await;
    assert!(text(&endpoint.wait_for(1).await[0].1).starts_with(r#"{"id":"o-1","event":"order.paid""#));
    let endless = json!({"dataTransform": {"code": "e => { for (;;); }", "onError": "sendOriginal"}});
    server.call("PATCH", "/v1/webhooks/crm", endless.to_string()).await;
    endpoint.answer(500);
    send(&server, "o-2").await;
    let got = endpoint.wait_for(4).await;
    assert!(got[1..].iter().all(|(_, body)| text(body).starts_with(r#"{"id":"o-2""#)), "{got:?}");
}

#[tokio::test]
async fn null_drops_the_delivery_with_its_reason_and_nothing_is_sent() {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    register(&server, &endpoint, json!("(e, c) => e.id === 'o-1' ? c.drop('not ours') : [e.id]")).await;
    send(&server, "o-1").await;
    let dropped = delivery(&server, "o-1", |it| it["state"] == "dropped").await;
    assert_eq!(dropped["reason"], "dropped by version 1 of the transformation: not ours");
    send(&server, "o-2").await;
    assert_eq!(text(&endpoint.wait_for(1).await[0].1), r#"["o-2"]"#);
    let stats = server.until("/v1/webhooks/crm/stats", |it| it["stats"]["sent"] == 1).await;
    assert_eq!(
        (&stats["stats"]["cancelled"], &stats["stats"]["failed"], &stats["stats"]["pending"]),
        (&json!(1), &json!(0), &json!(0))
    );
    let event = server.call("GET", "/v1/events/o-1", "").await;
    assert_eq!(event.json["deliveries"]["dropped"], 1, "{}", event.text);
}

#[tokio::test]
async fn versions_are_kept_and_gone_back_to() {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    register(&server, &endpoint, json!("() => 'one'")).await;
    for code in ["() => 'two'", "() => 'two'", "() => 'three'"] {
        server.call("PATCH", "/v1/webhooks/crm", json!({"dataTransform": code}).to_string()).await;
    }
    let back =
        server.call("PATCH", "/v1/webhooks/crm", json!({"dataTransform": {"version": 1}}).to_string()).await;
    assert_eq!(back.json["dataTransform"], json!({"code": "() => 'one'", "onError": "fail", "version": 1}));
    let list = server.call("GET", "/v1/webhooks/crm/transform/versions", "").await;
    let all: Vec<(u64, bool)> = list.json["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["version"].as_u64().unwrap(), it["current"].as_bool().unwrap()))
        .collect();
    assert_eq!(all, [(3, false), (2, false), (1, true)]);
    send(&server, "o-1").await;
    assert_eq!(text(&endpoint.wait_for(1).await[0].1), r#""one""#);
    let next =
        server.call("PATCH", "/v1/webhooks/crm", json!({"dataTransform": "() => 'four'"}).to_string()).await;
    assert_eq!(next.json["dataTransform"]["version"], 4);
}

#[tokio::test]
async fn a_script_that_always_runs_into_its_limit_holds_up_no_other_webhook() {
    let (server, endpoint, other) = (Server::start().await, Endpoint::start().await, Endpoint::start().await);
    register(&server, &endpoint, json!("() => { for (;;); }")).await;
    let body = json!({"id": "good", "url": other.url, "events": ["*"], "verify": false, "dataTransform": "e => [e.id]"});
    server.call("POST", "/v1/webhooks", body.to_string()).await;
    for n in 0..30 {
        send(&server, &format!("o-{n}")).await;
    }
    other.wait_for(30).await;
    assert_eq!(endpoint.count(), 0);
    let held = server
        .until("/v1/events/o-0/deliveries", |all| {
            all["data"].as_array().is_some_and(|all| all.iter().any(|it| it["held"] == true))
        })
        .await;
    assert!(held["data"].to_string().contains("time limit of 50 ms"), "{held}");
}
