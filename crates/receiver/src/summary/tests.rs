//! What a summary says, and that the order of events does not matter.

use proptest::prelude::*;
use serde_json::{Value, json};
use vai_webhooks_wire::UnixMs;

use super::*;

fn of(events: &[(i64, &str, Value)]) -> Conversation {
    let mut conversation = Conversation::default();
    for (number, (at, event_type, data)) in events.iter().enumerate() {
        let note = Note::read(&format!("evt_{number}"), event_type, UnixMs(*at), &data.to_string())
            .expect("a session");
        conversation.apply(&note);
    }
    conversation
}

fn value<T: Clone>(latest: &Option<Latest<T>>) -> Option<T> {
    latest.as_ref().map(|latest| latest.value().clone())
}

#[test]
fn a_conversation_is_summed_up() {
    let conversation = of(&[
        (0, "conversation.started", json!({"sessionId": "s", "agentId": "a-1", "platform": "web"})),
        (10, "message.received", json!({"sessionId": "s", "userId": "u-1", "intent": "return"})),
        (
            20,
            "message.sent",
            json!({"sessionId": "s", "agentId": "a-1", "confidence": 0.9, "processingTime": 120.5}),
        ),
        (30, "message.received", json!({"sessionId": "s", "userId": "u-1", "intent": "return"})),
        (40, "message.sent", json!({"sessionId": "s", "agentId": "a-2", "confidence": 0.6})),
        (50, "order.made", json!({"sessionId": "s"})),
        (
            60,
            "conversation.ended",
            json!({"sessionId": "s", "satisfaction": 0.7, "resolved": true, "messageCount": 4}),
        ),
    ]);
    assert_eq!(
        (value(&conversation.agent).as_deref(), value(&conversation.user).as_deref()),
        (Some("a-2"), Some("u-1"))
    );
    assert_eq!((conversation.received, conversation.sent), (2, 2));
    assert_eq!(
        (conversation.confidence.value(), conversation.processing_ms.value()),
        (Some(0.75), Some(120.5))
    );
    assert_eq!(conversation.intents.iter().collect::<Vec<_>>(), [(&"return".to_owned(), &2)]);
    assert_eq!((conversation.satisfaction(), value(&conversation.resolved)), (Some(0.7), Some(true)));
    assert_eq!((conversation.first_ms, conversation.last_ms), (Some(0), Some(60)));
    assert_eq!(value(&conversation.reported_messages), Some(4));
}

#[test]
fn how_long_it_was_is_what_its_end_says_or_the_time_between() {
    let started = (1_000, "conversation.started", json!({"sessionId": "s"}));
    let ended = |data| (9_000, "conversation.ended", data);
    assert_eq!(of(&[started.clone(), ended(json!({"sessionId": "s"}))]).duration_ms(), Some(8_000));
    assert_eq!(
        of(&[started.clone(), ended(json!({"sessionId": "s", "duration": 7.5}))]).duration_ms(),
        Some(7_500)
    );
    assert_eq!(of(&[started]).duration_ms(), None, "it goes on");
    assert_eq!(of(&[ended(json!({"sessionId": "s"}))]).duration_ms(), Some(0));
}

#[test]
fn what_is_not_what_its_type_has_counts_as_not_said() {
    let conversation = of(&[
        (0, "message.sent", json!({"sessionId": "s", "agentId": 7, "confidence": 1.5, "processingTime": -3})),
        (1, "message.sent", json!({"sessionId": "s", "confidence": "high"})),
        (
            2,
            "conversation.ended",
            json!({"sessionId": "s", "resolved": "yes", "duration": 1e300, "messageCount": -1}),
        ),
    ]);
    assert_eq!(
        (conversation.sent, conversation.confidence.count, conversation.processing_ms.count),
        (2, 0, 0)
    );
    assert_eq!((value(&conversation.agent), value(&conversation.resolved)), (None, None));
    assert_eq!((conversation.duration_ms(), value(&conversation.reported_messages)), (Some(2), None));
    let long = "x".repeat(257);
    for data in [json!({}), json!(null), json!(["s"]), json!({"sessionId": ""}), json!({"sessionId": long})] {
        assert_eq!(Note::read("e", "message.sent", UnixMs(0), &data.to_string()), None, "{data}");
    }
}

/// Events of one session, with times that collide and fields that may be missing.
fn events() -> impl Strategy<Value = Vec<Note>> {
    let agent = || prop::option::of(0_u8..3);
    let one = prop_oneof![
        agent().prop_map(|agent| ("conversation.started", json!({"agentId": agent.map(|n| format!("a-{n}"))}))),
        (0_u8..90).prop_map(|n| ("message.received", json!({"userId": "u", "intent": format!("i-{n:02}")}))),
        (agent(), prop::option::of(0.0..1.0_f64), prop::option::of(0.0..1e6_f64)).prop_map(|(agent, sure, took)| (
            "message.sent",
            json!({"agentId": agent.map(|n| format!("a-{n}")), "confidence": sure, "processingTime": took})
        )),
        (prop::option::of(0.0..1.0_f64), prop::option::of(any::<bool>()), prop::option::of(0.0..900.0_f64)).prop_map(
            |(content, resolved, duration)| (
                "conversation.ended",
                json!({"satisfaction": content, "resolved": resolved, "duration": duration})
            )
        ),
        Just(("order.made", json!({"platform": "web"}))),
    ];
    prop::collection::vec((0_i64..20, one), 1..150).prop_map(|events| {
        let notes = events.into_iter().enumerate().map(|(number, (at, (event_type, mut data)))| {
            data["sessionId"] = json!("s");
            Note::read(&format!("evt_{number}"), event_type, UnixMs(at * 600_000), &data.to_string())
                .expect("a session")
        });
        notes.collect()
    })
}

proptest! {
    #[test]
    fn events_in_any_order_end_in_the_same_summary((notes, turned) in events()
        .prop_flat_map(|notes| (Just(notes.clone()), Just(notes).prop_shuffle())))
    {
        let all = |notes: &[Note]| {
            let mut conversation = Conversation::default();
            for note in notes {
                conversation.apply(note);
                // As the store does between two events.
                let kept = serde_json::to_string(&conversation).unwrap();
                conversation = serde_json::from_str(&kept).unwrap();
            }
            conversation
        };
        prop_assert_eq!(all(&notes), all(&turned));
    }
}
