//! Every vector of the contract.

use serde_json::Value;
use vai_webhooks_wire::{Scheme, Secret, SigningKey, UnixMs, Verifier, VerifyingKey, sign};

fn vectors(of: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../vectors/signatures.json")).unwrap();
    all[of].as_array().unwrap().clone()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap()
}

fn verify(verifier: Verifier, headers: &[(&str, &str)], body: &str, secs: i64) -> Scheme {
    let header = |name: &str| headers.iter().find(|(is, _)| *is == name).map(|(_, value)| value.as_bytes());
    verifier.verify(header, body.as_bytes(), UnixMs(secs * 1_000)).unwrap().scheme
}

#[test]
fn legacy_signatures_are_the_seeds() {
    for vector in vectors("legacy") {
        let secret = Secret::parse(text(&vector, "secret")).unwrap();
        let (body, expected) = (text(&vector, "body"), text(&vector, "x_vai_signature"));
        assert_eq!(sign::legacy(&secret, body.as_bytes()), expected);
        let scheme = verify(Verifier::new().secret(secret), &[("x-vai-signature", expected)], body, 0);
        assert_eq!(scheme, Scheme::Legacy);
    }
}

#[test]
fn v1_signatures_are_standard_webhooks() {
    for vector in vectors("standard_v1") {
        let shown = text(&vector, "secret");
        // One vector gives the base64 without its prefix, as the other libraries' constructors take it.
        let whole = if shown.starts_with("whsec_") { shown.to_owned() } else { format!("whsec_{shown}") };
        let secret = Secret::parse(&whole).unwrap();
        let (id, body, expected) = (text(&vector, "id"), text(&vector, "body"), text(&vector, "signature"));
        let secs = vector["timestamp"].as_i64().unwrap();
        assert_eq!(sign::v1(&secret, id, secs, body.as_bytes()), expected);
        let timestamp = secs.to_string();
        let headers =
            [("webhook-id", id), ("webhook-timestamp", timestamp.as_str()), ("webhook-signature", expected)];
        assert_eq!(verify(Verifier::new().secret(secret), &headers, body, secs), Scheme::V1);
    }
}

#[test]
fn v1a_signatures_are_standard_webhooks() {
    for vector in vectors("standard_v1a") {
        let key = SigningKey::parse(text(&vector, "signing_key")).unwrap();
        let public: VerifyingKey = text(&vector, "verifying_key").parse().unwrap();
        assert_eq!(key.verifying_key(), public);
        assert_eq!(key.expose(), text(&vector, "signing_key"));
        let (id, body, expected) = (text(&vector, "id"), text(&vector, "body"), text(&vector, "signature"));
        let secs = vector["timestamp"].as_i64().unwrap();
        assert_eq!(sign::v1a(&key, id, secs, body.as_bytes()), expected);
        let timestamp = secs.to_string();
        let headers =
            [("webhook-id", id), ("webhook-timestamp", timestamp.as_str()), ("webhook-signature", expected)];
        assert_eq!(verify(Verifier::new().verifying_key(public), &headers, body, secs), Scheme::V1a);
    }
}
