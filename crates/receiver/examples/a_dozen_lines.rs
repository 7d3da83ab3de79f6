//! A receiver in a dozen lines: verify, store once, answer, and do something with each event.
//!
//! Run it with `VAI_WEBHOOK_SECRET` set to a webhook's secret and register
//! `http://127.0.0.1:3004/webhooks/vai` with the sender. It keeps its events in `./received`.

use std::sync::Arc;

use vai_webhooks_receiver::service::{PORT_DEFAULT, parse_secrets};
use vai_webhooks_receiver::{Event, Receiver};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Receiver::builder().on_any(|event: Arc<Event>| async move {
        println!("{} {}", event.id, event.event_type);
        Ok(())
    });
    for secret in parse_secrets(&std::env::var("VAI_WEBHOOK_SECRET")?)? {
        builder = builder.secret(secret);
    }
    let receiver = builder.open("received").await?;
    let port = std::env::var("PORT").map_or(Ok(PORT_DEFAULT), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, receiver.router()).await?)
}
