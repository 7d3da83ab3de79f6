//! The whole way: from a signed request through the inbox to services, some of them down, and over a restart.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tempfile::tempdir;
use vai_webhooks_receiver::Config;

use crate::client::accepted;
use crate::request::{Post, body};
use crate::running::Running;
use crate::vendor::{clickhouse, slack};

const WAIT_MAX: Duration = Duration::from_secs(300);

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < WAIT_MAX, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_service_that_is_down_holds_up_no_other_and_gets_every_event_once_it_is_back() {
    let directory = tempdir().unwrap();
    let (clickhouse, slack) = (clickhouse::start().await, slack::start().await);
    clickhouse.state().mood.down = Some(StatusCode::BAD_GATEWAY);
    let text = format!(
        "[[sink]]\nname = \"rows\"\nkind = \"clickhouse\"\nurl = \"http://{}\"\nuser = \"vai\"\npassword = \"hunter2\"\n\
         [[sink]]\nname = \"chat\"\nkind = \"slack\"\nevents = [\"conversation.*\"]\nurl = \"http://{}{}\"\n\
         [[sink]]\nname = \"files\"\nkind = \"parquet\"\npath = {:?}",
        clickhouse.address,
        slack.address,
        slack::PATH,
        directory.path().join("lake"),
    );
    let sinks = Config::parse(&text).unwrap().sinks;
    let mut sent = BTreeSet::new();
    for round in 0..2 {
        let service = Running::start_with(directory.path(), |config| config.sinks = sinks.clone()).await;
        for n in 0..40 {
            let id = format!("evt_{round}_{n}");
            let event_type = if n % 10 == 0 { "conversation.started" } else { "message.sent" };
            accepted(service.address, &Post::signed(&body(&id, event_type))).await;
            sent.insert(id);
        }
        let chat = (round + 1) * 4;
        let told =
            || slack.state().posted.iter().map(|message| message["blocks"].as_array().unwrap().len()).sum();
        until("the chat has its events while the database is down", || {
            let count: usize = told();
            count == chat
        })
        .await;
        if round == 1 {
            assert!(clickhouse.state().tables.is_empty());
            clickhouse.state().mood.down = None;
            let rows = || clickhouse.state().tables.values().map(|table| table.ids().len()).sum::<usize>();
            until("the database has every event", || rows() == sent.len()).await;
        }
        service.stop().await.unwrap();
    }
    let table = clickhouse.state().tables["`default`.`vai_events`"].clone();
    assert_eq!(table.ids(), sent.iter().cloned().collect::<Vec<_>>());
    assert_eq!(table.rows.len(), sent.len());
}
