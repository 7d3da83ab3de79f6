//! kill -9 leaves each delivery the version of the script that its webhook had when the event was accepted.

use serde_json::json;
use tokio::net::TcpListener;

use crate::producer::Producer;
use crate::receiver::Receiver;
use crate::server::Server;

const EVENTS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_when_the_engine_was_killed_has_the_bytes_of_its_own_version() {
    let data = tempfile::tempdir().unwrap();
    // Nobody answers there yet.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(data.path()).await;
    let producer = Producer::new();
    let webhooks = format!("{}/v1/webhooks", server.url);
    let webhook = json!({"id": "crm", "url": format!("http://{}/hook", listener.local_addr().unwrap()), "events": ["*"],
        "verify": false, "dataTransform": "e => ['one', e.id, Math.random()]"});
    let (status, answer) = producer.call("POST", &webhooks, &webhook.to_string()).await.unwrap();
    assert_eq!(status, 201, "{answer}");
    let send = async |version: &str| {
        for n in 0..EVENTS {
            let event = json!({"event": "a.b", "id": format!("{version}-{n}"), "data": n});
            let (status, answer) = producer
                .call("POST", &format!("{}/v1/events", server.url), &event.to_string())
                .await
                .unwrap();
            assert_eq!(status, 202, "{answer}");
        }
    };
    send("one").await;
    let change = json!({"dataTransform": "e => ['two', e.id, Math.random()]"}).to_string();
    let (status, answer) = producer.call("PATCH", &format!("{webhooks}/crm"), &change).await.unwrap();
    assert_eq!((status, &answer["dataTransform"]["version"]), (200, &json!(2)), "{answer}");
    send("two").await;
    server.kill().await;

    let receiver = Receiver::start_on(listener, |_, _| axum::http::StatusCode::OK);
    let server = Server::start(data.path()).await;
    receiver.wait_for(2 * EVENTS).await;
    for (id, arrived) in receiver.taken() {
        let (version, _) = id.split_once('-').unwrap();
        let own = format!("[\"{version}\",\"{id}\",");
        for body in &arrived.bodies {
            assert!(body.starts_with(own.as_bytes()), "{id}: {body:?}");
            assert_eq!(*body, arrived.bodies[0], "{id} is always the same bytes");
        }
    }
    for (id, version) in [("one-7", 1), ("two-7", 2)] {
        let path = format!("{}/v1/events/{id}/deliveries", server.url);
        loop {
            let (_, answer) = Producer::new().call("GET", &path, "").await.unwrap();
            assert_eq!(answer["data"][0]["transformVersion"], version, "{answer}");
            if answer["data"][0]["state"] == "delivered" {
                break;
            }
        }
    }
}
