//! Prompt deliveries: those that are handed over in memory and have no row while they are.
//!
//! It exists because most deliveries are taken at the first attempt within a moment: a row that is
//! inserted, indexed, changed and taken out of the index again would be most of the store's work. An
//! event's own row says where it goes; after a crash [`recover`] gives rows to what was not settled.
//! Invariant: every event with a prompt delivery that is not settled has a key of at least
//! `recover_from`, which is on disk before anything below it is forgotten. Read `deliveries.rs` next.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, TransactionBehavior, params};

use super::attempts::taken::taken;
use super::columns::targets_of;
use super::deliveries;
use crate::key::{EventKey, WebhookNo, millis_later};
use crate::webhook::Form;

/// How far behind the newest key an event's key may be when it is written, in milliseconds: what waited
/// longer is refused.
const LATE_MS: i64 = 5_000;
/// Keys are counted by spans of about this many milliseconds.
const SPAN_MS: i64 = 1_000;
/// Deliveries that are looked for at once after a crash.
const AT_ONCE: usize = 4_096;

/// A delivery without a row, and its form.
type Bare = (EventKey, WebhookNo, Option<Form>);

/// Prompt deliveries that are not settled.
#[derive(Debug)]
pub(super) struct Prompt {
    /// All of them. They are in memory, so that there are not too many (`schedule/room.rs`).
    pending: HashSet<(EventKey, WebhookNo), foldhash::fast::RandomState>,
    /// The same, counted by spans of their events' keys.
    spans: BTreeMap<i64, u32>,
    newest: i64,
    /// `newest` as it was last written.
    written: i64,
}

impl Prompt {
    /// A count that goes on after the key `newest`.
    pub(super) fn after(newest: i64) -> Self {
        // With the first commit `newest` is written: where the clock is behind, its keys are all within one span, and
        // after a crash in it they would be given again.
        Self { pending: HashSet::default(), spans: BTreeMap::new(), newest, written: i64::MIN }
    }

    /// Whether an event of this key comes too late to be written.
    pub(super) fn is_late(&self, key: EventKey) -> bool {
        key.0 < millis_later(self.newest, -LATE_MS)
    }

    /// A key was written.
    pub(super) fn saw(&mut self, key: i64) {
        self.newest = self.newest.max(key);
    }

    /// An event got a prompt delivery to this webhook.
    pub(super) fn add(&mut self, event: EventKey, webhook: WebhookNo) {
        if self.pending.insert((event, webhook)) {
            *self.spans.entry(span(event.0)).or_default() += 1;
        }
    }

    /// Whether this is a prompt delivery that is not settled.
    pub(super) fn has(&self, event: EventKey, webhook: WebhookNo) -> bool {
        self.pending.contains(&(event, webhook))
    }

    /// This delivery is settled, or gets a row; `false` where it is no prompt one, or was settled before.
    pub(super) fn remove(&mut self, event: EventKey, webhook: WebhookNo) -> bool {
        if !self.pending.remove(&(event, webhook)) {
            return false;
        }
        if let Some(count) = self.spans.get_mut(&span(event.0)) {
            *count -= 1;
            if *count == 0 {
                self.spans.remove(&span(event.0));
            }
        }
        true
    }

    /// When the oldest one's event was accepted, give or take a second.
    pub(super) fn oldest(&self) -> Option<EventKey> {
        self.spans.first_key_value().map(|(span, _)| EventKey(millis_later(0, span * SPAN_MS)))
    }

    /// Notes where to begin after a crash, about once in a second.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if span(self.newest) == span(self.written) {
            return Ok(());
        }
        let unwritten = millis_later(self.newest, -LATE_MS);
        let from = self.oldest().map_or(unwritten, |oldest| oldest.0.min(unwritten));
        self.put(connection, from)
    }

    /// Notes the same exactly, when nothing more comes.
    pub(super) fn write_last(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let from = self.oldest().map_or(self.newest + 1, |oldest| oldest.0);
        self.put(connection, from)
    }

    fn put(&mut self, connection: &Connection, from: i64) -> rusqlite::Result<()> {
        let mut set = connection.prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1")?;
        set.execute(params!["newest", self.newest])?;
        set.execute(params!["recover_from", from])?;
        self.written = self.newest;
        Ok(())
    }
}

fn span(key: i64) -> i64 {
    key / millis_later(0, SPAN_MS)
}

/// A key that is above every key in the file.
pub(super) fn above_all(connection: &Connection) -> rusqlite::Result<i64> {
    let newest =
        connection.query_row("SELECT value FROM meta WHERE name = 'newest'", [], |row| row.get(0))?;
    let event = connection.query_row("SELECT coalesce(max(key), 0) FROM events", [], |row| row.get(0))?;
    // `newest` is written when the second after it has begun: attempts may be so much younger.
    Ok(millis_later(i64::max(newest, event), 2 * SPAN_MS))
}

/// Gives rows to the prompt deliveries that were not settled when the process ended.
pub(super) fn recover(connection: &mut Connection) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut recovered = 0;
    for (event, webhook, form) in without_row(&transaction)? {
        deliveries::insert_row(&transaction, event, webhook, event.at(), form)?;
        recovered += 1;
    }
    transaction.commit()?;
    Ok(recovered)
}

/// The deliveries of events since the mark that are not settled and have no row. There may be any number of others, since
/// the mark stands still while the clock is behind: they are not kept in memory.
fn without_row(connection: &Connection) -> rusqlite::Result<Vec<Bare>> {
    let mut events = connection.prepare(
        "SELECT key, targets FROM events
         WHERE key >= (SELECT value FROM meta WHERE name = 'recover_from') AND targets IS NOT NULL",
    )?;
    let mut has_row = connection.prepare("SELECT 1 FROM deliveries WHERE event = ?1 AND webhook = ?2")?;
    let mut was_tried =
        connection.prepare("SELECT 1 FROM attempts WHERE event = ?1 AND webhook = ?2 AND number = 1")?;
    let mut rows = events.query([])?;
    let (mut found, mut asked) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let event = EventKey(row.get(0)?);
        for (webhook, form) in targets_of(row.get_ref(1)?.as_blob_or_null()?) {
            let delivery = params![event.0, webhook.0];
            if !was_tried.exists(delivery)? && !has_row.exists(delivery)? {
                asked.push((event, webhook, form));
            }
        }
        if asked.len() >= AT_ONCE {
            keep_untaken(connection, &mut asked, &mut found)?;
        }
    }
    keep_untaken(connection, &mut asked, &mut found)?;
    Ok(found)
}

/// Moves those that were not taken from `asked` to `found`, and forgets the others.
fn keep_untaken(
    connection: &Connection,
    asked: &mut Vec<Bare>,
    found: &mut Vec<Bare>,
) -> rusqlite::Result<()> {
    let taken = taken(connection, asked.iter().map(|(event, webhook, _)| (*event, *webhook)))?;
    found.extend(asked.drain(..).filter(|(event, webhook, _)| !taken.contains_key(&(*event, *webhook))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    fn at(ms: i64) -> EventKey {
        EventKey(millis_later(0, ms))
    }

    #[test]
    fn the_oldest_that_is_not_settled_is_known_to_the_second() {
        let mut prompt = Prompt::after(0);
        let (one, other) = (WebhookNo(1), WebhookNo(2));
        prompt.add(at(5_500), one);
        prompt.add(at(5_500), other);
        prompt.add(at(9_100), one);
        assert_eq!(prompt.oldest(), Some(at(5_000)));
        assert!(prompt.remove(at(5_500), one));
        assert!(!prompt.remove(at(5_500), one), "once");
        assert!(!prompt.remove(at(9_100), other), "it is none");
        assert_eq!(prompt.oldest(), Some(at(5_000)));
        assert!(prompt.remove(at(5_500), other));
        assert_eq!(prompt.oldest(), Some(at(9_000)));
        assert!(prompt.remove(at(9_100), one));
        assert_eq!(prompt.oldest(), None);
    }

    #[test]
    fn an_event_that_waited_too_long_is_late() {
        let mut prompt = Prompt::after(0);
        prompt.saw(at(60_000).0);
        assert!(!prompt.is_late(at(60_000 - LATE_MS)));
        assert!(prompt.is_late(at(60_000 - LATE_MS - 1)));
    }

    #[test]
    fn keys_of_a_start_that_was_followed_by_a_crash_are_not_given_again() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0, &crate::rng::SystemRng).unwrap();
        // The clock is behind and no event comes: attempts alone get the next keys.
        let above = above_all(&connection).unwrap();
        let mut prompt = Prompt::after(above);
        prompt.saw(above + 1);
        prompt.write(&connection).unwrap();
        assert!(above_all(&connection).unwrap() > above + 1);
    }
}
