//! Commands against the real API.

use std::process::ExitCode;

use tokio::net::TcpListener;

use super::server::{Ran, Server, run};

/// No line of a table or a description is wider than a terminal.
fn fits(out: &str) {
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

#[tokio::test]
async fn a_webhook_is_added_listed_shown_tested_and_removed() {
    let server = Server::start().await;
    let add =
        ["webhook", "add", &server.endpoint, "--event", "message.*", "--event", "order.paid", "--id", "crm"];
    let more = [
        "--header",
        "X-Region: eu",
        "--max-attempts",
        "5",
        "--backoff-ms",
        "500",
        "--description",
        "the CRM",
    ];
    let added = server.good(&[&add[..], &more].concat()).await;
    assert!(added.starts_with("added crm\n") && added.contains("whsec_"), "{added}");

    let list = server.good(&["webhook", "list"]).await;
    assert!(
        list.contains("crm") && list.contains("active") && list.contains("message.*, order.paid"),
        "{list}"
    );
    fits(&list);

    let shown = server.good(&["webhook", "show", "crm"]).await;
    for part in ["X-Region: eu", "5 attempts, 500 ms", "the CRM", "1 delivered, 0 failed, 0 waiting"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("whsec_"), "the secret is shown once: {shown}");

    let tested = server.good(&["webhook", "test", "crm"]).await;
    assert!(tested.starts_with("delivered: 200 in ") && tested.contains("said the [2J endpoint"), "{tested}");
    assert_eq!(server.good(&["webhook", "rm", "crm", "--yes"]).await, "removed crm\n");
    assert_eq!(server.refused(&["webhook", "show", "crm"]).await, "there is no such webhook");
    assert!(server.good(&["webhook", "list"]).await.starts_with("there is no webhook here"));
}

#[tokio::test]
async fn a_test_that_is_not_delivered_exits_1() {
    let server = Server::start().await;
    server.good(&["webhook", "add", &server.endpoint, "--event", "*", "--id", "crm"]).await;
    server.answer(500);
    let Ran { result, out } = server.run(&["webhook", "test", "crm"]).await;
    assert_eq!(result.unwrap(), ExitCode::FAILURE);
    assert!(out.starts_with("not delivered: 500 in "), "{out}");
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_refused_with_the_way_out() {
    let server = Server::start().await;
    server.answer(404);
    let add = ["webhook", "add", &server.endpoint, "--event", "*", "--id", "crm"];
    let said = server.refused(&add).await;
    assert!(said.contains("404") && said.contains("it answered: said the [2J endpoint"), "{said}");
    assert!(said.contains("hint: --no-verify"), "{said}");
    server.good(&[&add[..], &["--no-verify"]].concat()).await;
}

#[tokio::test]
async fn each_field_that_is_refused_has_its_line() {
    let server = Server::start().await;
    let add =
        ["webhook", "add", "ftp://example.com", "--event", "no name", "--max-attempts", "0", "--no-verify"];
    let said = server.refused(&add).await;
    for pointer in ["\n  /url: ", "\n  /events/0: ", "\n  /retryConfig/maxAttempts: "] {
        assert!(said.contains(pointer), "{pointer:?}: {said}");
    }
}

#[tokio::test]
async fn an_event_is_sent_and_its_fate_shown_with_its_attempts() {
    let server = Server::start().await;
    server.good(&["webhook", "add", &server.endpoint, "--event", "order.*", "--id", "crm"]).await;
    let send = ["event", "send", "order.paid", r#"{"n": 1.50}"#, "--id", "order-1", "--wait=60s"];
    let sent = server.good(&send).await;
    assert!(sent.starts_with("accepted order-1\nat crm: delivered\n    1  "), "{sent}");
    assert!(server.good(&send).await.starts_with("accepted before order-1  nothing was sent again\n"));

    let shown = server.good(&["event", "show", "order-1"]).await;
    assert!(shown.starts_with("order-1  order.paid\n") && shown.contains(r#""n": 1.50"#), "{shown}");
    assert!(shown.contains("at crm: delivered\n    1  ") && shown.contains("  200 in "), "{shown}");
    fits(&shown);

    let json = server.good(&["event", "show", "order-1", "--json"]).await;
    assert!(json.contains("1.50"), "spelled as it came: {json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["deliveries"][0]["attempts"][0]["status"], 200);

    let list = server.good(&["event", "list"]).await;
    assert!(list.contains("order-1") && list.contains("1 delivered"), "{list}");
    fits(&list);
    assert!(
        server.refused(&["event", "send", "order.paid", "2", "--id", "order-1"]).await.contains("order-1")
    );
}

#[tokio::test]
async fn waiting_ends_with_1_where_a_delivery_failed() {
    let server = Server::start().await;
    server
        .good(&["webhook", "add", &server.endpoint, "--event", "*", "--id", "crm", "--max-attempts", "1"])
        .await;
    server.answer(500);
    let Ran { result, out } = server.run(&["event", "send", "a.b", "--wait=60s"]).await;
    assert_eq!(result.unwrap(), ExitCode::FAILURE, "{out}");
    assert!(out.contains("at crm: exhausted\n    1  ") && out.contains("  500 in "), "{out}");
}

#[tokio::test]
async fn an_attempt_that_found_nobody_says_so_within_80_columns() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    drop(listener);
    let add = ["webhook", "add", &url, "--event", "*", "--id", "crm", "--max-attempts", "1", "--no-verify"];
    server.good(&add).await;
    let out = server.run(&["event", "send", "a.b", "--wait=60s"]).await.out;
    assert!(out.contains(" after ") && out.contains("\n       cannot connect to 127.0.0.1:"), "{out}");
    fits(&out);
    let out = server.run(&["webhook", "test", "crm"]).await.out;
    assert!(out.contains("\n  reason       cannot connect to 127.0.0.1:"), "{out}");
}

#[tokio::test]
async fn waiting_ends_with_1_where_a_delivery_is_not_due_in_time() {
    let server = Server::start().await;
    server.good(&["webhook", "add", &server.endpoint, "--event", "*", "--id", "crm"]).await;
    let send = ["event", "send", "a.b", "--deliver-at", "+1h", "--wait=1ms"];
    let Ran { result, out } = server.run(&send).await;
    assert_eq!(result.unwrap(), ExitCode::FAILURE, "{out}");
    assert!(out.contains("at crm: pending  next attempt 20"), "{out}");
}

#[tokio::test]
async fn an_event_that_went_nowhere_says_why() {
    let server = Server::start().await;
    let sent = server.good(&["event", "send", "a.b", "--wait"]).await;
    assert!(sent.ends_with("went to no webhook: there was no webhook\n"), "{sent}");
    server.good(&["webhook", "add", &server.endpoint, "--event", "x.y", "--no-verify"]).await;
    let sent = server.good(&["event", "send", "a.b", "--wait"]).await;
    assert!(sent.ends_with("went to no webhook: no webhook subscribes to this type\n"), "{sent}");
}

#[tokio::test]
async fn an_idempotency_key_gives_the_same_event_again() {
    let server = Server::start().await;
    let send = ["event", "send", "a.b", "--idempotency-key", "k-1"];
    let first = server.json(&send).await;
    assert_eq!(server.json(&send).await["id"], first["id"]);
}

#[tokio::test]
async fn lists_go_on_where_the_last_page_ended() {
    let server = Server::start().await;
    for id in ["e-1", "e-2", "e-3"] {
        server.good(&["event", "send", "a.b", "--id", id]).await;
    }
    let first = server.good(&["event", "list", "--limit", "2"]).await;
    assert!(first.contains("e-3") && first.contains("e-2") && !first.contains("e-1"), "{first}");
    let next = first.lines().last().unwrap().strip_prefix("more: ").unwrap();
    let rest = server.good(&[&["event", "list"], &next.split(' ').collect::<Vec<_>>()[..]].concat()).await;
    assert!(rest.contains("e-1") && !rest.contains("e-2") && !rest.contains("more:"), "{rest}");
}

#[tokio::test]
async fn a_key_is_made_for_its_tenant_listed_and_revoked() {
    let server = Server::start().await;
    let create = ["key", "create", "--tenant", "acme", "--name", "the shop", "--expires-in", "30d"];
    let made = server.json(&create).await;
    let (id, text) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(made["tenant"], "acme");
    assert!(made["expiresAt"].is_string());
    let made_too = server.good(&create).await;
    assert!(made_too.contains("  key          vaik_") && made_too.contains("  expires "), "{made_too}");

    let list = server.good(&["key", "list"]).await;
    assert!(list.contains(id) && list.contains("acme") && list.contains("the shop"), "{list}");
    assert!(!list.contains(text), "a key is shown once: {list}");
    fits(&list);

    let with_key = ["event", "send", "a.b", "--url", &server.url, "--key", text];
    assert_eq!(run(&with_key).await.result.unwrap(), ExitCode::SUCCESS);
    let denied = run(&["key", "list", "--url", &server.url, "--key", text]).await;
    assert_eq!(denied.result.unwrap_err().to_string(), "this call needs an admin key");

    assert_eq!(server.good(&["key", "revoke", id]).await, format!("revoked {id}\n"));
    let said = format!("{:#}", run(&with_key).await.result.unwrap_err());
    assert!(said.contains("revoked") && said.contains("hint: give a key") && !said.contains(text), "{said}");
}

#[tokio::test]
async fn a_tenant_is_acted_for_by_its_name() {
    let server = Server::start().await;
    server.good(&["event", "send", "a.b", "--id", "e-1", "--tenant", "acme"]).await;
    assert!(server.good(&["event", "list", "--tenant", "acme"]).await.contains("e-1"));
    assert!(server.good(&["event", "list"]).await.starts_with("there is no event here"));
}

#[tokio::test]
async fn where_no_server_is_the_way_to_start_one_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let said = run(&["event", "list", "--url", &url, "--key", "k"]).await.result.unwrap_err().to_string();
    assert_eq!(said, format!("no server at {url}; start one with `vai-webhooks serve`"));
}

#[tokio::test]
async fn something_else_than_the_server_is_told() {
    let server = Server::start().await;
    let said = run(&["event", "list", "--url", &server.endpoint, "--key", "k"]).await.result.unwrap_err();
    assert!(said.to_string().contains("is it a VAI Webhooks server?"), "{said}");
}

#[tokio::test]
async fn data_that_is_no_json_is_told_before_any_server_is_asked() {
    let said =
        run(&["event", "send", "a.b", "{n:1}", "--url", "http://127.0.0.1:1"]).await.result.unwrap_err();
    assert!(said.to_string().contains("the data is no good JSON"), "{said}");
}

#[tokio::test]
async fn a_transformation_is_tried_out_and_shown_before_and_after() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let script = |name: &str, code: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, code).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = script(
        "good.js",
        "(e, c) => { console.log('seen', e.data.message.text); c.setPath('/in'); return { text: e.data.message.text } }",
    );
    let out = server.good(&["transform", "try", &good, "--event", "message.received"]).await;
    for part in [
        "before\n",
        "\"event\": \"message.received\"",
        "console  seen Where is my order?\nafter\n",
        "\"text\": \"Where is my order?\"",
        "path",
        "/in",
        "took ",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let bad = script("bad.js", "function transform(event) {\n  return event.data.no.such;\n}");
    let Ran { result, out } = server.run(&["transform", "try", &bad, "--event", "a.b", "--data", "{}"]).await;
    assert_eq!(result.unwrap(), ExitCode::FAILURE);
    assert!(out.contains("failed") && out.contains("bad.js:2:"), "{out}");
    server
        .good(&["webhook", "add", &server.endpoint, "--event", "*", "--id", "crm", "--transform", &good])
        .await;
    let webhook = server.json(&["webhook", "show", "crm"]).await;
    assert!(webhook["dataTransform"]["code"].as_str().unwrap().contains("c.setPath"), "{webhook}");
    let drops = script("drops.js", "(e, c) => c.drop('not ours')");
    let out = server.good(&["transform", "try", &drops, "--event", "a.b"]).await;
    assert!(out.contains("dropped: not ours"), "{out}");
}
