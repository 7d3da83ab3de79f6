//! The catalog's documents are good by the schemas of their specifications, and describe what is delivered.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::server::Server;

fn specification(text: &str) -> Validator {
    let schema: Value = serde_json::from_str(text).unwrap();
    jsonschema::options().offline().build(&schema).unwrap()
}

#[track_caller]
fn good(specification: &Validator, document: &Value) {
    let wrong: Vec<String> = specification
        .iter_errors(document)
        .map(|error| format!("{}: {}", error.instance_path(), error.masked()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A catalog with everything that a schema may hold: references, anchors, nothing at all.
async fn catalog(server: &Server) {
    let address = json!({"$anchor": "address", "type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}});
    let schema = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/order",
        "type": "object", "properties": {"ship": {"$ref": "#/$defs/address"}, "bill": {"$ref": "#address"},
            "parts": {"type": "array", "items": {"$ref": "#"}}}, "$defs": {"address": address}});
    for (name, body) in [
        (
            "order.paid",
            json!({"schema": schema, "description": "An order was paid.\nIt is final.",
            "examples": [{"ship": {"city": "Cluj"}, "parts": [{}]}, {}]}),
        ),
        ("anything", json!({})),
    ] {
        let answer = server.call("PUT", &format!("/v1/event-types/{name}"), body.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
}

#[tokio::test]
async fn the_openapi_document_is_good_and_describes_what_is_delivered() {
    let server = Server::start().await;
    let specification = specification(include_str!("../specifications/openapi-3.1.json"));
    let document = server.call("GET", "/v1/catalog/openapi.json", "").await.json;
    good(&specification, &document);
    assert_eq!(document["webhooks"].as_object().unwrap().len(), 6);
    catalog(&server).await;
    let document = server.call("GET", "/v1/catalog/openapi.json", "").await.json;
    good(&specification, &document);
    assert!(!specification.is_valid(&json!({"openapi": "3.1.0"})), "the specification's schema can say no");
    assert_eq!(document["webhooks"].as_object().unwrap().len(), 8);
    assert_eq!(document["webhooks"]["order.paid"]["post"]["summary"], "An order was paid.");

    // Each body that the document describes passes a delivery, and nothing else does.
    let endpoint = Endpoint::start().await;
    let webhook = json!({"url": endpoint.url, "events": ["*"], "verify": false});
    assert_eq!(server.call("POST", "/v1/webhooks", webhook.to_string()).await.status, 201);
    let order = json!({"event": "order.paid", "data": {"ship": {"city": "Cluj"}, "bill": {"city": "Iași"}}});
    assert_eq!(server.call("POST", "/v1/events", order.to_string()).await.status, 202);
    let (headers, body) = endpoint.wait_for(1).await.remove(0);
    let described = |body: &Value| {
        let mut schema = document["webhooks"]["order.paid"]["post"]["requestBody"]["content"]["application/json"]
            ["schema"].clone();
        schema["components"] = document["components"].clone();
        jsonschema::draft202012::options().offline().build(&schema).unwrap().is_valid(body)
    };
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    assert!(described(&body), "{body}");
    body["data"]["bill"] = json!({"city": 7});
    assert!(!described(&body), "the reference is followed");
    for name in document["components"]["parameters"].as_object().unwrap().keys() {
        assert!(headers.contains_key(name), "{name} is described and was not sent");
    }
    for (name, webhook) in document["webhooks"].as_object().unwrap() {
        let content = &webhook["post"]["requestBody"]["content"]["application/json"];
        let mut schema = content["schema"].clone();
        schema["components"] = document["components"].clone();
        let schema = jsonschema::draft202012::options().offline().build(&schema).unwrap();
        for example in content["examples"].as_object().into_iter().flat_map(|all| all.values()) {
            good(&schema, &example["value"]);
            assert_eq!(example["value"]["event"], *name);
        }
    }
}

#[tokio::test]
async fn the_asyncapi_document_is_good() {
    let server = Server::start().await;
    let specification = specification(include_str!("../specifications/asyncapi-3.0.0.json"));
    catalog(&server).await;
    let document = server.call("GET", "/v1/catalog/asyncapi.json", "").await.json;
    good(&specification, &document);
    assert!(!specification.is_valid(&json!({"asyncapi": "3.0.0"})), "the specification's schema can say no");
    let messages = document["components"]["messages"].as_object().unwrap();
    assert_eq!(messages.len(), 8);
    for (name, message) in messages {
        assert_eq!(
            document["channels"]["webhook"]["messages"][name]["$ref"],
            format!("#/components/messages/{name}")
        );
        let mut schema = message["payload"]["schema"].clone();
        schema["components"] = document["components"].clone();
        let schema = jsonschema::draft202012::options().offline().build(&schema).unwrap();
        for example in message["examples"].as_array().into_iter().flatten() {
            good(&schema, &example["payload"]);
        }
    }
}

#[tokio::test]
async fn a_document_is_of_one_tenant_alone() {
    let server = Server::start().await;
    catalog(&server).await;
    let theirs = server.tenant_key("theirs").await;
    for path in ["/v1/catalog/openapi.json", "/v1/catalog/asyncapi.json"] {
        let document = server.with_key(&theirs, "GET", path, "").await;
        assert!(document.status == 200 && !document.text.contains("order.paid"), "{path}");
        assert_eq!(document.json["info"]["title"], "Events of theirs");
    }
}
