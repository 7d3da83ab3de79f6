//! `event-types` against the real API.

use super::server::Server;

const SCHEMA: &str =
    r#"{"type": "object", "required": ["orderId"], "properties": {"orderId": {"type": "string"}}}"#;

#[tokio::test]
async fn an_event_type_is_set_listed_shown_and_held_to() {
    let server = Server::start().await;
    let set = ["event-types", "set", "order.paid", SCHEMA, "--description", "An order was paid."];
    let out = server.good(&[&set[..], &["--example", r#"{"orderId": "o-1"}"#]].concat()).await;
    assert_eq!(out, "put order.paid  version 1\n");
    let list = server.good(&["event-types", "list"]).await;
    assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
    for part in ["message.received", "order.paid", "version 1", "An order was paid."] {
        assert!(list.contains(part), "{part}: {list}");
    }
    assert!(server.good(&["event-types", "mode"]).await.starts_with("off "));
    assert!(server.good(&["event-types", "mode", "warn"]).await.starts_with("warn "));
    let warned = server.good(&["event", "send", "order.paid", "{}"]).await;
    assert!(warned.starts_with("accepted ") && warned.contains("/data/orderId: is missing"), "{warned}");
    let shown = server.good(&["event-types", "show", "order.paid"]).await;
    for part in
        ["An order was paid.", "1 since the start", "/data/orderId: is missing", "\"orderId\": \"o-1\""]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    server.good(&["event-types", "mode", "enforce"]).await;
    let refused = server.refused(&["event", "send", "order.paid", "{}"]).await;
    assert!(
        refused.starts_with("the data is not as the schema of its type has it (schema_violation)"),
        "{refused}"
    );
    assert!(refused.contains("\n  /data/orderId: is missing"), "{refused}");
}

#[tokio::test]
async fn a_breaking_change_is_told_with_the_way_to_force_it() {
    let server = Server::start().await;
    let set = ["event-types", "set", "order.paid"];
    server.good(&[&set[..], &[SCHEMA, "--description", "Paid."]].concat()).await;
    let refused = server.refused(&[&set[..], &[r#"{"type": "object"}"#]].concat()).await;
    assert!(
        refused.starts_with("it breaks consumers of the schema before it (breaking_change)\n"),
        "{refused}"
    );
    assert!(
        refused.contains("\n  /schema/properties/orderId: ")
            && refused.ends_with("--force puts it all the same")
    );
    let forced = server.good(&[&set[..], &[r#"{"type": "object"}"#, "--force"]].concat()).await;
    assert_eq!(forced, "put order.paid  version 2\n");
    let shown = server.good(&["event-types", "show", "order.paid"]).await;
    assert!(shown.contains("Paid.") && shown.contains("forced: breaks 1 of the one before"), "{shown}");
    let first = server.good(&["event-types", "show", "order.paid", "--version", "1"]).await;
    assert!(first.contains("\"orderId\""), "{first}");
    assert_eq!(server.refused(&["event-types", "show", "order.none"]).await, "there is no such event type");
}

#[tokio::test]
async fn the_catalog_is_printed_as_documents() {
    let server = Server::start().await;
    let openapi: serde_json::Value =
        serde_json::from_str(&server.good(&["event-types", "openapi"]).await).unwrap();
    assert!(openapi["webhooks"]["message.received"].is_object());
    let asyncapi: serde_json::Value =
        serde_json::from_str(&server.good(&["event-types", "asyncapi"]).await).unwrap();
    assert!(asyncapi["components"]["messages"]["message.received"].is_object());
}
