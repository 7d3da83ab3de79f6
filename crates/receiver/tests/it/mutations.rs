//! 10,000 requests that were signed and then changed: each is refused, none is stored, nothing panics.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::tempdir;

use crate::client::{Answer, Client, status};
use crate::request::{Post, SECRET, body, now_secs};
use crate::running::{Running, stored_ids};

const REQUESTS: u32 = 10_000;

/// What is done to a signed request.
#[derive(Debug, Clone)]
enum Change {
    Body(usize, u8),
    Cut(usize),
    Grow(Vec<u8>),
    Header(usize, usize, u8),
    Without(usize),
    Whole(usize, Vec<u8>),
}

/// The headers that the signature is made of.
const SIGNED: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

fn change() -> impl Strategy<Value = Change> {
    let (at, bytes) = (any::<usize>, || proptest::collection::vec(any::<u8>(), 0..64));
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Body(at, byte)),
        at().prop_map(Change::Cut),
        bytes().prop_map(Change::Grow),
        (0..SIGNED.len(), at(), any::<u8>()).prop_map(|(header, at, byte)| Change::Header(header, at, byte)),
        (0..SIGNED.len()).prop_map(Change::Without),
        (0..SIGNED.len(), bytes()).prop_map(|(header, bytes)| Change::Whole(header, bytes)),
    ]
}

fn apply(request: &Post, change: &Change) -> Post {
    let mut request = request.clone();
    let value = |header: usize| {
        let found = request.headers.iter().find(|(name, _)| name == SIGNED[header]).expect("signed");
        found.1.clone()
    };
    match change {
        Change::Body(at, byte) => {
            let at = at % request.body.len();
            request.body[at] = *byte;
        }
        Change::Cut(at) => request.body.truncate(at % request.body.len()),
        Change::Grow(bytes) => request.body.extend_from_slice(bytes),
        Change::Header(header, at, byte) => {
            let mut value = value(*header);
            let at = at % value.len();
            value[at] = *byte;
            request = request.set_raw(SIGNED[*header], &value);
        }
        Change::Without(header) => request = request.without(SIGNED[*header]),
        Change::Whole(header, bytes) => request = request.set_raw(SIGNED[*header], bytes),
    }
    request
}

#[test]
fn ten_thousand_changed_requests_are_refused_and_nothing_is_stored() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let directory = tempdir().unwrap();
    let service = runtime.block_on(Running::start(directory.path()));
    let address = service.address;
    let good = Post::new(&body("evt_1", "message.sent")).v1(SECRET, "evt_1", now_secs());
    let kept = RefCell::new(None);
    let mut runner =
        TestRunner::new(Config { cases: REQUESTS, failure_persistence: None, ..Config::default() });
    runner
        .run(&change(), |change| {
            let changed = apply(&good, &change);
            // Nothing is changed where a byte became itself, or where it is a blank around a value, which belongs to none.
            let trimmed = |post: &Post| {
                let headers =
                    post.headers.iter().map(|(name, value)| (name.clone(), value.trim_ascii().to_vec()));
                headers.collect::<BTreeMap<_, _>>()
            };
            prop_assume!(changed.body != good.body || trimmed(&changed) != trimmed(&good));
            let client: Option<Client> = kept.borrow_mut().take();
            let (answer, client) = runtime.block_on(async {
                let mut client = match client {
                    Some(client) => client,
                    None => Client::connect(address).await,
                };
                client.write(&changed.bytes()).await;
                (client.answer().await, client)
            });
            let stays =
                |answer: &Answer| answer.status != 400 && answer.header("connection") != Some("close");
            *kept.borrow_mut() = Some(client).filter(|_| answer.as_ref().is_some_and(stays));
            // None: what is no HTTP at all may be answered by closing.
            if let Some(answer) = answer {
                prop_assert!((400..500).contains(&answer.status), "{} {change:?}", answer.status);
            }
            Ok(())
        })
        .unwrap();
    runtime.block_on(async {
        assert_eq!(status(address).await["total"], 0);
        let mut fresh = Client::connect(address).await;
        assert_eq!(fresh.ask(&good.bytes()).await.status, 200, "it was good before it was changed");
        service.stop().await.unwrap();
    });
    assert_eq!(stored_ids(directory.path()), ["evt_1"]);
}
