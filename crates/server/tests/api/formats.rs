//! Webhooks in each format: what arrives, what it is signed over, what stays the same.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use vai_webhooks_wire::{Secret, UnixMs, Verifier, sign};

use crate::endpoint::Endpoint;
use crate::server::{Answer, Server};

const SECRET: &str = "whsec_Zm9ybWF0cyBhcmUgdGhyZWUgZG96ZW4gYnl0ZXMgb2Y=";
/// Spelled as nobody would write it again.
const DATA: &str = r#"{"z":1.50, "a" :12345678901234567890,"text":"Bun\u0103 \"😀\""}"#;
const AT: &str = "2026-01-31T12:00:00.000Z";

async fn register(server: &Server, endpoint: &Endpoint, more: Value) -> Answer {
    let mut body = json!({"id": "crm", "url": endpoint.url, "events": ["*"], "verify": false, "secret": SECRET,
        "retryConfig": {"maxAttempts": 50, "backoffMs": 10, "maxBackoffMs": 50}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.call("POST", "/v1/webhooks", body.to_string()).await
}

async fn send(server: &Server, id: &str) {
    let event = format!(r#"{{"event":"order.paid","id":"{id}","timestamp":"{AT}","data":{DATA}}}"#);
    assert_eq!(server.call("POST", "/v1/events", event).await.status, 202);
}

async fn delivered(server: &Server, id: &str) -> Value {
    let path = format!("/v1/events/{id}/deliveries");
    server.until(&path, |all| all["data"][0]["state"] == "delivered").await["data"][0].clone()
}

fn text(body: &Bytes) -> &str {
    std::str::from_utf8(body).unwrap()
}

/// What every request must be, whatever its format: signed over the bytes that arrived, in both schemes.
fn assert_signed(headers: &HeaderMap, body: &Bytes) {
    let secret = Secret::parse(SECRET).unwrap();
    assert_eq!(headers["x-vai-signature"], sign::legacy(&secret, body).as_str());
    let at: i64 = headers["x-vai-timestamp"].to_str().unwrap().parse().unwrap();
    let header = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
    Verifier::new().secret(secret).verify(header, body, UnixMs(at)).unwrap();
    assert_eq!(
        (&headers["webhook-id"], &headers["x-vai-event"]),
        (&"o-1".parse().unwrap(), &"order.paid".parse().unwrap())
    );
}

/// Registers, sends one event, and gives what arrived.
async fn one(more: Value) -> (Server, HeaderMap, Bytes) {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    let made = register(&server, &endpoint, more.clone()).await;
    assert_eq!((made.status, &made.json["format"]), (201, &more["format"]), "{}", made.text);
    send(&server, "o-1").await;
    let (headers, body) = endpoint.wait_for(1).await[0].clone();
    assert_signed(&headers, &body);
    let delivery = delivered(&server, "o-1").await;
    assert_eq!(delivery["format"], more["format"], "{delivery}");
    (server, headers, body)
}

#[tokio::test]
async fn vai_is_the_envelope_and_the_default() {
    let (_server, headers, body) = one(json!({"format": "vai"})).await;
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(
        text(&body),
        format!(r#"{{"id":"o-1","event":"order.paid","timestamp":"{AT}","data":{DATA}}}"#)
    );
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    assert_eq!(register(&server, &endpoint, json!({})).await.json["format"], "vai");
}

#[tokio::test]
async fn standard_is_the_payload_of_standard_webhooks() {
    let (_server, headers, body) = one(json!({"format": "standard"})).await;
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(text(&body), format!(r#"{{"type":"order.paid","timestamp":"{AT}","data":{DATA}}}"#));
}

#[tokio::test]
async fn raw_is_the_data_byte_for_byte() {
    let (_server, headers, body) = one(json!({"format": "raw"})).await;
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(text(&body), DATA);
}

/// The rules of the CloudEvents specification, version 1.0.2, for context attributes.
fn assert_cloudevent(attributes: &serde_json::Map<String, Value>) {
    for (name, value) in attributes {
        let named =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        assert!(named, "attribute names are of lower-case letters and digits: {name}");
        assert!(!value.as_str().unwrap().is_empty(), "{name} must not be empty");
    }
    let text =
        |name: &str| attributes.get(name).unwrap_or_else(|| panic!("{name} is required")).as_str().unwrap();
    assert_eq!(text("specversion"), "1.0");
    assert_eq!((text("id"), text("type")), ("o-1", "order.paid"));
    // A URI-reference, an absolute one as recommended.
    assert_eq!(url::Url::parse(text("source")).unwrap().as_str(), "urn:vai-webhooks:default");
    let time: UnixMs = serde_json::from_value(attributes["time"].clone()).unwrap();
    assert_eq!(time.to_string(), AT);
}

#[tokio::test]
async fn cloudevents_is_the_structured_mode_of_the_http_binding() {
    let (_server, headers, body) = one(json!({"format": "cloudevents"})).await;
    assert_eq!(headers["content-type"], "application/cloudevents+json");
    let event: Value = serde_json::from_slice(&body).unwrap();
    let mut attributes = event.as_object().unwrap().clone();
    assert_eq!(attributes.remove("data").unwrap(), serde_json::from_str::<Value>(DATA).unwrap());
    assert!(text(&body).ends_with(&format!(r#","data":{DATA}}}"#)), "the data's own bytes: {}", text(&body));
    assert_eq!(attributes.remove("datacontenttype").unwrap(), "application/json");
    assert_cloudevent(&attributes);
    assert!(!headers.keys().any(|name| name.as_str().starts_with("ce-")), "{headers:?}");
}

#[tokio::test]
async fn cloudevents_binary_has_the_data_as_its_body_and_the_attributes_as_headers() {
    let more =
        json!({"format": "cloudevents-binary", "headers": {"ce-tenantkind": "trial", "ce-id": "forged"}});
    let (_server, headers, body) = one(more).await;
    assert_eq!(headers["content-type"], "application/json", "the data's content type");
    assert_eq!(text(&body), DATA);
    let attribute = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let name = name.as_str().strip_prefix("ce-")?;
        Some((name.to_owned(), value.to_str().unwrap().into()))
    };
    let attributes: serde_json::Map<String, Value> = headers.iter().filter_map(attribute).collect();
    assert_eq!(attributes["tenantkind"], "trial", "the owner's own extension");
    assert!(!attributes.contains_key("datacontenttype"), "Content-Type says it");
    assert_cloudevent(&attributes);
}

#[tokio::test]
async fn thin_has_a_link_to_the_data_that_nobody_can_forge_and_that_expires() {
    let (server, headers, body) = one(json!({"format": "thin"})).await;
    assert_eq!(headers["content-type"], "application/json");
    let thin: Value = serde_json::from_slice(&body).unwrap();
    let link = thin["url"].as_str().unwrap();
    assert_eq!(thin, json!({"id": "o-1", "event": "order.paid", "timestamp": AT, "url": link}));
    let path = link.strip_prefix(&server.url).unwrap();
    let fetched = server.send("GET", path, &[], "").await;
    assert_eq!(
        (fetched.status, &fetched.headers["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    assert_eq!(fetched.headers["cache-control"], "no-store");
    assert_eq!(
        fetched.text,
        format!(r#"{{"id":"o-1","event":"order.paid","timestamp":"{AT}","data":{DATA}}}"#)
    );

    // A link of one installation opens nothing in another, and no changed link opens anything.
    let other = Server::start().await;
    let changed = path[..path.len() - 1].to_owned() + if path.ends_with('0') { "1" } else { "0" };
    for (server, path) in [(&other, path), (&server, changed.as_str()), (&server, "/v1/links/1-2-3")] {
        let refused = server.send("GET", path, &[], "").await;
        assert_eq!((refused.status, refused.problem()), (404, "not_found"), "{path}");
    }
    server.call("DELETE", "/v1/webhooks/crm", "").await;
    assert_eq!(server.send("GET", path, &[], "").await.status, 404, "its webhook is gone");
}

#[tokio::test]
async fn a_link_expires_after_the_latest_attempt_and_sending_again_renews_it() {
    let data = tempfile::tempdir().unwrap();
    let (server, endpoint) = (
        Server::start_on(data, |options| options.link_life = std::time::Duration::ZERO).await,
        Endpoint::start().await,
    );
    register(&server, &endpoint, json!({"format": "thin"})).await;
    send(&server, "o-1").await;
    delivered(&server, "o-1").await;
    let first = endpoint.wait_for(1).await[0].1.clone();
    let thin: Value = serde_json::from_slice(&first).unwrap();
    let path = thin["url"].as_str().unwrap().strip_prefix(&server.url).unwrap().to_owned();
    let refused = server.send("GET", &path, &[], "").await;
    assert_eq!((refused.status, refused.problem()), (410, "link_expired"));
    // The same store with time left: the same link is good, and stays the same when the event is sent again.
    let address = server.url.clone();
    let data = server.end().await;
    let server = Server::start_on(data, |options| options.public_url = Some(address)).await;
    assert_eq!(server.send("GET", &path, &[], "").await.status, 200);
    server.call("POST", "/v1/events/o-1/resend", "{}").await;
    assert_eq!(endpoint.wait_for(2).await[1].1, first);
}

#[tokio::test]
async fn every_attempt_is_in_the_format_that_the_event_was_accepted_with() {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    register(&server, &endpoint, json!({"format": "cloudevents"})).await;
    endpoint.answer(500);
    send(&server, "o-1").await;
    endpoint.wait_for(2).await;
    let changed = server.call("PATCH", "/v1/webhooks/crm", r#"{"format":"raw"}"#).await;
    assert_eq!((changed.status, &changed.json["format"]), (200, &json!("raw")));
    let seen = endpoint.count();
    endpoint.wait_for(seen + 2).await;
    let address = server.url.clone();
    let server = Server::start_on(server.end().await, |options| options.public_url = Some(address)).await;
    let seen = endpoint.count();
    endpoint.wait_for(seen + 1).await;
    endpoint.answer(200);
    let old = delivered(&server, "o-1").await;
    assert_eq!(old["format"], "cloudevents");
    send(&server, "o-2").await;
    assert_eq!(delivered(&server, "o-2").await["format"], "raw");
    let got = endpoint.wait_for(6).await;
    let (last, older) = got.split_last().unwrap();
    assert_eq!(text(&last.1), DATA);
    assert!(
        older
            .iter()
            .all(|(headers, body)| *body == got[0].1 && headers["content-type"] == got[0].0["content-type"])
    );
}

#[tokio::test]
async fn a_script_makes_the_data_and_the_format_what_is_around_it() {
    let script = "(e, c) => { c.setHeader('X-Kind', e.event); return { total: e.data.z, big: e.data.a } }";
    let made = r#"{"total":1.5,"big":12345678901234567890}"#;
    for (format, expected) in [
        ("vai", made.to_owned()),
        ("raw", made.to_owned()),
        ("cloudevents-binary", made.to_owned()),
        ("standard", format!(r#"{{"type":"order.paid","timestamp":"{AT}","data":{made}}}"#)),
        (
            "cloudevents",
            format!(
                r#"{{"specversion":"1.0","id":"o-1","source":"urn:vai-webhooks:default","type":"order.paid","time":"{AT}","datacontenttype":"application/json","data":{made}}}"#
            ),
        ),
    ] {
        let (server, headers, body) = one(json!({"format": format, "dataTransform": script})).await;
        assert_eq!(text(&body), expected, "{format}");
        assert_eq!(headers["x-kind"], "order.paid");
        assert_eq!(delivered(&server, "o-1").await["transformVersion"], 1);
    }
}

#[tokio::test]
async fn a_format_that_cannot_be_had_is_refused_and_changes_nothing() {
    let (server, endpoint) = (Server::start().await, Endpoint::start().await);
    let refused = register(&server, &endpoint, json!({"format": "xml"})).await;
    assert_eq!((refused.status, refused.fields()), (400, vec![("/format", "unknown_value")]));
    assert!(
        refused.text.contains("vai, standard, cloudevents, cloudevents-binary, raw, thin"),
        "{}",
        refused.text
    );
    let refused = register(&server, &endpoint, json!({"format": "thin", "dataTransform": "e => 1"})).await;
    assert_eq!((refused.status, refused.fields()), (400, vec![("/format", "conflicts")]));
    register(&server, &endpoint, json!({"format": "thin"})).await;
    let before = server.everything().await;
    for bad in [json!({"format": 7}), json!({"format": "XML"}), json!({"dataTransform": "e => 1"})] {
        let refused = server.call("PATCH", "/v1/webhooks/crm", bad.to_string()).await;
        assert_eq!((refused.status, refused.fields()[0].0), (400, "/format"), "{}", refused.text);
    }
    assert_eq!(server.everything().await, before);
    let nowhere = Server::start_on(tempfile::tempdir().unwrap(), |options| options.public_url = None).await;
    let refused = register(&nowhere, &endpoint, json!({"format": "thin"})).await;
    assert_eq!((refused.status, refused.fields()), (400, vec![("/format", "no_public_url")]));
}

#[tokio::test]
async fn a_test_is_in_the_webhooks_format_too() {
    for (format, begins) in
        [("cloudevents", r#"{"specversion":"1.0","#), ("raw", r#"{"test":true,"#), ("thin", r#"{"id":"#)]
    {
        let (server, endpoint) = (Server::start().await, Endpoint::start().await);
        let made = register(&server, &endpoint, json!({"format": format, "verify": true})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        server.call("POST", "/v1/webhooks/crm/test", "").await;
        let got = endpoint.wait_for(2).await;
        assert!(got.iter().all(|(_, body)| text(body).starts_with(begins)), "{got:?}");
        if format == "thin" {
            assert!(text(&got[1].1).contains(r#""data":{"test":true"#), "there is nothing yet to link to");
        }
    }
}
