//! Feeds one sink: reads, gives, writes the place down.
//!
//! It exists as the one loop that decides when an event is done with at a sink: `giver.rs` says what became of a batch,
//! this writes it down. Notices go before replays, and these before new events. Invariants: the place is written after
//! the sink took the batch and before the next one is given; nothing is held in memory but one slice.
//! Read `giver.rs`, then `store/inbox.rs`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use vai_webhooks_wire::UnixMs;

use super::giver::{Fate, Giver};
use super::mail::Mail;
use super::{SinkState, Wanted};
use crate::sink::{Notice, Sink, Stored};
use crate::store::reader::{Reader, SLICE_EVENTS_MAX, Slice};
use crate::store::{Change, OpenError, Store, StoreError, look};

/// The wait after the store could not be read or written.
const STORE_WAIT_MS: u64 = 1_000;
/// Events that may be skipped before the place is written down although the sink got nothing.
const SKIPPED_MAX: i64 = 10_000;
/// Between two rounds with little to give: what came meanwhile shares a batch, a transaction and a place. An event that
/// comes when nothing did goes at once.
const GATHER: Duration = Duration::from_millis(10);

/// A sink's task.
pub(super) struct Feeder {
    store: Store,
    reader: Arc<Mutex<Reader>>,
    stored_to: watch::Receiver<i64>,
    giver: Giver,
    wanted: Arc<Wanted>,
    mail: Option<Mail>,
    state: Arc<SinkState>,
    stopping: watch::Receiver<bool>,
    /// Changed when somebody asked for a replay.
    poked: watch::Receiver<u64>,
    /// Whether some may wait although nobody asked since.
    look_for_replays: bool,
    /// Done with, as far as the disk knows.
    settled_to: i64,
    /// Done with: what lies between the two was not for this sink.
    taken_to: i64,
}

/// What a feeder is told.
#[derive(Clone)]
pub(super) struct Words {
    /// To end.
    pub(super) stopping: watch::Receiver<bool>,
    /// To look for replays.
    pub(super) poked: watch::Receiver<u64>,
    /// How long a single event may fail at a sink that is there.
    pub(super) give_up: Duration,
}

/// What a round came to.
enum Round {
    /// There may be more.
    Worked,
    /// All that was there was given: more may have come meanwhile.
    CaughtUp,
    /// Nothing waits.
    Idle,
    /// It is time to end.
    Stopped,
}

impl Feeder {
    pub(super) fn new(
        store: &Store,
        sink: Box<dyn Sink>,
        wanted: Wanted,
        mail: Option<Mail>,
        state: Arc<SinkState>,
        words: Words,
    ) -> Result<Self, OpenError> {
        let Words { stopping, poked, give_up } = words;
        let path = store.file();
        let reader = Reader::open(path).map_err(|what| OpenError::Sqlite { path: path.to_owned(), what })?;
        let taken_to = state.numbers().taken_to;
        Ok(Self {
            store: store.clone(),
            reader: Arc::new(Mutex::new(reader)),
            stored_to: store.stored_to(),
            giver: Giver::new(sink, state.clone(), stopping.clone(), give_up),
            wanted: Arc::new(wanted),
            mail,
            state,
            stopping,
            poked,
            look_for_replays: true,
            settled_to: taken_to,
            taken_to,
        })
    }

    /// Feeds until it is told to stop, or the store is down.
    pub(super) async fn run(mut self) {
        loop {
            match self.round().await {
                Ok(Round::Worked) => {}
                Ok(Round::CaughtUp) => {
                    if self.giver.waits(GATHER).await.is_none() {
                        return;
                    }
                }
                Ok(Round::Stopped) | Err(StoreError::Down) => return,
                Ok(Round::Idle) => {
                    let mut stopping = self.stopping.clone();
                    tokio::select! {
                        changed = self.stored_to.changed() => if changed.is_err() { return },
                        () = noticed(&mut self.mail) => {}
                        changed = self.poked.changed() => {
                            if changed.is_err() {
                                return;
                            }
                            self.look_for_replays = true;
                        }
                        _ = stopping.wait_for(|stop| *stop) => return,
                    }
                }
                Err(error) => {
                    tracing::error!(sink = %self.state.name(), %error, "the inbox cannot go on at the moment");
                    if self.giver.waits(Duration::from_millis(STORE_WAIT_MS)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    async fn round(&mut self) -> Result<Round, StoreError> {
        let newest = *self.stored_to.borrow_and_update();
        let name = self.state.name().clone();
        if let Some(mail) = &mut self.mail
            && let Some((number, notice)) = mail.next(&name).await?
        {
            return self.notify(number, &notice).await;
        }
        if self.look_for_replays || self.poked.has_changed().unwrap_or(false) {
            self.poked.borrow_and_update();
            let replays = look(&self.reader, move |reader| reader.replays(&name)).await?;
            self.look_for_replays = !replays.is_empty();
            if !replays.is_empty() {
                return self.replay(&replays).await;
            }
        }
        if newest <= self.taken_to {
            return Ok(Round::Idle);
        }
        let (after, wanted) = (self.taken_to, self.wanted.clone());
        let read = move |reader: &Reader| {
            let mut slice = reader.after(after, |event_type| wanted.takes_type(event_type))?;
            slice.events.retain(|stored| wanted.takes(&stored.event));
            Ok(slice)
        };
        let slice = look(&self.reader, read).await?;
        self.feed(slice).await
    }

    /// Gives a slice, a batch at a time.
    async fn feed(&mut self, slice: Slice) -> Result<Round, StoreError> {
        if slice.read_to <= self.taken_to {
            // What was stored is not there: somebody else took it out of the file.
            return Ok(Round::Idle);
        }
        if let Some(first) = slice.events.first() {
            self.skip_to(first.seq - 1);
        }
        let mut rest = &slice.events[..];
        while !rest.is_empty() {
            let Some(fate) = self.giver.put(rest).await else { return Ok(Round::Stopped) };
            let last = rest[fate.done - 1].seq;
            rest = &rest[fate.done..];
            self.settle(if rest.is_empty() { slice.read_to } else { last }, fate).await?;
        }
        self.skip_to(slice.read_to);
        if self.taken_to - self.settled_to >= SKIPPED_MAX {
            self.settle(self.taken_to, Fate { done: 0, dead: None }).await?;
        }
        Ok(if slice.events.len() < SLICE_EVENTS_MAX { Round::CaughtUp } else { Round::Worked })
    }

    /// What lies between was not for this sink; after a crash it is skipped again.
    fn skip_to(&mut self, seq: i64) {
        self.taken_to = seq.max(self.taken_to);
        self.state.change(|state| state.taken_to = self.taken_to);
    }

    async fn replay(&mut self, events: &[Stored]) -> Result<Round, StoreError> {
        let Some(fate) = self.giver.put(events).await else { return Ok(Round::Stopped) };
        let change = Change::Replayed {
            sink: self.state.name().clone(),
            seqs: events[..fate.done].iter().map(|stored| stored.seq).collect(),
            dead: fate.dead.into_iter().collect(),
            at_ms: UnixMs::now().0,
        };
        let done = i64::try_from(fate.done).unwrap_or(i64::MAX);
        let dead = self.write_down(change).await?;
        self.state.change(|state| {
            state.dead += dead;
            state.replays -= done;
        });
        Ok(Round::Worked)
    }

    /// Sends a notice, for as long as it takes.
    async fn notify(&mut self, number: i64, notice: &Notice) -> Result<Round, StoreError> {
        if self.giver.notify(notice).await.is_none() {
            return Ok(Round::Stopped);
        }
        if let Some(mail) = &mut self.mail {
            // For as long as it takes: it would be sent again.
            while let Err(error) = mail.done(number).await {
                tracing::error!(sink = %self.state.name(), %error, "a notice cannot be taken out at the moment");
                if self.giver.waits(Duration::from_millis(STORE_WAIT_MS)).await.is_none() {
                    return Ok(Round::Stopped);
                }
            }
        }
        Ok(Round::Worked)
    }

    async fn settle(&mut self, taken_to: i64, fate: Fate) -> Result<(), StoreError> {
        let change = Change::Take {
            sink: self.state.name().clone(),
            taken_to,
            dead: fate.dead.into_iter().collect(),
            at_ms: UnixMs::now().0,
        };
        let dead = self.write_down(change).await?;
        (self.settled_to, self.taken_to) = (taken_to, taken_to);
        self.state.change(|state| {
            state.taken_to = taken_to;
            state.dead += dead;
        });
        Ok(())
    }

    /// Writes down what became of events, for as long as it takes: the sink has them, and would get them again. What was
    /// not made is asked for again, and nothing else: made twice, it would undo what somebody asked for in between.
    async fn write_down(&mut self, change: Change) -> Result<i64, StoreError> {
        loop {
            let error = match self.store.change_however_late(change.clone()).await {
                Err(error) if error != StoreError::Down => error,
                done_or_down => return done_or_down,
            };
            tracing::error!(sink = %self.state.name(), %error, "a sink's place cannot be written at the moment");
            if self.giver.waits(Duration::from_millis(STORE_WAIT_MS)).await.is_none() {
                return Err(error);
            }
        }
    }
}

/// Returns when there may be notices.
async fn noticed(mail: &mut Option<Mail>) {
    match mail {
        Some(mail) => mail.wait().await,
        None => std::future::pending().await,
    }
}
