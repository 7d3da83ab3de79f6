//! The inbox: gives every sink each stored event of its filter, in stored order, from a place that is on disk.
//!
//! It exists so that a crash, a sink that is down, and a sink that is slow cost time and never an event. Each sink has
//! a task of its own ([`feeder`]), so that none waits for another. Order is the stored order, so that of each session
//! too. Invariant: a sink's place moves past an event only after the sink took it, refused it for good (a dead letter),
//! or its filter did. What is derived from events (`derive/`) has a task here too, and its notices go to sinks by their
//! feeders. Read `feeder.rs` next.

mod feeder;
mod giver;
mod mail;
pub(crate) mod retention;
mod state;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use giver::{GIVE_UP_MS, PUT_MS_MAX};
pub use retention::RETAIN_MS;
pub(crate) use state::{SinkNumbers, SinkState};

use crate::derive::{Consumer, Deriver};
use crate::event::Event;
use crate::route::Filter;
use crate::rule::Fact;
use crate::rule::condition::Condition;
use crate::sink::Sink;
use crate::store::derived::{self, Derived};
use crate::store::reader::Reader;
use crate::store::{Change, OpenError, Store, StoreError, Which};
use feeder::{Feeder, Words};
use mail::Mail;

/// Where a sink begins that the inbox does not know yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the next event that is stored.
    #[default]
    Now,
    /// With the oldest event in the inbox.
    Oldest,
}

/// Which events a sink gets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// One must take the event's type.
    pub(crate) filters: Vec<Filter>,
    /// It must hold.
    pub(crate) condition: Option<Condition>,
}

impl Wanted {
    fn takes_type(&self, event_type: &str) -> bool {
        self.filters.iter().any(|filter| filter.takes(event_type))
    }

    fn takes(&self, event: &Event) -> bool {
        let Some(condition) = &self.condition else { return true };
        // It was parsed before it was stored: an error is a file that somebody changed, and no condition holds.
        let Ok(envelope) = event.envelope() else { return false };
        let data: Value = serde_json::from_str(envelope.data.get()).unwrap_or_default();
        condition.holds(&Fact {
            id: &event.id,
            event_type: &event.event_type,
            timestamp: envelope.timestamp,
            arrived: event.received_at,
            data: &data,
            session_agent: None,
        })
    }
}

/// A sink, and what it is fed with.
pub(crate) struct Fed {
    pub(crate) name: Arc<str>,
    pub(crate) kind: String,
    pub(crate) wanted: Wanted,
    pub(crate) start: Start,
    pub(crate) sink: Box<dyn Sink>,
}

/// The running feeders.
pub(crate) struct Inbox {
    store: Store,
    stop: watch::Sender<bool>,
    poke: watch::Sender<u64>,
    /// Taken by the first `stop`.
    feeders: Mutex<JoinSet<()>>,
    states: Vec<Arc<SinkState>>,
    /// What is derived from events is done with all up to this one; where nothing is, any number.
    derived_to: watch::Receiver<i64>,
}

impl Inbox {
    /// Makes the sinks known to the store and begins to feed them.
    pub(crate) async fn start(
        store: &Store,
        sinks: Vec<Fed>,
        consumers: Vec<Box<dyn Consumer>>,
        give_up: Duration,
    ) -> Result<Self, OpenError> {
        let (stop, stopping) = watch::channel(false);
        let (poke, poked) = watch::channel(0);
        let mut inbox = Self {
            store: store.clone(),
            stop,
            poke,
            feeders: Mutex::default(),
            states: Vec::new(),
            derived_to: watch::channel(i64::MAX).1,
        };
        let words = Words { stopping, poked, give_up };
        let newest = *store.stored_to().borrow();
        let notices = match consumers.is_empty() {
            true => None,
            false => Some(inbox.derive(store, consumers, newest).await?),
        };
        for Fed { name, kind, wanted, start, sink } in sinks {
            let after = match start {
                Start::Now => newest,
                Start::Oldest => 0,
            };
            let begin = Change::Begin { sink: name.clone(), after };
            let taken_to = store.change(begin).await.map_err(OpenError::Store)?;
            let state = Arc::new(SinkState::new(name, kind, taken_to));
            let mail = match &notices {
                Some(noticed) => Some(Mail::open(store, noticed.clone())?),
                None => None,
            };
            let feeder = Feeder::new(store, sink, wanted, mail, state.clone(), words.clone())?;
            inbox.feeders.get_mut().unwrap_or_else(PoisonError::into_inner).spawn(feeder.run());
            inbox.count_set_aside(&state).await;
            inbox.states.push(state);
        }
        Ok(inbox)
    }

    /// Begins to derive from events.
    async fn derive(
        &mut self,
        store: &Store,
        consumers: Vec<Box<dyn Consumer>>,
        newest: i64,
    ) -> Result<watch::Receiver<u64>, OpenError> {
        let (file, directory) = (store.file().to_owned(), store.directory().to_owned());
        let open = move || {
            let sqlite = |path: &Path, what| OpenError::Sqlite { path: path.to_owned(), what };
            let reader = Reader::open(&file).map_err(|what| sqlite(&file, what))?;
            let identity = reader.identity().map_err(|what| sqlite(&file, what))?;
            let path = directory.join(derived::FILE_NAME);
            let derived = Derived::open(&directory, &identity, newest)?;
            let noticed = derived.noticed();
            let deriver = Deriver::open(reader, derived, consumers, newest);
            Ok((deriver.map_err(|what| sqlite(&path, what))?, noticed))
        };
        let opened = tokio::task::spawn_blocking(open).await;
        let (deriver, noticed) =
            opened.map_err(|error| OpenError::Thread(std::io::Error::other(error)))??;
        self.derived_to = deriver.taken_to();
        let feeders = self.feeders.get_mut().unwrap_or_else(PoisonError::into_inner);
        feeders.spawn(deriver.run(store.stored_to(), self.stop.subscribe()));
        Ok(noticed)
    }

    /// What is known of each sink, in the order of the configuration.
    pub(crate) fn states(&self) -> &[Arc<SinkState>] {
        &self.states
    }

    /// The sink of this name.
    pub(crate) fn sink(&self, name: &str) -> Option<&Arc<SinkState>> {
        self.states.iter().find(|state| &**state.name() == name)
    }

    /// Has a sink get events again; answers how many.
    pub(crate) async fn replay(&self, sink: &SinkState, which: Which) -> Result<i64, StoreError> {
        let count = self.store.change(Change::Replay { sink: sink.name().clone(), which }).await?;
        self.count_set_aside(sink).await;
        self.poke.send_modify(|count| *count += 1);
        Ok(count)
    }

    /// Lets dead letters go; answers how many.
    pub(crate) async fn discard(&self, sink: &SinkState, which: Which) -> Result<i64, StoreError> {
        let count = self.store.change(Change::Discard { sink: sink.name().clone(), which }).await?;
        self.count_set_aside(sink).await;
        Ok(count)
    }

    /// Shown numbers only: where the file cannot be read they stay as they were.
    async fn count_set_aside(&self, sink: &SinkState) {
        let name = sink.name().clone();
        if let Ok((dead, replays)) = self.store.look(move |reader| reader.set_aside(&name)).await {
            sink.change(|state| (state.dead, state.replays) = (dead, replays));
        }
    }

    /// Every sink, and what is derived, is done with all events up to this one.
    pub(crate) fn done_to(&self) -> i64 {
        let sinks = self.states.iter().map(|state| state.numbers().taken_to);
        let derived = *self.derived_to.borrow();
        sinks.chain([derived]).min().unwrap_or(0).min(*self.store.stored_to().borrow())
    }

    /// How many stored events summaries and rules are not done with yet.
    pub(crate) fn derive_waits(&self) -> i64 {
        (*self.store.stored_to().borrow() - *self.derived_to.borrow()).max(0)
    }

    /// Lets each sink end the batch it has, and returns when all did. What is left waits on disk.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let mut feeders = std::mem::take(&mut *self.feeders.lock().unwrap_or_else(PoisonError::into_inner));
        while feeders.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests;
