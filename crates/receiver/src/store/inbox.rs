//! What the inbox keeps for each sink: its place, its dead letters, and what it is to get again.
//!
//! It exists so that these change in the writer's own transactions: a place is on disk as surely as an event. A sink's
//! place says that every event up to it was taken, was not for the sink, or is a dead letter. Invariant: an event is
//! a sink's dead letter or waits for its replay or neither, never both. Read `inbox/feeder.rs` next.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction};

/// Events that go in one transaction of the writer, so that senders never wait long for it.
const RETAIN_EVENTS_MAX: i64 = 256;

/// An event that a sink will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dead {
    /// The event.
    pub(crate) seq: i64,
    /// What the sink said.
    pub(crate) detail: String,
}

/// A change of what is kept for a sink.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Makes the sink known, after the event `after`; one that is known keeps its place. Answers the place.
    Begin { sink: Arc<str>, after: i64 },
    /// The sink is done with every event up to `taken_to`. Answers how many dead letters came to it.
    Take { sink: Arc<str>, taken_to: i64, dead: Vec<Dead>, at_ms: i64 },
    /// The sink is done with these replays. Answers how many dead letters came to it.
    Replayed { sink: Arc<str>, seqs: Vec<i64>, dead: Vec<Dead>, at_ms: i64 },
    /// The sink is to get these again. Answers how many.
    Replay { sink: Arc<str>, which: Which },
    /// These dead letters are let go. Answers how many.
    Discard { sink: Arc<str>, which: Which },
    /// Every sink is done with all up to `done_to`, at `at_ms`; events that were done at `before_ms` go, a slice of
    /// them. Answers how many went.
    Retain { done_to: i64, at_ms: i64, before_ms: i64 },
}

/// Which events somebody means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// All dead letters of the sink.
    AllDead,
    /// The dead letter or the event of this id.
    Id(String),
    /// Events that arrived in this time, whatever became of them: from, to (not included), Unix milliseconds.
    Received(i64, i64),
}

impl Change {
    /// Makes it, inside the writer's transaction.
    pub(super) fn apply(&self, transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
        match self {
            Self::Begin { sink, after } => {
                let mut begin = transaction.prepare_cached(
                    "INSERT INTO sinks (name, taken_to) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
                )?;
                begin.execute((&**sink, after))?;
                let mut place = transaction.prepare_cached("SELECT taken_to FROM sinks WHERE name = ?1")?;
                place.query_row([&**sink], |row| row.get(0))
            }
            Self::Take { sink, taken_to, dead, at_ms } => {
                let mut take = transaction
                    .prepare_cached("UPDATE sinks SET taken_to = max(taken_to, ?2) WHERE name = ?1")?;
                take.execute((&**sink, taken_to))?;
                bury(transaction, sink, dead, *at_ms)
            }
            Self::Replayed { sink, seqs, dead, at_ms } => {
                let mut done =
                    transaction.prepare_cached("DELETE FROM replays WHERE sink = ?1 AND seq = ?2")?;
                for seq in seqs {
                    done.execute((&**sink, seq))?;
                }
                bury(transaction, sink, dead, *at_ms)
            }
            Self::Replay { sink, which } => replay(transaction, sink, which),
            Self::Discard { sink, which } => discard(transaction, sink, which),
            Self::Retain { done_to, at_ms, before_ms } => retain(transaction, *done_to, *at_ms, *before_ms),
        }
    }
}

fn replay(transaction: &Transaction<'_>, sink: &str, which: &Which) -> rusqlite::Result<i64> {
    const PUT: &str = "INSERT INTO replays (sink, seq) SELECT ?1, seq FROM";
    const ONCE: &str = "ON CONFLICT (sink, seq) DO NOTHING";
    let count = match which {
        Which::AllDead => {
            transaction.execute(&format!("{PUT} dead_letters WHERE sink = ?1 {ONCE}"), [sink])?
        }
        Which::Id(id) => transaction.execute(&format!("{PUT} events WHERE id = ?2 {ONCE}"), (sink, id))?,
        Which::Received(from, to) => {
            // By their order, in which times grow: without an index on time, but for a clock that was set back.
            let sql = format!("{PUT} events WHERE received_at_ms >= ?2 AND received_at_ms < ?3 {ONCE}");
            transaction.execute(&sql, (sink, from, to))?
        }
    };
    transaction.execute(
        "DELETE FROM dead_letters WHERE sink = ?1 AND seq IN (SELECT seq FROM replays WHERE sink = ?1)",
        [sink],
    )?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

fn discard(transaction: &Transaction<'_>, sink: &str, which: &Which) -> rusqlite::Result<i64> {
    const DELETE: &str = "DELETE FROM dead_letters WHERE sink = ?1";
    let of_events = "AND seq IN (SELECT seq FROM events WHERE";
    let count = match which {
        Which::AllDead => transaction.execute(DELETE, [sink])?,
        Which::Id(id) => transaction.execute(&format!("{DELETE} {of_events} id = ?2)"), (sink, id))?,
        Which::Received(from, to) => {
            let sql = format!("{DELETE} {of_events} received_at_ms >= ?2 AND received_at_ms < ?3)");
            transaction.execute(&sql, (sink, from, to))?
        }
    };
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Dead letters and what waits for a replay are not done with: they stay. So does the newest event, whose number the
/// next one's is made from: numbers that began anew would lie before every sink's place.
fn retain(transaction: &Transaction<'_>, done_to: i64, at_ms: i64, before_ms: i64) -> rusqlite::Result<i64> {
    let newest: Option<i64> =
        transaction.query_row("SELECT max(done_to) FROM done", [], |row| row.get(0)).optional()?.flatten();
    if newest.is_none_or(|newest| newest < done_to) {
        transaction.execute(
            "INSERT INTO done (at_ms, done_to) VALUES (?1, ?2)
             ON CONFLICT (at_ms) DO UPDATE SET done_to = max(done_to, excluded.done_to)",
            (at_ms, done_to),
        )?;
    }
    let over: Option<i64> =
        transaction
            .query_row("SELECT max(done_to) FROM done WHERE at_ms <= ?1", [before_ms], |row| row.get(0))?;
    let Some(over) = over else { return Ok(0) };
    let gone = transaction.execute(
        "DELETE FROM events WHERE seq IN (
            SELECT seq FROM events WHERE seq <= ?1 AND seq < (SELECT max(seq) FROM events)
               AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE dead_letters.seq = events.seq)
               AND NOT EXISTS (SELECT 1 FROM replays WHERE replays.seq = events.seq)
             ORDER BY seq LIMIT ?2)",
        (over, RETAIN_EVENTS_MAX),
    )?;
    if gone == 0 {
        transaction.execute("DELETE FROM done WHERE done_to < ?1", [over])?;
    }
    Ok(i64::try_from(gone).unwrap_or(i64::MAX))
}

fn bury(transaction: &Transaction<'_>, sink: &str, dead: &[Dead], at_ms: i64) -> rusqlite::Result<i64> {
    let mut bury = transaction.prepare_cached(
        "INSERT INTO dead_letters (sink, seq, died_at_ms, detail) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (sink, seq) DO UPDATE SET died_at_ms = excluded.died_at_ms, detail = excluded.detail",
    )?;
    for Dead { seq, detail } in dead {
        bury.execute((sink, seq, at_ms, detail))?;
    }
    Ok(i64::try_from(dead.len()).unwrap_or(i64::MAX))
}
