//! The OpenAPI document says what the server does.

use serde_json::Value;

use crate::server::Server;

#[tokio::test]
async fn every_call_in_the_document_is_served_and_asks_for_a_key_where_it_says_so() {
    let server = Server::start().await;
    let served = server.send("GET", "/openapi.json", &[], "").await;
    assert_eq!(served.headers["content-type"], "application/json");
    assert_eq!(served.text, vai_webhooks::api::openapi());
    assert_eq!(served.json["openapi"], "3.1.0");
    for (path, methods) in served.json["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            assert!(
                !call["summary"].as_str().unwrap_or_default().is_empty(),
                "{method} {path} has a summary"
            );
            let open = call["security"] == serde_json::json!([{}]);
            let filled = path.replace("{id}", "x").replace("{name}", "x").replace("{token}", "x");
            let answer = server.send(&method.to_uppercase(), &filled, &[], "").await;
            // A link is a key of its own, and this is none.
            let expected = if path.contains("{token}") { 404 } else { 200 };
            assert_eq!(answer.status, if open { expected } else { 401 }, "{method} {path}");
            let statuses = call["responses"].as_object().unwrap();
            assert!(open || statuses.contains_key("401"), "{method} {path} documents 401");
        }
    }
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let document: Value = serde_json::from_str(&vai_webhooks::api::openapi()).unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(all) => all.iter().for_each(|entry| collect(entry, references)),
        _ => {}
    }
}
