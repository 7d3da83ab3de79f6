//! Looking for attempts that stand whole in the ledger, of many deliveries at once.
//!
//! Invariants: a chunk of the tables is read once at most, however many deliveries are looked for, and the log once for
//! all, where the tables do not have them. Read `../fates.rs` next.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use rusqlite::Connection;

use super::super::ledger::records::records;
use super::super::ledger::{self, Of};
use super::record::{self, Recorded};
use crate::key::{EventKey, WebhookNo};

/// The attempts that were found, by event and webhook.
pub(in super::super) type Taken = HashMap<(EventKey, WebhookNo), Recorded>;

/// Finds those of these deliveries that were taken at an attempt that stands whole in the ledger. In one transaction with
/// whatever else is read of them.
pub(in super::super) fn taken(
    connection: &Connection,
    deliveries: impl Iterator<Item = (EventKey, WebhookNo)>,
) -> rusqlite::Result<Taken> {
    let mut taken = Taken::new();
    let mut wanted: HashMap<WebhookNo, BTreeSet<EventKey>> = HashMap::new();
    for (event, webhook) in deliveries {
        wanted.entry(webhook).or_default().insert(event);
    }
    if wanted.is_empty() {
        return Ok(taken);
    }
    for (webhook, events) in &wanted {
        look_in_tables(connection, *webhook, events, &mut taken)?;
    }
    // The log is read whole: not for what has been in the tables for long, as most that is asked for.
    if taken.len() == wanted.values().map(BTreeSet::len).sum::<usize>() {
        return Ok(taken);
    }
    let events_of = |of| match of {
        Of::Webhook(webhook) => wanted.get(&webhook).map(|events| (webhook, events)),
        Of::Tenant(_) => None,
    };
    ledger::logged(
        connection,
        |of| events_of(of).is_some(),
        |entry| {
            if let Some((webhook, events)) = events_of(entry.of) {
                look(webhook, events, entry.records, &mut taken);
            }
        },
    )?;
    Ok(taken)
}

fn look_in_tables(
    connection: &Connection,
    webhook: WebhookNo,
    events: &BTreeSet<EventKey>,
    taken: &mut Taken,
) -> rusqlite::Result<()> {
    // Chunks up to this key were looked at.
    let mut seen = i64::MIN;
    for event in events {
        if taken.contains_key(&(*event, webhook)) {
            continue;
        }
        let span = (event.0.max(seen.saturating_add(1)), record::last_whole_of(*event));
        ledger::between(connection, Of::Webhook(webhook), span, |last, bytes| {
            seen = last;
            look(webhook, events, bytes, taken);
            match taken.contains_key(&(*event, webhook)) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
    }
    Ok(())
}

fn look(webhook: WebhookNo, events: &BTreeSet<EventKey>, bytes: &[u8], taken: &mut Taken) {
    for (key, content) in records(bytes) {
        let mut rest = content;
        let which = record::read_which(key, &mut rest).filter(|_| !rest.is_empty());
        if let Some((event, _)) = which
            && events.contains(&event)
            && let Some(recorded) = record::read(key, content)
        {
            taken.insert((event, webhook), recorded);
        }
    }
}
