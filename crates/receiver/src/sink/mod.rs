//! What a sink is: a place where stored events go, and what it promises in return.
//!
//! It exists so that the inbox can give every sink each event of its filter, in stored order, again and again until it
//! is taken, without knowing what a sink does. Invariants: a sink gets one batch at a time; a batch that is answered
//! `Ok` is kept by the sink as durably as it can; the same event may come again after a crash or an error, with the
//! same `seq` and `id`, and a sink that can be idempotent by one of them is.
//!
//! A kind is one file beside this one with one function `open`, named in [`kinds`]'s table: settings in, a sink or a
//! sentence that says what is wrong with them out. `open` reaches nothing over a network: a sink that is down must not
//! keep the receiver from starting. Read [`kinds`] next, then `jsonl.rs` as an example, then `inbox/feeder.rs`, which
//! calls it.

mod clickhouse;
pub(crate) mod client;
mod email;
mod escape;
mod fields;
mod hidden;
mod http;
mod jsonl;
pub(crate) mod kinds;
mod message;
mod parquet;
mod postgres;
mod settings;
mod slack;
mod sqlite;
mod tables;
mod teams;
mod template;
mod whole;

use std::time::Duration;

use futures_util::future::BoxFuture;

pub use kinds::open;
pub use settings::{Settings, SettingsError};

use crate::event::Event;

/// A stored event on its way to a sink.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its place in the inbox: grows in stored order, except where `replay` is true.
    pub seq: i64,
    /// Somebody asked that this sink gets it again. A batch is all replay or none of it.
    pub replay: bool,
    /// The event.
    pub event: Event,
}

/// A message of a rule to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The same whenever this notice is sent again.
    pub id: String,
    /// One line.
    pub title: String,
    /// A few lines of plain text.
    pub text: String,
}

/// Why a batch or a notice was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The sink is not there, or says to come again: nothing of the batch counts as taken.
    #[error("{detail}")]
    Again {
        /// What happened, in a sentence.
        detail: String,
        /// How long the sink asked to be left alone.
        after: Option<Duration>,
    },
    /// The sink will never take this one event of the batch; those before it were taken. It becomes a dead letter,
    /// and the sink gets those after it as the next batch.
    #[error("{detail}")]
    Refused {
        /// Its index in the batch; 0 for a notice.
        at: usize,
        /// What the sink said.
        detail: String,
    },
}

impl SinkError {
    /// To come again, when the inbox thinks it right.
    pub fn again(detail: impl ToString) -> Self {
        Self::Again { detail: detail.to_string(), after: None }
    }
}

/// A place where events go.
pub trait Sink: Send {
    /// Takes a batch, in order; never an empty one. Given up (dropped) after
    /// [`PUT_MS_MAX`](crate::inbox::PUT_MS_MAX), as after an error of the kind `Again`: the same batch comes again.
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Sends a message. Sinks that are no place for messages refuse it.
    fn notify<'a>(&'a mut self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SinkError>> {
        let detail = format!("this sink takes no messages, so {:?} was not sent", notice.title);
        Box::pin(async { Err(SinkError::Refused { at: 0, detail }) })
    }

    /// Reaches the sink without changing anything there: one sentence that says what was found.
    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>>;

    /// The most events that one batch should hold.
    fn batch_max(&self) -> usize {
        256
    }
}
