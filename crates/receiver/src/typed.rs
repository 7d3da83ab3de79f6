//! Handlers that get an event's data as a type: `on_conversation_started(|event, context| …)` and its siblings.
//!
//! They exist so that a program that handles events reads no JSON. Custom events come as structs of the program's own.
//! Invariant: data that does not fit its type is the sender's mistake and is told so ([`BadData`]); no handler sees it.
//! Read `route.rs` next.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use vai_webhooks_wire::{
    AgentMetrics, ConversationEnded, ConversationStarted, MessageReceived, MessageSent, TypedEvent, UnixMs,
    WebhookTest,
};

use crate::builder::ReceiverBuilder;
use crate::event::Event;
use crate::inline::InlineBuilder;
use crate::route::{Handler, HandlerError, HandlerFuture};

/// What is known of an event beside its data: derefs to the [`Event`].
#[derive(Debug, Clone)]
pub struct Context {
    event: Arc<Event>,
    /// When it happened: the envelope's `timestamp`.
    pub timestamp: UnixMs,
}

impl Deref for Context {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

/// An event's data does not fit the handler's type. Shows where, and nothing of the data.
#[derive(Debug, thiserror::Error)]
#[error("the data of {event_type} does not fit: {source}")]
pub struct BadData {
    /// The event type.
    pub event_type: String,
    /// Where it does not fit.
    pub source: serde_json::Error,
}

/// Reads the data and calls `handler`.
pub(crate) fn typed<T, F, Work>(handler: F) -> impl Handler
where
    T: DeserializeOwned + Send + 'static,
    F: Fn(T, Context) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let handler = Arc::new(handler);
    move |event: Arc<Event>| -> HandlerFuture {
        let handler = handler.clone();
        Box::pin(async move {
            let envelope = event.envelope()?;
            let data = serde_json::from_str(envelope.data.get())
                .map_err(|source| BadData { event_type: event.event_type.clone(), source })?;
            let context = Context { timestamp: envelope.timestamp, event: event.clone() };
            handler(data, context).await
        })
    }
}

macro_rules! typed_handlers {
    ($builder:ident) => {
        impl $builder {
            /// Calls `handler` with the data of every event that `filter` (a name, `prefix.*` or `*`) takes, as your type.
            pub fn on_data<T, F, Work>(self, filter: &str, handler: F) -> Self
            where
                T: DeserializeOwned + Send + 'static,
                F: Fn(T, Context) -> Work + Send + Sync + 'static,
                Work: Future<Output = Result<(), HandlerError>> + Send + 'static,
            {
                self.on(filter, typed(handler))
            }

            /// As [`on_data`](Self::on_data) for an event whose type says its name.
            pub fn on_typed<T, F, Work>(self, handler: F) -> Self
            where
                T: TypedEvent + DeserializeOwned + Send + 'static,
                F: Fn(T, Context) -> Work + Send + Sync + 'static,
                Work: Future<Output = Result<(), HandlerError>> + Send + 'static,
            {
                self.on_data(T::TYPE, handler)
            }

            typed_handlers! { methods
                on_conversation_started: ConversationStarted, "`conversation.started`",
                on_message_received: MessageReceived, "`message.received`",
                on_message_sent: MessageSent, "`message.sent`",
                on_conversation_ended: ConversationEnded, "`conversation.ended`",
                on_agent_metrics: AgentMetrics, "`agent.metrics`",
                on_webhook_test: WebhookTest, "`webhook.test`",
            }
        }
    };
    (methods $($name:ident: $event:ty, $doc:literal,)*) => {
        $(
            #[doc = concat!("Calls `handler` with every ", $doc, ".")]
            pub fn $name<F, Work>(self, handler: F) -> Self
            where
                F: Fn($event, Context) -> Work + Send + Sync + 'static,
                Work: Future<Output = Result<(), HandlerError>> + Send + 'static,
            {
                self.on_typed(handler)
            }
        )*
    };
}

typed_handlers!(ReceiverBuilder);
typed_handlers!(InlineBuilder);
