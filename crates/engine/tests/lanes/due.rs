//! No attempt before its due time, and each one after it.

use vai_webhooks_engine::NewEvent;
use vai_webhooks_wire::UnixMs;

use crate::patience::patiently;
use crate::world::{Receiver, Reply, World};

#[tokio::test]
async fn waits_are_the_policys_and_never_shorter() {
    let world = World::new().await;
    let receiver = Receiver::start(|_, attempt| Reply::Status(if attempt < 4 { 500 } else { 200 })).await;
    world.webhook("w", &receiver.url, "*", &[100, 300, 600]).await;
    world.send("a", "one").await;
    let arrivals = receiver.wait_for(4).await;
    let numbers: Vec<u32> = arrivals.iter().map(|arrival| arrival.attempt).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    for (pair, wait_ms) in arrivals.windows(2).zip([100, 300, 600]) {
        let waited_ms = pair[1].at.since(pair[0].at);
        // The clock may step within a millisecond on either side.
        assert!(waited_ms >= wait_ms - 2, "attempt {} came after {waited_ms} ms", pair[1].attempt);
    }
    world.until_state("one", "delivered").await;
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let world = World::new().await;
    let receiver = Receiver::start(|_, attempt| match attempt {
        1 => Reply::RetryAfter(429, "1"),
        2 => Reply::RetryAfter(503, "1"),
        _ => Reply::Status(204),
    })
    .await;
    world.webhook("w", &receiver.url, "*", &[1, 1, 1]).await;
    world.send("a", "one").await;
    let arrivals = receiver.wait_for(3).await;
    for pair in arrivals.windows(2) {
        assert!(pair[1].at.since(pair[0].at) >= 998, "{arrivals:?}");
    }
}

#[tokio::test]
async fn an_event_for_later_waits_across_a_restart() {
    let world = World::new().await;
    let receiver = Receiver::start(|_, _| Reply::Status(200)).await;
    world.webhook("w", &receiver.url, "*", &[1]).await;
    let deliver_at = UnixMs::now().saturating_add(1_500);
    let id = Some("later".parse().unwrap());
    let event = NewEvent { id, deliver_at: Some(deliver_at), ..NewEvent::new("a", "{}") };
    patiently(|| world.engine.trigger(world.tenant, event.clone())).await.unwrap();
    let world = world.again().await;
    world.send("a", "now").await;
    let arrivals = receiver.wait_for(2).await;
    // Where all of this took its time, it may have been due before the other was sent.
    let later = arrivals.iter().find(|arrival| arrival.id == "later").unwrap();
    assert!(later.at >= deliver_at, "{arrivals:?}");
    assert_eq!(receiver.times().len(), 2, "{arrivals:?}");
}

#[tokio::test]
async fn what_waits_for_its_retry_goes_on_after_a_restart() {
    let world = World::new().await;
    let receiver = Receiver::start(|_, attempt| Reply::Status(if attempt == 1 { 500 } else { 200 })).await;
    world.webhook("w", &receiver.url, "*", &[1_000]).await;
    for number in 0..50 {
        world.send("a", &format!("e{number}")).await;
    }
    receiver.wait_for(50).await;
    let world = world.again().await;
    receiver.wait_for(100).await;
    for number in 0..50 {
        world.until_state(&format!("e{number}"), "delivered").await;
    }
    assert!(receiver.times().values().all(|times| *times == 2));
}
