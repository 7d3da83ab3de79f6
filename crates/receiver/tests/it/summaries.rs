//! Summaries: what is answered and what stands in the tables, whatever the order in which events came.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;
use vai_webhooks_receiver::Receiver;

use crate::client::{call, get, post, status};
use crate::request::{Post, key, secret};
use crate::running::{PATIENCE, serve_plain};

async fn open(directory: &Path) -> (Receiver, SocketAddr) {
    let receiver = Receiver::builder()
        .secret(secret())
        .key(key())
        .summaries_and_rules([])
        .open(directory)
        .await
        .unwrap();
    let address = serve_plain(receiver.router()).await;
    (receiver, address)
}

/// Waits until all that is stored is in the summaries.
pub async fn until_done(address: SocketAddr) {
    while status(address).await["derived"]["waiting"] != 0 {
        tokio::task::yield_now().await;
    }
}

/// One conversation of each of two sessions, over two hours.
fn events() -> Vec<String> {
    let event = |number: u32, time: &str, event_type: &str, data: Value| {
        let time = format!("2026-08-01T{time}.000Z");
        json!({"id": format!("evt_{number}"), "event": event_type, "timestamp": time, "data": data})
            .to_string()
    };
    let (one, two) = ("s-1", "s-2");
    vec![
        event(
            0,
            "10:50:00",
            "conversation.started",
            json!({"sessionId": one, "agentId": "a-1", "platform": "web"}),
        ),
        event(
            1,
            "10:50:10",
            "message.received",
            json!({"sessionId": one, "userId": "u-1", "intent": "return"}),
        ),
        event(
            2,
            "10:50:12",
            "message.sent",
            json!({"sessionId": one, "agentId": "a-1", "confidence": 0.9, "processingTime": 120}),
        ),
        event(
            3,
            "11:05:00",
            "message.received",
            json!({"sessionId": one, "userId": "u-1", "intent": "thanks"}),
        ),
        event(
            4,
            "11:05:02",
            "message.sent",
            json!({"sessionId": one, "agentId": "a-1", "confidence": 0.6, "processingTime": 80}),
        ),
        event(
            5,
            "11:06:00",
            "conversation.ended",
            json!({"sessionId": one, "satisfaction": 0.75, "resolved": true, "messageCount": 4}),
        ),
        event(6, "11:10:00", "conversation.started", json!({"sessionId": two, "agentId": "a-1"})),
        event(
            7,
            "11:11:00",
            "message.received",
            json!({"sessionId": two, "userId": "u-2", "intent": "return"}),
        ),
        event(8, "11:12:00", "message.sent", json!({"sessionId": two, "agentId": "a-2", "confidence": 0.3})),
        event(
            9,
            "11:13:00",
            "conversation.ended",
            json!({"sessionId": two, "duration": 200, "resolved": false}),
        ),
        event(10, "11:13:30", "conversation.ended", json!({"sessionId": two, "satisfaction": 0.25})),
        event(11, "11:14:00", "agent.metrics", json!({"agentId": "a-1", "metrics": {}})),
    ]
}

#[tokio::test]
async fn a_conversation_and_an_agents_hours_are_answered() {
    let directory = tempdir().unwrap();
    let (receiver, address) = open(directory.path()).await;
    for body in events() {
        assert_eq!(post(address, &Post::signed(&body)).await.status, 200);
    }
    until_done(address).await;
    let conversation = get(address, "/conversations/s-1").await;
    assert_eq!(conversation.status, 200);
    assert_eq!(
        conversation.json(),
        json!({
            "sessionId": "s-1", "agentId": "a-1", "userId": "u-1", "platform": "web",
            "startedAt": "2026-08-01T10:50:00.000Z", "firstEventAt": "2026-08-01T10:50:00.000Z",
            "lastEventAt": "2026-08-01T11:06:00.000Z", "ended": true, "endedAt": "2026-08-01T11:06:00.000Z",
            "durationMs": 960_000, "messages": {"received": 2, "sent": 2, "reported": 4},
            "intents": {"return": 1, "thanks": 1}, "confidence": {"mean": 0.75, "count": 2},
            "processingTimeMs": {"mean": 100.0, "count": 2}, "satisfaction": 0.75, "resolved": true
        })
    );
    let metrics = get(address, "/agents/a-1/metrics?from=2026-08-01T10:00:00Z&to=2026-08-01T12:00:00Z").await;
    let metrics = metrics.json();
    // The second conversation went over to the other agent, and its user's message with it.
    assert_eq!(
        metrics["totals"]["conversations"],
        json!({"started": 2, "ended": 1, "resolved": 1, "unresolved": 0})
    );
    assert_eq!(metrics["totals"]["messages"], json!({"received": 2, "sent": 2}));
    assert_eq!(metrics["hours"][0]["hour"], "2026-08-01T10:00:00.000Z");
    assert_eq!(metrics["hours"][1]["confidence"], json!({"mean": 0.6, "count": 1}));
    assert_eq!(metrics["hours"].as_array().unwrap().len(), 2);
    let other =
        get(address, "/agents/a-2/metrics?from=2026-08-01T00:00:00Z&to=2026-08-02T00:00:00Z").await.json();
    assert_eq!(
        other["totals"]["conversations"],
        json!({"started": 0, "ended": 1, "resolved": 0, "unresolved": 1})
    );
    assert_eq!(other["totals"]["messages"], json!({"received": 1, "sent": 1}));
    assert_eq!(other["totals"]["satisfaction"], json!({"mean": 0.25, "count": 1}));
    assert!(receiver.close(PATIENCE).await);
    assert_eq!(
        view(directory.path()),
        ["a-1 10 1 0 0 0 1 1 0.9 120 -", "a-1 11 1 1 1 0 1 1 0.6 80 0.75", "a-2 11 0 1 0 1 1 1 0.3 - 0.25",]
    );
}

/// The view for other tools, an hour a line.
fn view(directory: &Path) -> Vec<String> {
    let file = rusqlite::Connection::open(directory.join("derived.db")).unwrap();
    let mut query = file
        .prepare(
            "SELECT agent_id, (hour_ms / 3600000) % 24, conversations_started, conversations_ended, resolved,
                unresolved, messages_received, messages_sent, confidence_mean, processing_ms_mean, satisfaction_mean
             FROM agent_hours ORDER BY agent_id, hour_ms",
        )
        .unwrap();
    let rows = query.query_map([], |row| {
        let mut line: String = row.get(0)?;
        for at in 1..11 {
            let number: Option<f64> = row.get(at)?;
            line += &number.map_or(" -".to_owned(), |number| format!(" {number}"));
        }
        Ok(line)
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn what_is_not_there_or_not_a_time_is_said() {
    let directory = tempdir().unwrap();
    let (receiver, address) = open(directory.path()).await;
    assert_eq!(get(address, "/conversations/nobody").await.status, 404);
    for path in ["/conversations/s-1", "/agents/a-1/metrics"] {
        assert_eq!(call(address, "GET", path, None, "").await.status, 401, "{path} without the key");
    }
    let none = get(address, "/agents/nobody/metrics").await;
    assert_eq!((none.status, none.json()["hours"].clone()), (200, json!([])));
    for query in [
        "from=yesterday",
        "since=1",
        "from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
    ] {
        let answer = get(address, &format!("/agents/a/metrics?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    assert!(receiver.close(PATIENCE).await);
}

#[tokio::test]
async fn a_receiver_that_keeps_no_summaries_has_no_calls_for_them() {
    let directory = tempdir().unwrap();
    let builder = Receiver::builder().secret(secret()).key(key());
    let receiver = builder.open(directory.path()).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    assert_eq!(get(address, "/agents/a-1/metrics").await.status, 404);
    assert!(receiver.close(PATIENCE).await);
}

/// All rows of both tables.
fn tables(directory: &Path) -> Vec<Vec<String>> {
    let file = rusqlite::Connection::open(directory.join("derived.db")).unwrap();
    let mut all = Vec::new();
    for table in ["conversations", "conversation_hours"] {
        let mut query = file.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3")).unwrap();
        let columns = query.column_count();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            all.push((0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect());
        }
    }
    all
}

#[tokio::test]
async fn events_out_of_order_late_and_twice_end_in_the_same_tables() {
    let mut found: Option<Vec<Vec<String>>> = None;
    let in_order = events();
    let backwards: Vec<String> = in_order.iter().rev().cloned().collect();
    // Every third one first, then the rest, and all of it again.
    let mixed: Vec<String> = (0..3).flat_map(|at| in_order.iter().skip(at).step_by(3)).cloned().collect();
    for order in [in_order.clone(), backwards, [mixed.clone(), mixed].concat()] {
        let directory = tempdir().unwrap();
        // With a restart in the middle, and each event by itself, so that none shares a batch by chance.
        for half in order.chunks(order.len().div_ceil(2)) {
            let (receiver, address) = open(directory.path()).await;
            for body in half {
                assert_eq!(post(address, &Post::signed(body)).await.status, 200);
                until_done(address).await;
            }
            assert!(receiver.close(PATIENCE).await);
        }
        let tables = tables(directory.path());
        assert_eq!(tables.len(), 2 + 7, "{tables:#?}");
        assert_eq!(*found.get_or_insert(tables.clone()), tables);
    }
}
