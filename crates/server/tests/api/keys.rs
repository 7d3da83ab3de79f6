//! API keys: shown once, hashed, revoked and expired at once.

use serde_json::json;
use vai_webhooks_wire::UnixMs;

use crate::server::{PATIENCE, Server};

#[tokio::test]
async fn a_key_is_shown_once_and_ends_when_it_is_revoked() {
    let server = Server::start().await;
    let made = server.call("POST", "/v1/keys", r#"{"name":"for acme","tenant":"acme"}"#).await;
    assert_eq!((made.status, &made.json["tenant"]), (201, &json!("acme")));
    let (key, id) = (made.json["key"].as_str().unwrap(), made.json["id"].as_str().unwrap());
    assert_eq!(server.with_key(key, "GET", "/v1/events", "").await.status, 200);
    let listed = server.call("GET", "/v1/keys", "").await;
    assert!(listed.text.contains(id) && !listed.text.contains(key), "{}", listed.text);
    assert_eq!(server.call("DELETE", &format!("/v1/keys/{id}"), "").await.status, 204);
    let answer = server.with_key(key, "GET", "/v1/events", "").await;
    assert_eq!((answer.status, answer.problem()), (401, "unknown_key"));
    assert_eq!(server.call("DELETE", &format!("/v1/keys/{id}"), "").await.status, 404);
}

#[tokio::test]
async fn an_expired_key_is_refused() {
    let server = Server::start().await;
    let mut soon_ms = 300;
    let made = loop {
        let soon = UnixMs::now().saturating_add(soon_ms).to_string();
        let made = server.call("POST", "/v1/keys", json!({"expiresAt": soon}).to_string()).await;
        if made.status == 201 {
            break made;
        }
        // The call itself took longer.
        assert_eq!(made.fields(), [("/expiresAt", "out_of_range")], "{}", made.text);
        soon_ms *= 2;
    };
    let key = made.json["key"].as_str().unwrap();
    // Until it is: then with the same answer as a key that never was.
    let expired = async {
        loop {
            let answer = server.with_key(key, "GET", "/v1/events", "").await;
            if answer.status != 200 {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, expired).await.unwrap();
    assert_eq!((answer.status, answer.problem()), (401, "unknown_key"));
    let past = server.call("POST", "/v1/keys", r#"{"expiresAt":"2020-01-01T00:00:00Z"}"#).await;
    assert_eq!((past.status, past.fields()), (400, vec![("/expiresAt", "out_of_range")]));
}

#[tokio::test]
async fn a_tenants_key_manages_no_keys_and_acts_for_no_other_tenant() {
    let server = Server::start().await;
    let key = server.tenant_key("acme").await;
    for (method, path) in [("POST", "/v1/keys"), ("GET", "/v1/keys"), ("DELETE", "/v1/keys/environment")] {
        let answer = server.with_key(&key, method, path, "").await;
        assert_eq!((answer.status, answer.problem()), (403, "admin_only"), "{method} {path}");
    }
    let bearer = format!("Bearer {key}");
    let other = [("authorization", bearer.as_str()), ("x-vai-tenant", "globex")];
    let answer = server.send("GET", "/v1/events", &other, "").await;
    assert_eq!((answer.status, answer.problem()), (403, "wrong_tenant"));
    let own = [("authorization", bearer.as_str()), ("x-vai-tenant", "acme")];
    assert_eq!(server.send("GET", "/v1/events", &own, "").await.status, 200);
}

#[tokio::test]
async fn a_call_that_shows_a_key_cannot_be_repeated() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", crate::server::ADMIN);
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
    let answer = server.send("POST", "/v1/keys", &headers, "{}").await;
    assert_eq!((answer.status, answer.fields()), (400, vec![("", "no_idempotency")]));
}
