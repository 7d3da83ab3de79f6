//! A backlog is on disk, and drains whole, each delivery once.

use crate::patience::patiently;
use crate::world::{PATIENCE, Receiver, Reply, World};

const BACKLOG: usize = 5_000;

fn ids() -> Vec<String> {
    (0..BACKLOG).map(|number| format!("e{number}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_while_a_webhook_was_paused_arrives_once_when_it_goes_on() {
    let world = World::new().await;
    let receiver = Receiver::start(|_, _| Reply::Status(200)).await;
    let webhook = world.webhook("w", &receiver.url, "*", &[1]).await;
    patiently(|| world.engine.pause(world.tenant, &webhook)).await.unwrap();
    world.accepted("a", &ids()).await;
    assert_eq!(receiver.arrivals().len(), 0);
    let idle = async {
        while world.engine.counts().lanes > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, idle).await.expect("a webhook that is stopped has nothing in memory");
    let world = world.again().await;
    patiently(|| world.engine.resume(world.tenant, &webhook)).await.unwrap();
    receiver.wait_for(BACKLOG).await;
    loop {
        let stats = world.engine.webhook_stats(world.tenant, &webhook).await.unwrap();
        if stats.pending == 0 {
            assert_eq!(stats.sent, u64::try_from(BACKLOG).unwrap());
            break;
        }
    }
    assert_eq!(receiver.times().len(), BACKLOG);
    assert!(receiver.times().values().all(|times| *times == 1), "none came twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_lane_holds_arrives_whole_while_a_tenth_fails_first() {
    let world = World::new().await;
    let failing = |id: &str| id.ends_with('7');
    let receiver = Receiver::start(move |id, attempt| match attempt == 1 && failing(id) {
        true => Reply::Status(500),
        false => Reply::Status(200),
    })
    .await;
    world.webhook("w", &receiver.url, "*", &[50, 100, 200]).await;
    let ids = ids();
    world.accepted("a", &ids).await;
    let expected = BACKLOG + BACKLOG / 10;
    receiver.wait_for(expected).await;
    for id in &ids {
        world.until_state(id, "delivered").await;
    }
    let times = receiver.times();
    for id in &ids {
        assert_eq!(times[id], if failing(id) { 2 } else { 1 }, "{id}");
    }
    assert_eq!(receiver.arrivals().len(), expected);
}
