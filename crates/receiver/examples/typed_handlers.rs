//! A receiver whose handlers get typed events and run before the sender is answered; what was seen lies in a file.
//!
//! Run it with `VAI_WEBHOOK_SECRET` set to a webhook's secret and register `http://127.0.0.1:3004/webhooks/vai`.

use serde::Deserialize;
use vai_webhooks_receiver::inline::Inline;
use vai_webhooks_receiver::service::{PORT_DEFAULT, parse_secrets};
use vai_webhooks_receiver::{Context, SeenInSqlite};

/// A custom event of one's own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderPaid {
    order_id: String,
    total: f64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Inline::builder(SeenInSqlite::open("seen.db")?)
        .on_conversation_started(|event, context: Context| async move {
            println!("{} began at {}", event.session_id, context.timestamp);
            Ok(())
        })
        .on_data("order.paid", |order: OrderPaid, _| async move {
            println!("order {}: {}", order.order_id, order.total);
            Ok(())
        });
    for secret in parse_secrets(&std::env::var("VAI_WEBHOOK_SECRET")?)? {
        builder = builder.secret(secret);
    }
    let router = builder.build()?.router("/webhooks/vai");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", PORT_DEFAULT)).await?;
    Ok(axum::serve(listener, router).await?)
}
