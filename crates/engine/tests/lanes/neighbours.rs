//! One slow or dead webhook does not hold up another.

use crate::world::{Receiver, Reply, World};

#[tokio::test]
async fn a_webhook_that_never_answers_does_not_hold_up_its_neighbour() {
    let world = World::new().await;
    let silent = Receiver::start(|_, _| Reply::Silence).await;
    let healthy = Receiver::start(|_, _| Reply::Status(200)).await;
    world.webhook("silent", &silent.url, "*", &[1]).await;
    world.webhook("healthy", &healthy.url, "*", &[1]).await;
    let ids: Vec<String> = (0..500).map(|number| format!("e{number}")).collect();
    world.accepted("a", &ids).await;
    // The silent one's deadline is 30 s: all of this happens while it keeps its attempts waiting.
    healthy.wait_for(500).await;
    assert!(silent.arrivals().len() < 500, "and it is not given all of its attempts at once");
}
