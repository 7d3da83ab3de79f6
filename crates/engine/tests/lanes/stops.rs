//! Once a stop is answered, no attempt starts; a shutdown ends within its deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::patience::patiently;
use crate::world::{PATIENCE, Receiver, Reply, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_attempt_starts_once_a_stop_is_answered() {
    let world = World::new().await;
    for round in 0..10 {
        let stopped = Arc::new(AtomicBool::new(false));
        let started_after = Arc::new(AtomicBool::new(false));
        let (is_stopped, late) = (Arc::clone(&stopped), Arc::clone(&started_after));
        // The receiver answers at once, so that what is under way at the stop ends within it.
        let receiver = Receiver::start(move |_, _| {
            if is_stopped.load(Ordering::SeqCst) {
                late.store(true, Ordering::SeqCst);
            }
            Reply::Status(200)
        })
        .await;
        let event = format!("round{round}");
        let webhook = world.webhook(&event, &receiver.url, &event, &[1]).await;
        let ids: Vec<String> = (0..300).map(|number| format!("r{round}-{number}")).collect();
        world.accepted(&event, &ids).await;
        receiver.wait_for(1).await;
        if round % 2 == 0 {
            patiently(|| world.engine.pause(world.tenant, &webhook)).await.unwrap();
        } else {
            patiently(|| world.engine.delete(world.tenant, &webhook)).await.unwrap();
        }
        // What had started may still be on its way: it ends before anything is said about the rest.
        loop {
            if world.engine.counts().in_flight == 0 {
                break;
            }
        }
        stopped.store(true, Ordering::SeqCst);
        let before = receiver.arrivals().len();
        world.send("another.type", &format!("after-{round}")).await;
        if round % 2 == 0 {
            assert_eq!(receiver.arrivals().len(), before);
            assert!(!started_after.load(Ordering::SeqCst), "an attempt started after the pause");
            stopped.store(false, Ordering::SeqCst);
            patiently(|| world.engine.resume(world.tenant, &webhook)).await.unwrap();
            receiver.wait_for(300).await;
        } else {
            let wait = async {
                for id in &ids {
                    loop {
                        let id = id.parse().unwrap();
                        let deliveries = world.engine.deliveries(world.tenant, &id).await.unwrap();
                        if matches!(deliveries[0].state.as_str(), "delivered" | "cancelled") {
                            break;
                        }
                    }
                }
            };
            tokio::time::timeout(PATIENCE, wait).await.expect("everything ends");
            assert!(!started_after.load(Ordering::SeqCst), "an attempt started after the deletion");
        }
    }
}

#[tokio::test]
async fn a_shutdown_ends_within_its_deadline_and_what_was_cut_is_sent_again() {
    let world = World::new().await;
    let silent = Receiver::start(|_, _| Reply::Silence).await;
    world.webhook("silent", &silent.url, "*", &[1]).await;
    world.send("a", "one").await;
    silent.wait_for(1).await;
    let ended = world.engine.shutdown(Duration::from_millis(200));
    let in_time = tokio::time::timeout(PATIENCE, ended).await.expect("it does not wait for the attempt");
    assert!(!in_time, "it says that something was cut off");
    let world = World::on(world.data).await;
    let arrivals = silent.wait_for(2).await;
    assert_eq!((arrivals[1].id.as_str(), arrivals[1].attempt), ("one", 1), "as if it had never been sent");
    world.engine.shutdown(Duration::from_millis(1)).await;
}
