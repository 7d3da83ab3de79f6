//! Believable conversations: what people ask a shop's agent, and what it answers.
//!
//! Several go on at once, each as the six typed events have it. Read `door.rs` next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use serde_json::json;
use vai_webhooks_engine::{Engine, NewEvent, TenantId};
use vai_webhooks_wire::{
    AgentMetrics, ConversationEnded, ConversationStarted, MessageReceived, MessageSent, Metrics, TypedEvent,
};

use super::patiently;
use super::screen::Screen;

/// What is asked, what it means, and what is answered.
const TALK: [(&str, &str, &str); 10] = [
    ("Where is my order 10427?", "order.status", "It left our warehouse this morning and arrives tomorrow."),
    ("Bună! Livrați și în Cluj?", "delivery.area", "Da, livrăm în Cluj în 24 de ore."),
    ("Can I return these shoes?", "return.request", "Of course: within 30 days, and the label is free."),
    ("Vreau să schimb adresa de livrare.", "address.change", "Am schimbat-o. Pachetul pleacă azi."),
    ("Do you have this in blue?", "product.question", "We do, in sizes S to L."),
    (
        "The app says my card was declined.",
        "payment.problem",
        "The bank asked for a second check; try once more.",
    ),
    ("Cât costă livrarea?", "delivery.price", "Este gratuită peste 200 de lei."),
    ("I'd like to speak to a person.", "handover", "I'm calling a colleague; one moment."),
    ("Thanks, that helped!", "thanks", "Glad to hear it. Have a nice day!"),
    ("Is the coat waterproof?", "product.question", "Yes, to 10,000 mm."),
];
const PLATFORMS: [&str; 4] = ["web", "whatsapp", "messenger", "mobile"];
const AGENTS: [&str; 2] = ["agent-shop", "agent-support"];
/// Conversations at once.
const OPEN_MAX: usize = 4;
/// Time between two events.
const PACE_MS: std::ops::Range<u64> = 120..420;
/// An agent's metrics are due after so many events.
const METRICS_EVERY: usize = 15;

/// A conversation under way.
struct Open {
    session: String,
    user: String,
    agent: &'static str,
    platform: &'static str,
    messages: u64,
    turns_left: u32,
    /// What was asked last and waits for its answer.
    asked: Option<&'static str>,
}

/// Makes conversations and sends their events.
pub(super) struct Conversations {
    screen: Arc<Screen>,
    open: Vec<Open>,
    begun: u32,
    sent: BTreeMap<&'static str, u64>,
    total: usize,
}

impl Conversations {
    pub(super) fn new(screen: Arc<Screen>) -> Self {
        Self { screen, open: Vec::new(), begun: 0, sent: BTreeMap::new(), total: 0 }
    }

    /// Sends until `end`; gives how many of each type were sent.
    pub(super) async fn run(
        mut self,
        engine: &Engine,
        tenant: TenantId,
        end: impl Future<Output = ()>,
    ) -> anyhow::Result<BTreeMap<&'static str, u64>> {
        let mut end = std::pin::pin!(end);
        loop {
            let pace = Duration::from_millis(rand::rng().random_range(PACE_MS));
            tokio::select! {
                () = &mut end => return Ok(self.sent),
                () = tokio::time::sleep(pace) => {}
            }
            let (event_type, data) = self.next();
            let accepted =
                patiently(|| engine.trigger(tenant, NewEvent::new(event_type, data.clone()))).await?;
            *self.sent.entry(event_type).or_default() += 1;
            self.screen.accepted(event_type, accepted.id.as_str());
        }
    }

    /// The next event of any conversation.
    fn next(&mut self) -> (&'static str, String) {
        self.total += 1;
        if self.total.is_multiple_of(METRICS_EVERY) {
            return data(&metrics());
        }
        let begin = self.open.is_empty() || (self.open.len() < OPEN_MAX && rand::rng().random_bool(0.2));
        if begin {
            return self.begin();
        }
        let at = rand::rng().random_range(0..self.open.len());
        let open = &mut self.open[at];
        if let Some(answer) = open.asked.take() {
            open.messages += 1;
            return data(
                &MessageSent::new(open.session.clone(), answer)
                    .agent_id(open.agent)
                    .confidence(hundredths(60..100))
                    .processing_time(f64::from(rand::rng().random_range(120_u32..900))),
            );
        }
        if open.turns_left == 0 {
            return self.end(at);
        }
        open.turns_left -= 1;
        open.messages += 1;
        let (question, intent, answer) = TALK[rand::rng().random_range(0..TALK.len())];
        open.asked = Some(answer);
        data(
            &MessageReceived::new(open.session.clone(), question)
                .user_id(open.user.clone())
                .platform(open.platform)
                .intent(intent),
        )
    }

    fn begin(&mut self) -> (&'static str, String) {
        self.begun += 1;
        let mut rng = rand::rng();
        let open = Open {
            session: format!("s-{:04}", self.begun),
            user: format!("u-{}", rng.random_range(100..999)),
            agent: AGENTS[rng.random_range(0..AGENTS.len())],
            platform: PLATFORMS[rng.random_range(0..PLATFORMS.len())],
            messages: 0,
            turns_left: rng.random_range(1..4),
            asked: None,
        };
        let started = ConversationStarted::new(open.session.clone(), open.agent)
            .user_id(open.user.clone())
            .platform(open.platform);
        self.open.push(open);
        data(&started)
    }

    fn end(&mut self, at: usize) -> (&'static str, String) {
        let open = self.open.swap_remove(at);
        data(
            &ConversationEnded::new(open.session)
                .duration(f64::from(rand::rng().random_range(20_u32..400)))
                .message_count(open.messages)
                .satisfaction(hundredths(50..100))
                .resolved(rand::rng().random_bool(0.8)),
        )
    }
}

fn metrics() -> AgentMetrics {
    let mut rng = rand::rng();
    let metrics = Metrics {
        total_conversations: Some(rng.random_range(20..80)),
        average_response_time: Some(f64::from(rng.random_range(200_u32..700))),
        satisfaction_score: Some(hundredths(70..98)),
        resolution_rate: Some(hundredths(60..95)),
        ..Metrics::default()
    };
    AgentMetrics::new(AGENTS[rng.random_range(0..AGENTS.len())], metrics)
        .period("1h")
        .extra("source", json!("demo"))
}

fn hundredths(range: std::ops::Range<u32>) -> f64 {
    f64::from(rand::rng().random_range(range)) / 100.0
}

fn data<T: TypedEvent>(event: &T) -> (&'static str, String) {
    (T::TYPE, event.to_data())
}
