//! `derived.db` and the inbox that it was derived from can be parted: what is of another inbox is put aside.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;
use tempfile::tempdir;

use crate::client::get;
use crate::request::{Post, body};
use crate::rules::{DEADLINE, LOW, metrics, open, send, told};
use crate::summaries::until_done;

/// Files that were put aside.
fn aside(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.starts_with("derived-") && name.ends_with(".db")).collect()
}

fn database(directory: &Path, name: &str) -> Connection {
    Connection::open(directory.join(name)).unwrap()
}

/// Messages in a session `s1`.
async fn messages(address: SocketAddr, numbers: std::ops::Range<u32>) {
    for number in numbers {
        send(address, &Post::signed(&body(&format!("evt_{number}"), "message.sent"))).await;
    }
    until_done(address).await;
}

async fn messages_sent(address: SocketAddr) -> Value {
    get(address, "/conversations/s1").await.json()["messages"]["sent"].clone()
}

/// A receiver that takes these messages and ends.
async fn round(directory: &Path, numbers: std::ops::Range<u32>) {
    let (receiver, address) = open(directory, LOW, told(|_| Ok(())).0).await;
    messages(address, numbers).await;
    assert!(receiver.close(DEADLINE).await);
}

/// A receiver whose rule is to speak of its next event; answers how many messages of `s1` it knows.
async fn speaks(directory: &Path) -> Value {
    let (sink, mut heard) = told(|_| Ok(()));
    let (receiver, address) = open(directory, LOW, sink).await;
    send(address, &metrics("low", "one", 0.7)).await;
    assert_eq!(heard.recv().await.unwrap().text, "The satisfaction score of one is 0.7.");
    let sent = messages_sent(address).await;
    assert!(receiver.close(DEADLINE).await);
    sent
}

#[tokio::test]
async fn what_was_derived_from_a_deleted_inbox_is_put_aside_and_all_begins_anew() {
    let directory = tempdir().unwrap();
    round(directory.path(), 0..20).await;
    fs::remove_file(directory.path().join("receiver.db")).unwrap();
    assert_eq!(speaks(directory.path()).await, Value::Null, "no event of this conversation is here");
    let aside_then = aside(directory.path());
    assert_eq!(aside_then.len(), 1, "{aside_then:?}");
    let sql = "SELECT count(*) FROM conversations";
    let kept: i64 = database(directory.path(), &aside_then[0]).query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 1, "and nothing is lost");
    round(directory.path(), 20..21).await;
    assert_eq!(aside(directory.path()), aside_then, "once");
}

#[tokio::test]
async fn an_inbox_that_was_set_back_goes_on_with_what_was_derived() {
    let directory = tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    round(directory.path(), 0..1).await;
    fs::copy(file("receiver.db"), file("backup")).unwrap();
    round(directory.path(), 1..20).await;
    // As a rule that was configured at that time.
    database(directory.path(), "derived.db").execute("UPDATE rules_known SET after_seq = 20", []).unwrap();
    fs::rename(file("backup"), file("receiver.db")).unwrap();
    assert_eq!(speaks(directory.path()).await, 20);
    assert_eq!(aside(directory.path()), [""; 0]);
}

#[tokio::test]
async fn a_file_without_an_identity_is_of_this_inbox_unless_it_is_ahead_of_it() {
    let directory = tempdir().unwrap();
    let forget = || database(directory.path(), "derived.db").execute_batch("DROP TABLE inbox").unwrap();
    round(directory.path(), 0..20).await;
    forget();
    assert_eq!(speaks(directory.path()).await, 20);
    assert_eq!(aside(directory.path()), [""; 0]);
    forget();
    fs::remove_file(directory.path().join("receiver.db")).unwrap();
    assert_eq!(speaks(directory.path()).await, Value::Null);
    assert_eq!(aside(directory.path()).len(), 1);
}
