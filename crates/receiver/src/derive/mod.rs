//! What is derived from stored events: tables to read, and notices to people.
//!
//! It exists as the seam for rules and summaries. A [`Consumer`] gets each stored event once, in stored order, inside a
//! transaction on `derived.db`; its rows, its place and its notices are one commit. So after a crash it goes on where
//! its rows are, and a notice is sent again only where the crash came between the sending and writing that down; then
//! with the same id.
//!
//! How to add one: implement [`Consumer`], with its SQL in `store/derived/`, and push it in [`consumers`]. Its tables are
//! its own: prefix them with its name. Invariant: a consumer keeps nothing in memory that is not in its tables too,
//! or that it cannot read anew from them in `reload`, because a transaction that fails is rolled back. Whoever reads the
//! tables opens `derived.db` read-only ([`crate::store::derived::open_to_read`]). Read `deriver.rs` next.

mod deriver;
mod rules;
mod summaries;

pub(crate) use deriver::Deriver;

use rusqlite::Transaction;
use vai_webhooks_wire::UnixMs;

use crate::inbox::Start;
use crate::rule::Rule;
use crate::sink::{Notice, Stored};

/// Something that is derived from events.
pub(crate) trait Consumer: Send {
    /// Its place is kept under this name.
    fn name(&self) -> &str;

    /// Where it begins when it is new.
    fn start(&self) -> Start {
        Start::Oldest
    }

    /// Makes its tables where they are missing, and reads what it keeps in memory. Called at the start, and again after
    /// a transaction was rolled back.
    fn reload(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()>;

    /// Takes one event, whatever its type.
    fn take(
        &mut self,
        transaction: &Transaction<'_>,
        stored: &Stored,
        outbox: &mut Outbox,
    ) -> rusqlite::Result<()>;

    /// Called after the last event of a transaction: writes what it kept in memory since the first one.
    fn settle(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let _nothing = transaction;
        Ok(())
    }

    /// Called about every [`TICK_MS`](deriver::TICK_MS) when all stored events were taken, for what depends on time.
    fn tick(
        &mut self,
        transaction: &Transaction<'_>,
        now: UnixMs,
        outbox: &mut Outbox,
    ) -> rusqlite::Result<()> {
        let _nothing = (transaction, now, outbox);
        Ok(())
    }
}

/// Notices of one transaction, with the names of the sinks that are to send them.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Vec<(String, Notice)>);

impl Outbox {
    /// Sends `notice` through the sink named `sink`, after the commit, until the sink took or refused it.
    pub(crate) fn send(&mut self, sink: &str, notice: Notice) {
        self.0.push((sink.to_owned(), notice));
    }

    /// What was sent.
    pub(crate) fn into_notices(self) -> Vec<(String, Notice)> {
        self.0
    }
}

/// Summaries, then the rules, which look into them. These are there without a rule too, so that their place does not fall
/// behind: a rule that is configured later must not judge what is long past.
pub(crate) fn consumers(rules: Vec<Rule>) -> Vec<Box<dyn Consumer>> {
    vec![Box::new(summaries::Summaries::default()), Box::new(rules::Rules::new(rules))]
}

/// Whether summaries are among these.
pub(crate) fn keep_summaries(consumers: &[Box<dyn Consumer>]) -> bool {
    consumers.iter().any(|consumer| consumer.name() == summaries::NAME)
}
