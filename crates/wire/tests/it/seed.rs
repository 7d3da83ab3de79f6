//! The seed's receiver accepts every one of the six typed events.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, json};
use sha2::Sha256;
use vai_webhooks_wire::json::{Limits, checked};
use vai_webhooks_wire::{
    AgentMetrics, ConversationEnded, ConversationStarted, Envelope, MessageReceived, MessageSent, Metrics,
    Secret, TypedEvent, UnixMs, WebhookTest, defaults, envelope, sign, types,
};

/// The page's algorithm, written down once more: HMAC-SHA256 of the raw body, in hex, compared as text.
fn seed_accepts(raw_body: &[u8], signature: &str, secret: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(raw_body);
    let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    expected == signature
}

fn six_events() -> Vec<(&'static str, String)> {
    let metrics = Metrics {
        total_conversations: Some(12),
        satisfaction_score: Some(0.75),
        extra: Map::from_iter([("handovers".to_owned(), json!(2))]),
        ..Metrics::default()
    };
    vec![
        data(&ConversationStarted::new("s-1", "a-1").user_id("u-1").platform("web").user_agent("Firefox")),
        data(&MessageReceived::new("s-1", "Bună ziua! \"Când\" livrați?").user_id("u-1").intent("delivery")),
        data(&MessageSent::new("s-1", "Mâine.").agent_id("a-1").confidence(0.93).processing_time(412.0)),
        data(&ConversationEnded::new("s-1").duration(63.5).message_count(4_u64).resolved(true)),
        data(&AgentMetrics::new("a-1", metrics).period("1h")),
        data(&WebhookTest::new("crm").test(true).message("This is a test webhook from VAI Portal")),
    ]
}

fn data<T: TypedEvent>(event: &T) -> (&'static str, String) {
    (T::TYPE, event.to_data())
}

#[test]
fn the_seeds_receiver_accepts_all_six_events() {
    let at = UnixMs(1_767_225_600_000);
    for shown in ["your-webhook-secret", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"] {
        let secret = Secret::parse(shown).unwrap();
        let mut seen = Vec::new();
        for (event_type, data) in six_events() {
            let checked = checked(data.as_bytes(), Limits { depth_max: 128 }, 2).unwrap();
            let data = defaults::complete(event_type, &data, &checked, at).unwrap();
            let body = envelope::write("evt_1", event_type, at, &data);
            let signature = sign::legacy(&secret, &body);
            assert!(seed_accepts(&body, &signature, shown), "{event_type}");
            assert!(!seed_accepts(&body, &signature, "another"), "{event_type}");
            assert_eq!(Envelope::parse(&body).unwrap().event, event_type);
            seen.push(event_type);
        }
        assert_eq!(seen, types::ALL);
    }
}
