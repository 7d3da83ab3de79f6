//! Which handlers an event goes to, and how they are run.
//!
//! It exists so that "do something with `message.*`" is one line in the embedding program. Invariants:
//! a handler runs only for an event that is on disk, in the order in which events were stored, one
//! after another; its error, its panic or its silence ([`HANDLER_MS_MAX`]) is logged and touches
//! neither the event nor the next handler. Read `worker.rs` next.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use vai_webhooks_wire::is_event_type;

use crate::event::Event;

/// How long a handler may work on one event. What takes longer is given up.
pub const HANDLER_MS_MAX: u64 = 30_000;

/// Whatever a handler says went wrong.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// A handler's work on one event.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// Does something with an event. Every `async` function of an `Arc<Event>` is one.
pub trait Handler: Send + Sync + 'static {
    /// Works on one event, at most once: a crash after the event was stored skips it.
    fn handle(&self, event: Arc<Event>) -> HandlerFuture;
}

impl<F, Work> Handler for F
where
    F: Fn(Arc<Event>) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    fn handle(&self, event: Arc<Event>) -> HandlerFuture {
        Box::pin(self(event))
    }
}

/// Which event types a handler is for: a name, `prefix.*`, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    Any,
    Exactly(String),
    /// With its final dot.
    Under(String),
}

impl Filter {
    /// Reads a filter; `None` where it is none of the three forms.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        match text.strip_suffix(".*") {
            Some(prefix) if is_event_type(prefix) => Some(Self::Under(format!("{prefix}."))),
            None if is_event_type(text) => Some(Self::Exactly(text.to_owned())),
            _ => None,
        }
    }

    /// Whether it is for such events.
    pub(crate) fn takes(&self, event_type: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(name) => name == event_type,
            Self::Under(prefix) => event_type.starts_with(prefix.as_str()),
        }
    }
}

/// The handlers in the order in which they were given.
#[derive(Default)]
pub(crate) struct Routes(Vec<(Filter, Arc<dyn Handler>)>);

impl Routes {
    pub(crate) fn add(&mut self, filter: Filter, handler: impl Handler) {
        self.0.push((filter, Arc::new(handler)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs every handler that is for this event. Stops with them where it is dropped.
    pub(crate) async fn run(&self, event: Event) {
        let event = Arc::new(event);
        for (_, handler) in self.0.iter().filter(|(filter, _)| filter.takes(&event.event_type)) {
            if let Err(error) = run_one(handler.clone(), event.clone()).await {
                tracing::error!(event = %event.event_type, id = %event.id, %error, "a handler did not finish");
            }
        }
    }
}

impl Routes {
    /// Runs every handler that is for this event, until one fails.
    pub(crate) async fn try_run(&self, event: Event) -> Result<(), HandlerError> {
        let event = Arc::new(event);
        for (_, handler) in self.0.iter().filter(|(filter, _)| filter.takes(&event.event_type)) {
            run_one(handler.clone(), event.clone()).await?;
        }
        Ok(())
    }
}

/// In a task of its own, so that a panic ends here; `call` is inside it for the same reason.
async fn run_one(handler: Arc<dyn Handler>, event: Arc<Event>) -> Result<(), HandlerError> {
    let mut task = JoinSet::new();
    task.spawn(async move { handler.handle(event).await });
    match tokio::time::timeout(Duration::from_millis(HANDLER_MS_MAX), task.join_next()).await {
        Ok(Some(Ok(result))) => result,
        Ok(Some(Err(panicked))) => Err(Box::new(panicked)),
        Ok(None) => Ok(()),
        Err(late) => Err(Box::new(late)),
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(filter, _)| filter)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_what_it_says() {
        let table = [
            ("*", "message.sent", true),
            ("message.sent", "message.sent", true),
            ("message.sent", "message.sent.now", false),
            ("message.*", "message.sent", true),
            ("message.*", "message.sent.now", true),
            ("message.*", "message", false),
            ("message.*", "messages.sent", false),
        ];
        for (filter, event_type, takes) in table {
            let filter = Filter::parse(filter).expect(filter);
            assert_eq!(filter.takes(event_type), takes, "{filter:?} {event_type}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["", ".*", "**", "*.sent", "message.", "message..sent", "me ssage", "message.*.*"] {
            assert_eq!(Filter::parse(text), None, "{text}");
        }
    }
}
