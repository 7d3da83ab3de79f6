//! What is signed by us is taken; everything else is 401 with one answer, and nothing of it is stored.

use tempfile::tempdir;

use crate::client::{post, status};
use crate::request::{OTHER_SECRET, Post, SECRET, body, now_secs, verifying_key};
use crate::running::{Running, stored_ids};

#[tokio::test]
async fn every_scheme_and_every_secret_is_taken() {
    let directory = tempdir().unwrap();
    let service =
        Running::start_with(directory.path(), |config| config.verifying_keys.push(verifying_key())).await;
    let event = |n: u32| body(&format!("evt_{n}"), "message.sent");
    let requests = [
        Post::new(&event(0)).v1(SECRET, "evt_0", now_secs()),
        Post::new(&event(1)).v1(OTHER_SECRET, "evt_1", now_secs()),
        Post::new(&event(2)).legacy(SECRET),
        Post::new(&event(3)).legacy(OTHER_SECRET),
        Post::new(&event(4)).v1a("evt_4", now_secs()),
        Post::new(&event(5)).v1(SECRET, "evt_5", now_secs()).legacy(SECRET),
    ];
    for request in &requests {
        let answer = post(service.address, request).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"received":true}"#), "{request:?}");
    }
    assert_eq!(stored_ids(directory.path()).len(), requests.len());
    service.stop().await.unwrap();
}

/// A change to a request that was good.
type Spoil = fn(Post) -> Post;

const LEGACY_SPOILT: &[(&str, Spoil)] = &[
    ("missing", |post| post.without("X-VAI-Signature")),
    ("empty", |post| post.set("X-VAI-Signature", "")),
    ("short", |post| post.edit("X-VAI-Signature", |hex| hex[..63].to_owned())),
    ("long", |post| post.edit("X-VAI-Signature", |hex| format!("{hex}0"))),
    ("half", |post| post.edit("X-VAI-Signature", |hex| hex[..32].to_owned())),
    ("upper case", |post| post.edit("X-VAI-Signature", |hex| hex.to_uppercase())),
    ("not hex", |post| post.set("X-VAI-Signature", &"zz".repeat(32))),
    ("not text", |post| post.set_raw("X-VAI-Signature", b"\xff\xfe\xfd")),
    ("another secret", |post| post.legacy("whsec_bm90IHRoZSBzZWNyZXQgYXQgYWxsISEhISEhISEhISE=")),
    ("as a v1 signature", |post| post.edit("X-VAI-Signature", |hex| format!("v1,{hex}"))),
    ("another body", |post| post.with_body(&body("evt_2", "message.sent"))),
    ("a space more", |post| post.with_body(&format!("{} ", body("evt_1", "message.sent")))),
    ("no body", |post| post.with_body("")),
];

#[tokio::test]
async fn a_bad_legacy_signature_is_401() {
    let good = || Post::new(&body("evt_1", "message.sent")).legacy(SECRET);
    refuses_all(good, LEGACY_SPOILT).await;
}

const V1_SPOILT: &[(&str, Spoil)] = &[
    ("missing", |post| post.without("webhook-signature")),
    ("empty", |post| post.set("webhook-signature", "")),
    ("short", |post| post.edit("webhook-signature", |text| text[..text.len() - 4].to_owned())),
    ("long", |post| post.edit("webhook-signature", |text| format!("{text}AAAA"))),
    ("only its name", |post| post.set("webhook-signature", "v1,")),
    ("upper case", |post| post.edit("webhook-signature", |text| text.to_uppercase())),
    ("lower case", |post| post.edit("webhook-signature", |text| text.to_lowercase())),
    ("not base64", |post| post.set("webhook-signature", "v1,!!!!")),
    ("not text", |post| post.set_raw("webhook-signature", b"v1,\xff\xfe")),
    ("another version", |post| post.edit("webhook-signature", |text| text.replacen("v1", "v9", 1))),
    ("as v1a", |post| post.edit("webhook-signature", |text| text.replacen("v1", "v1a", 1))),
    ("many of none", |post| post.set("webhook-signature", &"v1,AAAA ".repeat(100))),
    ("another id", |post| post.set("webhook-id", "evt_2")),
    ("no id", |post| post.without("webhook-id")),
    ("no timestamp", |post| post.without("webhook-timestamp")),
    ("another timestamp", |post| {
        post.edit("webhook-timestamp", |secs| format!("{}", secs.parse::<i64>().unwrap() + 1))
    }),
    ("no number", |post| post.set("webhook-timestamp", "yesterday")),
    ("a huge number", |post| post.set("webhook-timestamp", "99999999999999999999999999")),
    ("stale", |post| post.v1(SECRET, "evt_1", now_secs() - 301)),
    ("future", |post| post.v1(SECRET, "evt_1", now_secs() + 330)),
    ("another secret", |post| {
        post.v1("whsec_bm90IHRoZSBzZWNyZXQgYXQgYWxsISEhISEhISEhISE=", "evt_1", now_secs())
    }),
    ("another body", |post| post.with_body(&body("evt_2", "message.sent"))),
];

#[tokio::test]
async fn a_bad_standard_signature_is_401() {
    let good = || Post::new(&body("evt_1", "message.sent")).v1(SECRET, "evt_1", now_secs());
    refuses_all(good, V1_SPOILT).await;
}

async fn refuses_all(good: impl Fn() -> Post, table: &[(&str, Spoil)]) {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    for (name, spoil) in table {
        let answer = post(service.address, &spoil(good())).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (401, r#"{"error":"Invalid signature"}"#),
            "{name}"
        );
    }
    let after = status(service.address).await;
    assert_eq!(after["total"], 0);
    let counted: i64 =
        after["rejected"].as_object().unwrap().values().filter_map(|count| count.as_i64()).sum();
    assert_eq!(counted, table.len() as i64, "each is counted under a reason: {}", after["rejected"]);
    assert!(stored_ids(directory.path()).is_empty());
    assert_eq!(post(service.address, &good()).await.status, 200, "unspoilt, it is taken");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn where_legacy_senders_are_not_accepted_the_legacy_signature_is_worth_nothing() {
    let directory = tempdir().unwrap();
    let service = Running::start_with(directory.path(), |config| config.accept_legacy = false).await;
    let event = body("evt_1", "message.sent");
    assert_eq!(post(service.address, &Post::new(&event).legacy(SECRET)).await.status, 401);
    assert_eq!(post(service.address, &Post::new(&event).v1(SECRET, "evt_1", now_secs())).await.status, 200);
    service.stop().await.unwrap();
}
