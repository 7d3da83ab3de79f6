//! A figure, not a promise: events per second that are verified, stored and answered.

use std::time::Instant;

use tempfile::tempdir;
use tokio::task::JoinSet;

use crate::client::{Client, status};
use crate::request::{Post, SECRET, body, now_secs};
use crate::running::Running;

/// Connections at once.
const CONNECTIONS: usize = 64;
/// Events on each.
const EVENTS_EACH: usize = 1_500;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a figure: run it alone, with --release and --nocapture"]
async fn many_connections_are_answered_quickly_and_every_event_is_stored() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let mut ready = Vec::new();
    for connection in 0..CONNECTIONS {
        let client = Client::connect(service.address).await;
        let requests: Vec<Vec<u8>> = (0..EVENTS_EACH)
            .map(|n| {
                let id = format!("evt_{n:06}_{connection}");
                Post::new(&body(&id, "message.sent")).v1(SECRET, &id, now_secs()).legacy(SECRET).bytes()
            })
            .collect();
        ready.push((client, requests));
    }
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for (mut client, requests) in ready {
        clients.spawn(async move {
            for request in requests {
                assert_eq!(client.ask(&request).await.status, 200);
            }
        });
    }
    clients.join_all().await;
    let took = begun.elapsed();
    let events = CONNECTIONS * EVENTS_EACH;
    assert_eq!(status(service.address).await["total"], events);
    println!("{events} events in {took:?}: {:.0} events/s", events as f64 / took.as_secs_f64());
    service.stop().await.unwrap();
}
