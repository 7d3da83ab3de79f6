//! The engine inside another program: register, trigger, see what became of it.
//!
//! `cargo run -p vai-webhooks-engine --example thirty_lines -- http://127.0.0.1:3004/webhooks/vai`

use std::time::Duration;

use vai_webhooks_engine::{Engine, EngineOptions, NewEvent, NewWebhook};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give the URL of an endpoint")?;
    let mut options = EngineOptions::new("engine-data");
    options.egress_allow = vec!["127.0.0.0/8".parse()?];
    let engine = Engine::open(options).await?;
    let tenant = engine.tenant(&"default".parse()?).await?;

    let mut webhook = NewWebhook::new(url, ["message.*"]);
    webhook.verify = false; // the endpoint may come up later: what is due waits
    let registered = engine.register(tenant, webhook, None).await?;
    println!("the receiver verifies with {}", registered.secret.expose());

    let event = NewEvent::new("message.sent", r#"{"sessionId":"s-1","response":{"text":"Hello"}}"#);
    let accepted = engine.trigger(tenant, event).await?;
    println!("{} is on disk", accepted.id);

    let result = engine.test(tenant, &registered.webhook.id).await?;
    println!("a test of the endpoint: {}", result.exchanged.summary());
    for delivery in engine.deliveries(tenant, &accepted.id).await? {
        println!(
            "{}: {}, {} attempts",
            delivery.webhook_id,
            delivery.state.as_str(),
            delivery.attempts.len()
        );
    }
    engine.shutdown(Duration::from_secs(10)).await;
    Ok(())
}
