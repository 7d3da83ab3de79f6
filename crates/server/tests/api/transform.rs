//! Transformations over HTTP.

use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn a_script_is_tried_on_an_event_that_is_given_or_known_and_nothing_is_kept_or_sent() {
    let server = Server::start().await;
    let event = json!({"event": "message.received", "id": "mine", "timestamp": "2026-01-31T12:00:00.000Z",
        "data": {"sessionId": "s", "message": {"text": "hi"}}});
    let code = "(e, c) => { c.setHeader('X-Kind', e.event); console.log('one'); return { id: e.id, text: e.data.message.text, at: Date.now() } }";
    let tried =
        server.call("POST", "/v1/transform/try", json!({"code": code, "event": event}).to_string()).await;
    assert_eq!(tried.status, 200, "{}", tried.text);
    assert_eq!(tried.json["output"], json!({"id": "mine", "text": "hi", "at": 1_769_860_800_000_i64}));
    assert_eq!(tried.json["headers"], json!({"X-Kind": "message.received"}));
    assert_eq!(tried.json["console"], json!(["one"]));
    assert_eq!(tried.json["error"], json!(null));
    assert!(tried.json["durationMs"].as_f64().unwrap() > 0.0);
    assert_eq!(tried.json["input"]["data"]["message"]["type"], "text", "with the seed's defaults");
    assert_eq!(server.call("GET", "/v1/events", "").await.json["data"], json!([]));

    server.call("POST", "/v1/events", event.to_string()).await;
    let known =
        server.call("POST", "/v1/transform/try", json!({"code": code, "eventId": "mine"}).to_string()).await;
    assert_eq!(known.json["output"], tried.json["output"]);
}

#[tokio::test]
async fn a_script_that_fails_is_an_answer_with_its_place() {
    let server = Server::start().await;
    let event = json!({"event": "a.b", "data": {}});
    let error = async |code: &str| {
        let answer =
            server.call("POST", "/v1/transform/try", json!({"code": code, "event": event}).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json["error"].clone()
    };
    let thrown = error("function transform(e) {\n  return e.data.no.such\n}").await;
    assert_eq!(thrown["line"], 2);
    assert!(thrown["message"].as_str().unwrap().starts_with("TypeError"), "{thrown}");
    assert_eq!(error("function transform(e) {\n  return ;;;;)\n}").await["line"], 2);
    let endless = error("() => { for (;;); }").await;
    assert!(endless["message"].as_str().unwrap().contains("time limit of 50 ms"), "{endless}");
}

#[tokio::test]
async fn what_cannot_be_tried_is_refused_field_by_field() {
    let server = Server::start().await;
    let refused = async |body: serde_json::Value| {
        let answer = server.call("POST", "/v1/transform/try", body.to_string()).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        let fields = answer.fields().into_iter();
        fields.map(|(pointer, code)| format!("{pointer} {code}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(refused(json!({})).await, "/code missing, /event missing");
    let event = json!({"event": "a.b", "data": 1});
    assert_eq!(refused(json!({"code": "1", "event": event, "eventId": "x"})).await, "/eventId conflicts");
    assert_eq!(
        refused(json!({"code": "1", "event": {"event": "a b", "data": 1}})).await,
        "/event/event invalid_event_type"
    );
    assert_eq!(refused(json!({"code": "x".repeat(65_537), "event": event})).await, "/code too_long");
    assert_eq!(refused(json!({"code": "1", "event": event, "more": 1})).await, "/more unknown_field");
    let unknown =
        server.call("POST", "/v1/transform/try", json!({"code": "1", "eventId": "none"}).to_string()).await;
    assert_eq!(unknown.status, 404);
}
