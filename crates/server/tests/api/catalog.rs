//! Event types and their schemas: what is checked, what is refused, and what breaks consumers.

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::endpoint::Endpoint;
use crate::server::{Answer, Server};

const ORDER: &str = "/v1/event-types/order.paid";

async fn put(server: &Server, body: &Value) -> Answer {
    server.call("PUT", ORDER, body.to_string()).await
}

async fn mode(server: &Server, mode: &str) {
    let answer = server.call("PATCH", "/v1/settings", json!({"eventSchemas": mode}).to_string()).await;
    assert_eq!((answer.status, &answer.json["eventSchemas"]), (200, &json!(mode)));
}

fn order() -> Value {
    json!({"type": "object", "required": ["orderId", "total"], "properties": {
        "orderId": {"type": "string"}, "total": {"type": "number", "minimum": 0},
        "lines": {"type": "array", "items": {"type": "object", "required": ["sku"]}}}})
}

fn event(data: &Value) -> String {
    json!({"event": "order.paid", "data": data}).to_string()
}

#[tokio::test]
async fn the_six_typed_events_come_with_schema_description_and_example() {
    let server = Server::start().await;
    let types = server.call("GET", "/v1/event-types", "").await.json;
    let types = types["data"].as_array().unwrap();
    assert_eq!(types.len(), 6);
    mode(&server, "enforce").await;
    for it in types {
        assert!(it["typed"] == true && it["version"] == 1 && !it["description"].as_str().unwrap().is_empty());
        let one = server.call("GET", &format!("/v1/event-types/{}", it["name"].as_str().unwrap()), "").await;
        assert_eq!((&one.json["schema"], &one.json["versions"][0]["version"]), (&it["schema"], &json!(1)));
        let good = json!({"event": it["name"], "data": it["examples"][0]}).to_string();
        assert_eq!(server.call("POST", "/v1/events", good).await.status, 202, "{}", it["name"]);
        let bad = json!({"event": it["name"], "data": {}}).to_string();
        let answer = server.call("POST", "/v1/events", bad).await;
        assert_eq!((answer.status, answer.problem()), (422, "schema_violation"), "{}", it["name"]);
    }
    // The seed's defaults are put in before it is checked.
    let least = r#"{"event":"message.received","data":{"sessionId":"s","message":{"text":"hi"}}}"#;
    assert_eq!(server.call("POST", "/v1/events", least).await.status, 202);
}

#[tokio::test]
async fn off_accepts_warn_accepts_and_says_so_enforce_refuses() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    let webhook = json!({"url": endpoint.url, "events": ["*"], "verify": false});
    assert_eq!(server.call("POST", "/v1/webhooks", webhook.to_string()).await.status, 201);
    assert_eq!(put(&server, &json!({"schema": order()})).await.status, 201);
    let bad = event(&json!({"total": -1, "lines": [{"sku": "a"}, {}]}));
    let expected = [
        ("/data/orderId", "schema_required"),
        ("/data/total", "schema_range"),
        ("/data/lines/1/sku", "schema_required"),
    ];
    let sorted = |mut all: Vec<(&str, &str)>| {
        all.sort_unstable();
        all.into_iter().map(|(pointer, code)| (pointer.to_owned(), code.to_owned())).collect::<Vec<_>>()
    };

    assert_eq!(server.call("GET", "/v1/settings", "").await.json, json!({"eventSchemas": "off"}));
    let off = server.call("POST", "/v1/events", bad.clone()).await;
    assert_eq!((off.status, off.json.get("violations")), (202, None));

    mode(&server, "warn").await;
    let warned = server.call("POST", "/v1/events", bad.clone()).await;
    assert_eq!(warned.status, 202, "{}", warned.text);
    let said = warned.json["violations"].as_array().unwrap();
    let said =
        said.iter().map(|it| (it["pointer"].as_str().unwrap(), it["code"].as_str().unwrap())).collect();
    assert_eq!(sorted(said), sorted(expected.to_vec()));
    endpoint.wait_for(2).await;
    let good = server.call("POST", "/v1/events", event(&json!({"orderId": "o", "total": 1}))).await;
    assert_eq!((good.status, good.json.get("violations")), (202, None));
    let it = server.call("GET", ORDER, "").await.json;
    assert_eq!(
        (&it["mismatches"]["count"], &it["mismatches"]["lastEventId"]),
        (&json!(1), &warned.json["id"])
    );
    assert_eq!(it["mismatches"]["lastViolations"], warned.json["violations"]);

    mode(&server, "enforce").await;
    let before = server.call("GET", "/v1/events", "").await.text;
    let refused = server.call("POST", "/v1/events", bad.clone()).await;
    assert_eq!((refused.status, refused.problem()), (422, "schema_violation"));
    assert_eq!(sorted(refused.fields()), sorted(expected.to_vec()));
    let untyped = server.call("POST", "/v1/events", r#"{"event":"no.schema","data":7}"#).await;
    assert_eq!(untyped.status, 202, "what has no schema may hold anything");
    let batch = format!("[{},{bad},{}]", event(&json!({"orderId": "o", "total": 1})), event(&json!(7)));
    let batch = server.call("POST", "/v1/events/batch", batch).await;
    let results = batch.json["results"].as_array().unwrap();
    let statuses: Vec<u64> = results.iter().map(|it| it["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 422, 422], "{}", batch.text);
    assert_eq!(results[1]["errors"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&results[2]["code"], &results[2]["errors"][0]["pointer"]),
        (&json!("schema_violation"), &json!("/data"))
    );
    let after = server.call("GET", "/v1/events", "").await;
    assert_eq!(after.json["data"].as_array().unwrap().len(), 2 + before.matches("\"acceptedAt\"").count());

    let metrics = server.send("GET", "/metrics", &[], "").await.text;
    for line in
        ["vai_schema_mismatches_total{mode=\"warn\"} 1", "vai_schema_mismatches_total{mode=\"enforce\"} 3"]
    {
        assert!(metrics.lines().any(|is| is == line), "{line}\n{metrics}");
    }
    mode(&server, "off").await;
    assert_eq!(server.call("POST", "/v1/events", bad).await.status, 202);
}

#[tokio::test]
async fn a_batch_is_warned_event_by_event() {
    let server = Server::start().await;
    put(&server, &json!({"schema": order()})).await;
    mode(&server, "warn").await;
    let batch = format!("[{},{}]", event(&json!({"orderId": "o", "total": 1})), event(&json!(7)));
    let batch = server.call("POST", "/v1/events/batch", batch).await.json;
    assert_eq!(batch["results"][0].get("violations"), None);
    assert_eq!(batch["results"][1]["status"], 202);
    assert_eq!(batch["results"][1]["violations"][0]["code"], "schema_type");
}

#[tokio::test]
async fn an_event_that_was_accepted_before_it_was_checked_is_answered_again() {
    let server = Server::start().await;
    put(&server, &json!({"schema": order()})).await;
    let bad = r#"{"event":"order.paid","id":"mine","data":7}"#;
    assert_eq!(server.call("POST", "/v1/events", bad).await.status, 202);
    mode(&server, "enforce").await;
    let again = server.call("POST", "/v1/events", bad).await;
    assert_eq!((again.status, &again.json["duplicate"]), (202, &json!(true)));
    let other = server.call("POST", "/v1/events", r#"{"event":"order.paid","id":"mine","data":8}"#).await;
    assert_eq!((other.status, other.problem()), (409, "content_differs"));
    let new = server.call("POST", "/v1/events", r#"{"event":"order.paid","id":"other","data":7}"#).await;
    assert_eq!(new.status, 422);
}

#[tokio::test]
async fn a_change_that_breaks_consumers_is_refused_unless_it_is_forced() {
    let server = Server::start().await;
    assert_eq!(put(&server, &json!({"schema": order(), "description": "Paid."})).await.status, 201);
    let mut additive = order();
    additive["properties"]["note"] = json!({"type": "string"});
    let answer = put(&server, &json!({"schema": additive, "description": "Paid."})).await;
    assert_eq!((answer.status, &answer.json["version"]), (200, &json!(2)));
    let described = put(&server, &json!({"schema": additive, "description": "It was paid."})).await;
    assert_eq!(
        (&described.json["version"], &described.json["description"]),
        (&json!(2), &json!("It was paid."))
    );

    let breaking = json!({"type": "object", "required": ["orderId"], "properties": {
        "orderId": {"type": ["string", "integer"]}, "total": {"type": "number", "minimum": 0}, "remark": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["sku"]}}}});
    let before = server.call("GET", ORDER, "").await.text;
    let refused = put(&server, &json!({"schema": breaking})).await;
    assert_eq!((refused.status, refused.problem()), (409, "breaking_change"));
    let mut named = refused.fields();
    named.sort_unstable();
    let expected = [
        ("/schema/properties/note", "field_removed"),
        ("/schema/properties/orderId/type", "type_widened"),
        ("/schema/properties/total", "field_optional"),
    ];
    assert_eq!(named, expected);
    assert!(refused.text.contains("renamed"), "{}", refused.text);
    assert_eq!(put(&server, &json!({})).await.status, 409, "no schema at all promises nothing");
    assert_eq!(server.call("GET", ORDER, "").await.text, before);

    let forced = put(&server, &json!({"schema": breaking, "force": true})).await;
    assert_eq!((forced.status, &forced.json["version"]), (200, &json!(3)));
    assert_eq!(forced.json["versions"][0]["breaks"].as_array().unwrap().len(), 3);
    let second = server.call("GET", &format!("{ORDER}?version=2"), "").await;
    assert_eq!((&second.json["schema"], &second.json["version"]), (&additive, &json!(2)));
    assert_eq!(server.call("GET", &format!("{ORDER}?version=9"), "").await.status, 404);
    assert_eq!(server.call("GET", &format!("{ORDER}?version=x"), "").await.status, 400);

    let typed = server.call("PUT", "/v1/event-types/message.sent", r#"{"schema":{"type":"object"}}"#).await;
    assert_eq!((typed.status, typed.problem()), (409, "breaking_change"), "the six have consumers too");
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_is_refused_with_its_place_and_changes_nothing() {
    let server = Server::start().await;
    let before = server.everything().await;
    let doubling: serde_json::Map<String, Value> = (0..20)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            let twice = json!({"properties": {"a": {"anyOf": [next, next]}}});
            (format!("d{n}"), if n == 19 { json!({}) } else { twice })
        })
        .collect();
    for (body, field) in [
        (json!({"schema": {"type": "text"}}), ("/schema/type", "invalid_schema")),
        (json!({"schema": 7}), ("/schema", "wrong_type")),
        (
            json!({"schema": {"properties": {"a": {"$ref": "#/$defs/b"}}}}),
            ("/schema/properties/a/$ref", "dead_reference"),
        ),
        (json!({"schema": {"$ref": "#/$defs/d0", "$defs": doubling}}), ("/schema", "too_much_work")),
        (json!({"schema": {"description": "x".repeat(70_000)}}), ("/schema", "too_large")),
        (json!({"schema": order(), "examples": [{"total": 1}]}), ("/examples/0/orderId", "schema_required")),
        (json!({"schemas": {}}), ("/schemas", "unknown_field")),
    ] {
        let answer = put(&server, &body).await;
        let shown: String = body.to_string().chars().take(80).collect();
        assert_eq!((answer.status, answer.problem()), (400, "invalid_input"), "{shown}");
        assert_eq!(answer.fields(), [field], "{shown}");
    }
    let answer = server.call("PUT", "/v1/event-types/no-name", "{}").await;
    assert_eq!((answer.status, answer.fields()), (400, vec![("", "invalid_event_type")]));
    for bad in [r#"{"eventSchemas":"on"}"#, r#"{"eventSchemas":1}"#, r#"{"schemas":"off"}"#] {
        assert_eq!(server.call("PATCH", "/v1/settings", bad).await.status, 400, "{bad}");
    }
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn a_reference_to_another_host_is_refused_and_no_request_leaves() {
    let server = Server::start().await;
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/schema.json", host.local_addr().unwrap());
    for schema in [
        json!({"$ref": url}),
        json!({"properties": {"a": {"items": {"$ref": url}}}}),
        json!({"$id": url, "$ref": "other.json"}),
        json!({"$schema": url}),
        json!({"$dynamicRef": url}),
        json!({"$defs": {"x": {"$ref": url}}}),
    ] {
        let answer = put(&server, &json!({"schema": schema})).await;
        assert_eq!((answer.status, answer.problem()), (400, "invalid_input"), "{schema}");
    }
    mode(&server, "enforce").await;
    assert_eq!(server.call("POST", "/v1/events", event(&json!({"a": [1]}))).await.status, 202);
    // The first to be at the door is this test itself.
    let own = TcpStream::connect(host.local_addr().unwrap()).await.unwrap();
    let (_, first) = host.accept().await.unwrap();
    assert_eq!(first, own.local_addr().unwrap(), "somebody called");
}

#[tokio::test]
async fn one_tenants_catalog_and_mode_are_nothing_to_another() {
    let server = Server::start().await;
    let (ours, theirs) = (server.tenant_key("ours").await, server.tenant_key("theirs").await);
    let body =
        json!({"schema": {"type": "object", "required": ["ours"]}, "description": "ours alone"}).to_string();
    assert_eq!(server.with_key(&ours, "PUT", ORDER, body).await.status, 201);
    let enforce = r#"{"eventSchemas":"enforce"}"#;
    assert_eq!(server.with_key(&ours, "PATCH", "/v1/settings", enforce).await.status, 200);
    let read = server.with_key(&theirs, "GET", ORDER, "").await;
    assert_eq!((read.status, read.problem()), (404, "not_found"));
    assert!(!server.with_key(&theirs, "GET", "/v1/event-types", "").await.text.contains("ours"));
    assert_eq!(server.with_key(&theirs, "GET", "/v1/settings", "").await.json["eventSchemas"], "off");
    let sent = event(&json!({}));
    assert_eq!(server.with_key(&theirs, "POST", "/v1/events", sent.clone()).await.status, 202);
    assert_eq!(server.with_key(&ours, "POST", "/v1/events", sent.clone()).await.status, 422);
    let own = json!({"schema": {"type": "object", "required": ["theirs"]}}).to_string();
    assert_eq!(
        server.with_key(&theirs, "PUT", ORDER, own).await.status,
        201,
        "what is not theirs breaks nobody"
    );
    assert_eq!(server.with_key(&theirs, "PATCH", "/v1/settings", enforce).await.status, 200);
    let answer = server.with_key(&theirs, "POST", "/v1/events", sent).await;
    assert_eq!(answer.fields(), [("/data/theirs", "schema_required")]);
}
