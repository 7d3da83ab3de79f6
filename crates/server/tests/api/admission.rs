//! When there is too much to do, new events are refused in time, and what was accepted goes on.

use serde_json::json;

use crate::endpoint::Endpoint;
use crate::server::{Answer, PATIENCE, Server};

const EVENT: &str = r#"{"event":"order.made","data":{}}"#;
const MOST: u64 = 10;

async fn shed(server: &Server, reason: &str) -> u64 {
    let line = format!("vai_events_shed_total{{reason=\"{reason}\"}} ");
    let metrics = server.call("GET", "/metrics", "").await.text;
    metrics.lines().find_map(|it| it.strip_prefix(&line)).unwrap().parse().unwrap()
}

fn retry_after(answer: &Answer) -> u64 {
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_tenant_over_its_backlog_is_told_so_until_its_webhooks_have_taken_some_and_nobody_else_is() {
    let endpoint = Endpoint::start().await;
    let server = Server::start_on(tempfile::tempdir().unwrap(), |options| options.backlog_max = MOST).await;
    let (ours, theirs) = (server.tenant_key("ours").await, server.tenant_key("theirs").await);
    for key in [&ours, &theirs] {
        let webhook = json!({"id": "w", "url": endpoint.url, "events": ["*"], "verify": false});
        assert_eq!(server.with_key(key, "POST", "/v1/webhooks", webhook.to_string()).await.status, 201);
    }
    assert_eq!(server.with_key(&ours, "POST", "/v1/webhooks/w/pause", "").await.status, 200);
    for _ in 0..MOST {
        assert_eq!(server.with_key(&ours, "POST", "/v1/events", EVENT).await.status, 202);
    }
    let full = server.with_key(&ours, "POST", "/v1/events", EVENT).await;
    assert_eq!((full.status, full.problem()), (429, "backlog_full"), "{}", full.text);
    assert!(retry_after(&full) > 0);
    let batch = server.with_key(&ours, "POST", "/v1/events/batch", format!("[{EVENT},{EVENT}]")).await;
    assert_eq!((batch.status, batch.problem()), (429, "backlog_full"));
    assert_eq!(shed(&server, "backlog").await, 3);
    assert_eq!(server.with_key(&theirs, "POST", "/v1/events", EVENT).await.status, 202);

    // What is on disk counts after a restart too.
    let server = Server::start_on(server.end().await, |options| options.backlog_max = MOST).await;
    assert_eq!(server.with_key(&ours, "POST", "/v1/events", EVENT).await.status, 429);
    assert_eq!(server.with_key(&ours, "POST", "/v1/webhooks/w/resume", "").await.status, 200);
    endpoint.wait_for(usize::try_from(MOST).unwrap() + 1).await;
    let accepted = async { while server.with_key(&ours, "POST", "/v1/events", EVENT).await.status != 202 {} };
    tokio::time::timeout(PATIENCE, accepted).await.expect("there is room again");
}

#[tokio::test]
async fn what_a_deleted_webhook_had_pending_counts_no_more() {
    let endpoint = Endpoint::start().await;
    let server = Server::start_on(tempfile::tempdir().unwrap(), |options| options.backlog_max = MOST).await;
    let webhook = json!({"id": "w", "url": endpoint.url, "events": ["*"], "verify": false});
    assert_eq!(server.call("POST", "/v1/webhooks", webhook.to_string()).await.status, 201);
    assert_eq!(server.call("POST", "/v1/webhooks/w/pause", "").await.status, 200);
    for _ in 0..MOST {
        assert_eq!(server.call("POST", "/v1/events", EVENT).await.status, 202);
    }
    assert_eq!(server.call("POST", "/v1/events", EVENT).await.status, 429);
    assert_eq!(server.call("DELETE", "/v1/webhooks/w", "").await.status, 204);
    assert_eq!(server.call("POST", "/v1/events", EVENT).await.status, 202);
}

#[tokio::test]
async fn when_the_disk_has_only_its_reserve_nothing_new_is_taken_and_deliveries_go_on() {
    let endpoint = Endpoint::start().await;
    let server = Server::start().await;
    let webhook = json!({"id": "w", "url": endpoint.url, "events": ["*"], "verify": false});
    assert_eq!(server.call("POST", "/v1/webhooks", webhook.to_string()).await.status, 201);
    assert_eq!(server.call("POST", "/v1/webhooks/w/pause", "").await.status, 200);
    for _ in 0..MOST {
        assert_eq!(server.call("POST", "/v1/events", EVENT).await.status, 202);
    }

    // No disk has that much room.
    let server = Server::start_on(server.end().await, |options| options.disk_reserve_bytes = u64::MAX).await;
    let full = server.call("POST", "/v1/events", EVENT).await;
    assert_eq!((full.status, full.problem()), (503, "disk_reserve"), "{}", full.text);
    assert!(retry_after(&full) > 0);
    assert_eq!(shed(&server, "disk_reserve").await, 1);
    assert_eq!(server.call("POST", "/v1/webhooks/w/resume", "").await.status, 200);
    endpoint.wait_for(usize::try_from(MOST).unwrap()).await;
    let stats = server.until("/v1/webhooks/w/stats", |it| it["stats"]["pending"] == 0).await;
    assert_eq!(stats["stats"]["sent"], MOST);
    let events = server.call("GET", "/v1/events", "").await;
    assert_eq!(events.json["data"].as_array().unwrap().len(), usize::try_from(MOST).unwrap());
}
