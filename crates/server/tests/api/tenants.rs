//! Nothing of one tenant is visible to another, in any call.

use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::server::Server;

#[tokio::test]
async fn no_call_shows_or_changes_what_is_anothers() {
    let server = Server::start().await;
    let endpoint = Endpoint::start().await;
    let (ours, theirs) = (server.tenant_key("ours").await, server.tenant_key("theirs").await);
    let webhook =
        json!({"id": "shared-name", "url": endpoint.url, "events": ["*"], "description": "ours alone"});
    assert_eq!(server.with_key(&ours, "POST", "/v1/webhooks", webhook.to_string()).await.status, 201);
    let event = r#"{"event":"our.secret","id":"order-1","data":{"ours":"alone"}}"#;
    assert_eq!(server.with_key(&ours, "POST", "/v1/events", event).await.status, 202);
    let made = server.with_key(&ours, "POST", "/v1/events", r#"{"event":"our.secret","data":1}"#).await;
    let made = made.json["id"].as_str().unwrap();
    endpoint.wait_for(3).await;

    // Every call of the API's own document, with our ids in it.
    let document: Value = serde_json::from_str(&vai_webhooks::api::openapi()).unwrap();
    let mut calls = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        // What a name means in two catalogs is in `catalog.rs`, what a link opens in `formats.rs`.
        let server_wide = !path.starts_with("/v1/")
            || path.starts_with("/v1/keys")
            || path.contains("{name}")
            || path.contains("{token}");
        for method in methods.as_object().unwrap().keys().filter(|_| !server_wide) {
            for id in ["shared-name", "order-1", made] {
                let one = path.contains("{id}");
                let accepts = method == "post" && !one;
                if accepts {
                    continue;
                }
                let filled = path.replace("{id}", id);
                let answer = server.with_key(&theirs, &method.to_uppercase(), &filled, "{}").await;
                calls += 1;
                if one {
                    assert_eq!((answer.status, answer.problem()), (404, "not_found"), "{method} {filled}");
                } else {
                    assert_eq!(answer.status, 200, "{method} {filled}: {}", answer.text);
                }
                for secret in ["our", "shared-name", "order-1", made, endpoint.url.as_str()] {
                    let shown = answer.text.replace("there is no such", "");
                    assert!(!shown.contains(secret), "{method} {filled} shows {secret}: {shown}");
                }
            }
        }
    }
    assert!(calls >= 3 * 17, "every call was tried: {calls}");
    let stats = server.with_key(&theirs, "GET", "/v1/stats", "").await;
    assert_eq!(stats.json["stats"]["sent"], 0);
    let webhook = server.with_key(&ours, "GET", "/v1/webhooks/shared-name", "").await;
    assert_eq!(
        (&webhook.json["status"], &webhook.json["description"]),
        (&json!("active"), &json!("ours alone"))
    );
}

#[tokio::test]
async fn ids_and_idempotency_keys_of_two_tenants_do_not_meet() {
    let server = Server::start().await;
    let (one, two) = (server.tenant_key("one").await, server.tenant_key("two").await);
    for (key, data) in [(&one, 1), (&two, 2)] {
        let event = json!({"event": "a", "id": "same", "data": data}).to_string();
        let answer = server.with_key(key, "POST", "/v1/events", event).await;
        assert_eq!((answer.status, &answer.json["duplicate"]), (202, &json!(false)));
        let webhook = json!({"id": "same", "url": "https://example.com/", "events": ["x"], "verify": false});
        assert_eq!(server.with_key(key, "POST", "/v1/webhooks", webhook.to_string()).await.status, 201);
    }
    let read = server.with_key(&two, "GET", "/v1/events/same", "").await;
    assert_eq!(read.json["data"], 2);
}

#[tokio::test]
async fn an_admin_key_acts_for_the_tenant_that_it_names() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", crate::server::ADMIN);
    let named = [("authorization", bearer.as_str()), ("x-vai-tenant", "new-one")];
    let sent = server.send("POST", "/v1/events", &named, r#"{"event":"a","data":1}"#).await;
    assert_eq!(sent.status, 202, "a tenant is made at its first use");
    assert_eq!(server.send("GET", "/v1/events", &named, "").await.json["data"].as_array().unwrap().len(), 1);
    assert_eq!(server.call("GET", "/v1/events", "").await.json["data"].as_array().unwrap().len(), 0);
}
