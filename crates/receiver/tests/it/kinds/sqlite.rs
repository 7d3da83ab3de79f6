//! What the kind `sqlite` promises: rows once, tables by type, conversations and messages joined by session.

use rusqlite::Connection;
use tempfile::tempdir;
use vai_webhooks_receiver::sink::{Settings, open};

use super::{refused, sink, stored};

#[tokio::test]
async fn events_lie_in_tables_and_make_a_conversation_once_however_often_they_come() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("vai.db");
    let mut sink = sink("sqlite", &format!("path = {path:?}"));
    assert!(sink.check().await.unwrap().contains("will be made"));
    let batch = [
        stored(
            1,
            "message.received",
            r#"{"sessionId":"s-1","userId":"u-1","message":{"text":"hello"},"intent":"greet"}"#,
        ),
        stored(
            2,
            "conversation.started",
            r#"{"sessionId":"s-1","agentId":"a-1","userId":"u-1","platform":"web"}"#,
        ),
        stored(
            3,
            "message.sent",
            r#"{"sessionId":"s-1","agentId":"a-1","response":{"text":"hi"},"confidence":0.5}"#,
        ),
        stored(
            4,
            "conversation.ended",
            r#"{"sessionId":"s-1","duration":12,"satisfaction":0.9,"resolved":true}"#,
        ),
        stored(5, "order.made", r#"{"userId":"u-1","total":1.50}"#),
    ];
    for _ in 0..2 {
        sink.put(&batch).await.unwrap();
    }
    assert!(sink.check().await.unwrap().contains("is there"));
    let file = Connection::open(&path).unwrap();
    let conversation: (String, i64, i64, f64, f64, bool) = file
        .query_row(
            "SELECT agent_id, messages_received, messages_sent, mean_confidence, satisfaction, resolved
             FROM conversations WHERE session_id = 's-1'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)),
        )
        .unwrap();
    assert_eq!(conversation, ("a-1".to_owned(), 1, 1, 0.5, 0.9, true));
    let one = |sql: &str| file.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(
        one("SELECT group_concat(text, '+') FROM (SELECT text FROM messages ORDER BY occurred_at)"),
        "hello+hi"
    );
    assert_eq!(one("SELECT user_id || messages || conversations FROM user_activity"), "u-111");
    assert_eq!(one("SELECT data FROM other_events"), r#"{"userId":"u-1","total":1.50}"#, "as it was spelled");
}

#[tokio::test]
async fn a_body_that_somebody_broke_is_refused_and_those_before_it_are_kept() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("vai.db");
    let mut sink = sink("sqlite", &format!("path = {path:?}"));
    let batch = [stored(1, "a.b", "1"), stored(2, "a.b", "{"), stored(3, "a.b", "3")];
    assert_eq!(refused(sink.put(&batch).await), 1);
    let count = || -> i64 {
        Connection::open(&path)
            .unwrap()
            .query_row("SELECT count(*) FROM other_events", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(count(), 1);
    sink.put(&batch[2..]).await.unwrap();
    assert_eq!(count(), 2);
}

#[test]
fn the_receivers_own_database_is_no_sink() {
    let table = toml::from_str("path = \"data/receiver.db\"").unwrap();
    let settings = Settings::new("a", std::path::Path::new("data"), table);
    assert!(open("sqlite", settings).err().unwrap().to_string().contains("own database"));
}
