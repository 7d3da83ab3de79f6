//! What was taken is shown with its attempts, by event and by webhook, after a restart and after a crash too.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use vai_webhooks_engine::{
    Attempt, Delivery, DeliveryState, Engine, EngineOptions, NewEvent, NewWebhook, RetryPolicy, TenantId,
};
use vai_webhooks_wire::{EventId, WebhookId};

use crate::patience::patiently;
use crate::receiver::Receiver;

/// Waits in tests end with a failure after this.
pub const PATIENCE: Duration = Duration::from_secs(300);

async fn open(dir: &Path) -> (Engine, TenantId) {
    let egress_allow = vec!["127.0.0.0/8".parse().unwrap()];
    let options = EngineOptions { egress_allow, disk_reserve_bytes: 0, ..EngineOptions::new(dir) };
    let engine = Engine::open(options).await.unwrap();
    let name = "default".parse().unwrap();
    let tenant = patiently(|| engine.tenant(&name)).await.unwrap();
    (engine, tenant)
}

/// What a kill leaves of a directory, while an engine is at work in it.
pub fn killed(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    // In this order: what is folded into the file meanwhile is still in the log.
    for file in ["engine.db-wal", "engine.db"] {
        std::fs::copy(dir.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

pub async fn webhook(
    engine: &Engine,
    tenant: TenantId,
    receiver: &Receiver,
    id: &str,
    event: &str,
) -> WebhookId {
    let mut webhook = NewWebhook::new(receiver.url(&format!("/{id}")), [event]);
    webhook.id = Some(id.parse().unwrap());
    webhook.verify = false;
    webhook.config.retry = RetryPolicy::Schedule { schedule: vec![1] };
    webhook.config.timeout_ms = 30_000;
    patiently(|| engine.register(tenant, webhook.clone(), None)).await.unwrap().webhook.id
}

pub async fn trigger(engine: &Engine, tenant: TenantId, event: &str, id: &str) -> EventId {
    let event = NewEvent { id: Some(id.parse().unwrap()), ..NewEvent::new(event, "{}") };
    patiently(|| engine.trigger(tenant, event.clone())).await.unwrap().id
}

/// Waits until `enough` is so of the deliveries of an event.
pub async fn until(engine: &Engine, tenant: TenantId, id: &EventId, enough: impl Fn(&Delivery) -> bool) {
    let wait = async {
        while !engine.deliveries(tenant, id).await.unwrap().iter().all(&enough) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the deliveries get there");
}

pub fn is_delivered(delivery: &Delivery) -> bool {
    delivery.state == DeliveryState::Delivered
}

/// All that is shown of these events and webhooks, as text.
async fn shown(engine: &Engine, tenant: TenantId, events: &[EventId], webhooks: &[WebhookId]) -> Vec<String> {
    let mut shown = Vec::new();
    for id in events {
        shown.push(format!("{:?}", engine.event(tenant, id).await.unwrap()));
        shown.push(format!("{:#?}", engine.deliveries(tenant, id).await.unwrap()));
    }
    for webhook in webhooks {
        shown.push(format!("{:#?}", attempts(engine, tenant, webhook, 250).await));
        shown.push(format!("{:?}", engine.webhook_stats(tenant, webhook).await.unwrap()));
    }
    shown.push(format!("{:#?}", engine.events(tenant, None, 250).await.unwrap()));
    shown
}

/// The attempts at a webhook, in pages of so many.
pub async fn attempts(engine: &Engine, tenant: TenantId, webhook: &WebhookId, limit: usize) -> Vec<Attempt> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = engine.attempts(tenant, webhook, cursor.as_deref(), limit).await.unwrap();
        all.extend(page.data);
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

fn check(attempt: &Attempt, receiver: &Receiver, number: u32, status: u16, answer: &[u8]) {
    let exchanged = &attempt.exchanged;
    assert_eq!((attempt.number, exchanged.status), (number, Some(status)), "{attempt:?}");
    assert_eq!(exchanged.address, Some(receiver.address));
    assert!(exchanged.answer == answer && !exchanged.answer_cut, "{attempt:?}");
    assert!(exchanged.took > Duration::ZERO && exchanged.failure.is_none(), "{attempt:?}");
}

const LARGE: usize = 700;

/// What each of the webhooks answers.
fn decide(path: &str, _: &str, before: usize) -> Option<(u16, Vec<u8>)> {
    Some(match (path, before) {
        ("/small", _) => (201, b"taken".to_vec()),
        ("/large", _) => (200, vec![b'a'; LARGE]),
        ("/second", 0) => (500, b"not now".to_vec()),
        _ => (204, Vec::new()),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_is_shown_with_its_attempts_after_a_restart_and_a_crash_too() {
    let receiver = Receiver::start(decide).await;
    let dir = tempfile::tempdir().unwrap();
    let (engine, tenant) = open(dir.path()).await;
    let mut webhooks = Vec::new();
    for id in ["small", "large", "second", "stopped"] {
        webhooks.push(webhook(&engine, tenant, &receiver, id, "a").await);
    }
    let [small, large, second, stopped] = &webhooks[..] else { panic!("four were made") };
    // What comes to this one has a row before it is tried.
    patiently(|| engine.pause(tenant, stopped)).await.unwrap();
    let mut events = Vec::new();
    for number in 0..5 {
        events.push(trigger(&engine, tenant, "a", &format!("e{number}")).await);
    }
    patiently(|| engine.resume(tenant, stopped)).await.unwrap();
    for event in &events {
        until(&engine, tenant, event, is_delivered).await;
    }
    patiently(|| engine.resend(tenant, &events[1], Some(small), None)).await.unwrap();
    until(&engine, tenant, &events[1], |it| {
        is_delivered(it) && (it.webhook_id != *small || it.attempts.len() == 2)
    })
    .await;
    let test = patiently(|| engine.test(tenant, small)).await.unwrap();
    events.push(test.event_id);

    for delivery in engine.deliveries(tenant, &events[1]).await.unwrap() {
        let it = &delivery.attempts;
        match delivery.webhook_id {
            id if id == *small => {
                assert_eq!(it.len(), 2);
                check(&it[0], &receiver, 1, 201, b"taken");
                check(&it[1], &receiver, 2, 201, b"taken");
            }
            id if id == *large => {
                assert_eq!(it.len(), 1);
                check(&it[0], &receiver, 1, 200, &[b'a'; LARGE]);
            }
            id if id == *second => {
                assert_eq!(it.len(), 2);
                check(&it[0], &receiver, 1, 500, b"not now");
                check(&it[1], &receiver, 2, 204, b"");
            }
            _ => {
                assert_eq!(it.len(), 1);
                check(&it[0], &receiver, 1, 204, b"");
            }
        }
    }
    for (webhook, count) in [(small, 7), (large, 5), (second, 10), (stopped, 5)] {
        let all = attempts(&engine, tenant, webhook, 250).await;
        assert_eq!(all.len(), count, "{webhook}");
        assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id), "newest first, each once");
        for limit in [1, 2] {
            let paged = attempts(&engine, tenant, webhook, limit).await;
            assert_eq!(format!("{paged:?}"), format!("{all:?}"));
        }
    }
    let newest = attempts(&engine, tenant, small, 1).await.remove(0);
    assert_eq!((&newest.id, newest.started_at), (&test.attempt_id, test.started_at));
    check(&newest, &receiver, 1, 201, b"taken");

    let before = shown(&engine, tenant, &events, &webhooks).await;
    let count = receiver.count();
    let copy = killed(dir.path());
    assert!(engine.shutdown(PATIENCE).await);
    for dir in [dir.path(), copy.path()] {
        let (engine, tenant) = open(dir).await;
        assert_eq!(shown(&engine, tenant, &events, &webhooks).await, before);
        assert!(engine.shutdown(PATIENCE).await);
    }
    assert_eq!(receiver.count(), count, "nothing is sent again");
}

/// With so many, what is kept by webhook goes by way of the ledger's log.
const WEBHOOKS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_what_was_under_way_is_sent_again_and_what_was_taken_is_not() {
    // The last one, so that its time is not over before the crash.
    let is_left = |path: &str, id: &str| (path, id) == ("/w3", "e19");
    let receiver = Receiver::start(move |path, id, before| match is_left(path, id) && before == 0 {
        true => None,
        false => Some((200, b"taken".to_vec())),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (engine, tenant) = open(dir.path()).await;
    let ids: Vec<String> = (0..WEBHOOKS).map(|number| format!("w{number}")).collect();
    for id in &ids {
        webhook(&engine, tenant, &receiver, id, "a").await;
    }
    let mut events = Vec::new();
    for number in 0..20 {
        events.push(trigger(&engine, tenant, "a", &format!("e{number}")).await);
    }
    for event in &events {
        let path = |it: &Delivery| format!("/{}", it.webhook_id);
        until(&engine, tenant, event, |it| is_left(&path(it), event.as_str()) || is_delivered(it)).await;
    }
    let arrived = async {
        while receiver.times("/w3", "e19") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, arrived).await.expect("it is under way");
    let copy = killed(dir.path());
    engine.shutdown(Duration::ZERO).await;

    let (engine, tenant) = open(copy.path()).await;
    for event in &events {
        until(&engine, tenant, event, is_delivered).await;
        for delivery in engine.deliveries(tenant, event).await.unwrap() {
            assert_eq!(delivery.attempts.len(), 1);
            check(&delivery.attempts[0], &receiver, 1, 200, b"taken");
        }
    }
    for id in &ids {
        let path = format!("/{id}");
        for event in &events {
            let times = if is_left(&path, event.as_str()) { 2 } else { 1 };
            assert_eq!(receiver.times(&path, event.as_str()), times, "{event} at {id}");
        }
        let all = attempts(&engine, tenant, &id.parse().unwrap(), 3).await;
        assert_eq!(all.len(), events.len(), "{id}");
    }
    assert!(engine.shutdown(PATIENCE).await);
}
