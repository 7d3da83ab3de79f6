//! What the kind `clickhouse` promises, against ClickHouse's rules.

use axum::http::StatusCode;
use vai_webhooks_receiver::sink::Sink;

use super::{again, refused, sink, stored, texts, try_open};
use crate::vendor::Vendor;
use crate::vendor::clickhouse::{ClickHouse, start};

const TABLE: &str = "`analytics`.`vai_events`";

fn clickhouse(vendor: &Vendor<ClickHouse>) -> Box<dyn Sink> {
    let url = format!("url = \"http://{}\"", vendor.address);
    sink("clickhouse", &format!("{url}\ndatabase = \"analytics\"\nuser = \"vai\"\npassword = \"hunter2\""))
}

#[tokio::test]
async fn a_batch_is_one_insert_into_a_table_that_is_made_where_it_is_missing() {
    let vendor = start().await;
    let mut sink = clickhouse(&vendor);
    assert!(sink.check().await.unwrap().contains("the first event makes"));
    let data = r#"{"sessionId":"s-1","agentId":7,"userId":null,"x": 1.50}"#;
    sink.put(&[stored(1, "message.sent", data), stored(2, "a.b", "7")]).await.unwrap();
    assert!(sink.check().await.unwrap().contains("has the table"));
    let table = vendor.state().tables[TABLE].clone();
    let expected = serde_json::json!({
        "id": "evt_1", "event": "message.sent", "timestamp": "2026-01-01 00:00:00.001",
        "received_at": "2026-01-01 00:01:40.000", "webhook_id": "wh_1", "session_id": "s-1", "agent_id": "7",
        "user_id": "", "data": data,
    });
    assert_eq!(table.rows[0], expected);
    assert_eq!(table.rows[1]["data"], "7");
}

#[tokio::test]
async fn a_batch_that_comes_again_counts_once_however_it_is_cut() {
    let vendor = start().await;
    let mut sink = clickhouse(&vendor);
    let batch = texts(&["a", "b", "c", "d"]);
    vendor.state().break_after = 1;
    again(sink.put(&batch).await);
    sink.put(&batch).await.unwrap();
    let rows = |vendor: &Vendor<ClickHouse>| vendor.state().tables[TABLE].clone();
    // The token: not even written twice.
    assert_eq!(rows(&vendor).rows.len(), 4);
    sink.put(&batch[..2]).await.unwrap();
    // Cut another way, the table itself makes one of two.
    assert_eq!((rows(&vendor).rows.len(), rows(&vendor).ids().len()), (6, 4));
}

#[tokio::test]
async fn a_server_that_is_down_or_lets_nobody_in_loses_no_event() {
    let vendor = start().await;
    let mut sink = clickhouse(&vendor);
    let batch = texts(&["a"]);
    vendor.state().mood.down = Some(StatusCode::SERVICE_UNAVAILABLE);
    again(sink.put(&batch).await);
    vendor.state().mood.down = None;
    vendor.state().no_ddl = true;
    assert!(again(sink.put(&batch).await).contains("497"));
    vendor.state().no_ddl = false;
    sink.put(&batch).await.unwrap();
    // Somebody dropped the table: it is made again.
    vendor.state().tables.clear();
    again(sink.put(&texts(&["b"])).await);
    sink.put(&texts(&["b", "c"])).await.unwrap();
    assert_eq!(vendor.state().tables[TABLE].rows.len(), 2);
    let url = format!("url = \"http://{}\"\nuser = \"vai\"\npassword = \"wrong\"", vendor.address);
    let mut stranger = super::sink("clickhouse", &url);
    let detail = again(stranger.put(&batch).await);
    assert!(detail.contains("516") && !detail.contains("wrong"), "{detail}");
    again(stranger.check().await.map(drop));
}

#[tokio::test]
async fn a_table_that_is_there_is_used_without_the_right_to_make_one() {
    let vendor = start().await;
    clickhouse(&vendor).put(&texts(&["a"])).await.unwrap();
    vendor.state().no_ddl = true;
    clickhouse(&vendor).put(&texts(&["a", "b"])).await.unwrap();
    assert_eq!(vendor.state().tables[TABLE].ids().len(), 2);
}

#[tokio::test]
async fn an_event_that_clickhouse_will_not_have_is_refused_alone() {
    let vendor = start().await;
    vendor.state().mood.poison = Some("poison");
    let mut sink = clickhouse(&vendor);
    let batch = texts(&["a", "b", "poison", "c"]);
    assert_eq!(refused(sink.put(&batch).await), 2);
    sink.put(&batch[3..]).await.unwrap();
    assert_eq!(vendor.state().tables[TABLE].ids(), ["evt_1", "evt_2", "evt_4"]);
}

#[test]
fn settings_that_cannot_work_are_refused_without_showing_the_secret() {
    for (members, told) in [
        ("url = \"http://u:hunter2@localhost:8123\"", "url"),
        ("url = \"http://localhost:8123\"\ntable = \"a; DROP TABLE b\"", "table"),
        ("url = \"http://localhost:8123\"\npassword = \"hunter2\\n\"", "password"),
        ("url = \"https://localhost:8123\"\nca_file = \"/no/such/file\"", "ca_file"),
    ] {
        let error = try_open("clickhouse", members).err().unwrap();
        assert!(error.contains(told) && !error.contains("hunter2"), "{members}: {error}");
    }
}
