//! What the kind `postgres` promises, against a PostgreSQL of the tests' own.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use vai_webhooks_receiver::sink::{Sink, Stored};

use super::{again, refused, sink, stored, texts, try_open};
use crate::postgresql::{PASSWORD, Server};

/// A sink that writes to this server.
fn of(server: &Server, members: &str) -> Box<dyn Sink> {
    sink("postgres", &format!("url = \"{}\"\n{members}", server.url(PASSWORD)))
}

fn conversation() -> Vec<Stored> {
    vec![
        stored(
            1,
            "conversation.started",
            r#"{"sessionId":"s-1","agentId":"a-1","userId":"u-1","platform":"web"}"#,
        ),
        stored(
            2,
            "message.received",
            r#"{"sessionId":"s-1","userId":"u-1","message":{"text":"Bună"},"intent":"greet"}"#,
        ),
        stored(
            3,
            "message.sent",
            r#"{"sessionId":"s-1","agentId":"a-1","response":{"text":"Hi"},"confidence":0.5,"processingTime":120}"#,
        ),
        stored(
            4,
            "message.sent",
            r#"{"sessionId":"s-1","agentId":"a-1","response":{"text":"Bye"},"confidence":1.0}"#,
        ),
        stored(
            5,
            "conversation.ended",
            r#"{"sessionId":"s-1","duration":9.5,"satisfaction":0.9,"resolved":true,"summary":"fine"}"#,
        ),
        stored(
            6,
            "agent.metrics",
            r#"{"agentId":"a-1","metrics":{"satisfactionScore":0.7,"totalConversations":12},"period":"1h"}"#,
        ),
        stored(7, "order.made", r#"{"n": 1.50}"#),
        stored(
            8,
            "message.received",
            r#"{"sessionId":"s-2","userId":"u-1","message":{"text":"Again","type":"voice"}}"#,
        ),
    ]
}

#[tokio::test]
async fn events_become_tables_and_views_whatever_order_they_come_in_and_how_often() {
    let server = Server::start().await;
    let mut sink = of(&server, "");
    assert!(sink.check().await.unwrap().contains("the first event makes"));
    let mut backwards = conversation();
    backwards.reverse();
    sink.put(&backwards).await.unwrap();
    sink.put(&conversation()).await.unwrap();
    of(&server, "").put(&conversation()[2..5]).await.unwrap();
    assert!(sink.check().await.unwrap().contains("with the tables"));
    for (sql, expected) in [
        ("SELECT count(*) FROM vai.message_sent", "2"),
        (
            "SELECT event_id, webhook_id, text, confidence, processing_time_ms FROM vai.message_sent WHERE confidence < 1",
            "evt_3|wh_1|Hi|0.5|120",
        ),
        ("SELECT extract(epoch FROM occurred_at) FROM vai.agent_metrics", "1767225600.006000"),
        ("SELECT satisfaction_score, total_conversations, period FROM vai.agent_metrics", "0.7|12|1h"),
        ("SELECT event, data->>'n' FROM vai.other_events", "order.made|1.50"),
        (
            "SELECT agent_id, user_id, platform, duration_s, messages_received, messages_sent, mean_confidence, satisfaction, resolved, summary FROM vai.conversations WHERE session_id = 's-1'",
            "a-1|u-1|web|9.5|1|2|0.75|0.9|t|fine",
        ),
        (
            "SELECT ended_at IS NULL, resolved, messages_received FROM vai.conversations WHERE session_id = 's-2'",
            "t|NULL|1",
        ),
        (
            "SELECT string_agg(direction || ' ' || text, ', ' ORDER BY occurred_at) FROM vai.messages WHERE session_id = 's-1'",
            "received Bună, sent Hi, sent Bye",
        ),
        (
            "SELECT user_id, conversations, messages, last_seen_at - first_seen_at FROM vai.user_activity",
            "u-1|2|2|00:00:00.007",
        ),
    ] {
        assert_eq!(server.one(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_or_lets_nobody_in_loses_no_event() {
    let mut server = Server::create();
    let mut sink = of(&server, "schema = \"other\"");
    let batch = conversation();
    let detail = again(sink.put(&batch).await);
    let place = format!("PostgreSQL {}:5432/postgres: ", server.path().display());
    assert!(detail.starts_with(&place) && !detail.contains(PASSWORD), "{detail}");
    server.run().await;
    let mut stranger = super::sink("postgres", &format!("url = \"{}\"", server.url("wrong")));
    let detail = again(stranger.put(&batch).await);
    assert!(detail.contains("28P01") && !detail.contains("wrong"), "{detail}");
    again(stranger.check().await.map(drop));
    sink.put(&batch[..3]).await.unwrap();
    // It goes away under an open connection, and comes back.
    server.stop();
    again(sink.put(&batch).await);
    server.run().await;
    sink.put(&batch).await.unwrap();
    assert_eq!(server.one("SELECT count(*) FROM other.messages").await, "4");
    // A user that may write but not make anything is enough, once the tables are there.
    let user = "CREATE ROLE writer LOGIN PASSWORD 'writer'; GRANT USAGE ON SCHEMA other TO writer; \
                GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA other TO writer";
    server.try_connect().await.unwrap().batch_execute(user).await.unwrap();
    let url = server.url(PASSWORD).replace("user=vai password=hunter2", "user=writer password=writer");
    super::sink("postgres", &format!("url = \"{url}\"\nschema = \"other\"")).put(&batch).await.unwrap();
}

#[tokio::test]
async fn an_event_that_the_database_cannot_hold_is_refused_alone() {
    let server = Server::start().await;
    let mut sink = of(&server, "");
    for poison in ["{\"text\":\"a\\u0000b\"}", "{\"n\":1e999999}", "{\"sessionId\":\"\\u0000\"}"] {
        let mut batch = texts(&["a", "b", "c", "d"]);
        batch[2] = stored(3, "a.b", poison);
        assert_eq!(refused(sink.put(&batch).await), 2, "{poison}");
        assert_eq!(
            server.one("SELECT string_agg(event_id, ',' ORDER BY event_id) FROM vai.other_events").await,
            "evt_1,evt_2"
        );
    }
    sink.put(&texts(&["a", "b", "c", "d"])[3..]).await.unwrap();
    let long = stored(9, "a.b", &format!("{{\"sessionId\":\"{}\"}}", "x".repeat(1_000_000)));
    // An index has no room for it, or has it compressed: either way nothing else is held up.
    drop(sink.put(&[long]).await);
    assert_eq!(server.one("SELECT count(*) >= 3 FROM vai.other_events").await, "t");
}

#[tokio::test]
async fn a_server_is_trusted_by_its_certificate_alone() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut server = Server::create();
    server.with_tls(&cert.pem(), &signing_key.serialize_pem());
    server.run().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), cert.pem()).unwrap();
    let url = |host: &str| {
        let port = server.port;
        format!(
            "url = \"host={host} port={port} user=vai password={PASSWORD} dbname=postgres sslmode=require\""
        )
    };
    let ca_file = format!("ca_file = {:?}", file.path());
    let batch = texts(&["a"]);
    let detail = again(sink("postgres", &url("localhost")).put(&batch).await);
    assert!(detail.contains("certificate"), "{detail}");
    again(sink("postgres", &format!("{}\n{ca_file}", url("127.0.0.1"))).put(&batch).await);
    let mut known = sink("postgres", &format!("{}\n{ca_file}", url("localhost")));
    known.put(&batch).await.unwrap();
    // The sink's connection is still there, and secret.
    assert_eq!(server.one("SELECT count(*) FROM pg_stat_ssl WHERE ssl").await, "1");
}

#[test]
fn settings_that_cannot_work_are_refused_without_showing_the_secret() {
    for (members, told) in [
        ("url = \"postgres://u:hunter2@h:port/db\"", "url"),
        ("url = \"host=h password=hunter2\"\nschema = \"a b\"", "schema"),
        ("url = \"host=h password=hunter2\"\nca_file = \"/no/such/file\"", "ca_file"),
        ("url = \"host=h password=hunter2\"\ntable = \"x\"", "table"),
    ] {
        let error = try_open("postgres", members).err().unwrap();
        assert!(error.contains(told) && !error.contains("hunter2"), "{members}: {error}");
    }
}
