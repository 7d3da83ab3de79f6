//! The consumer that keeps each conversation's summary and its hours.
//!
//! It exists as the seam between summaries, which are functions of values, and the deriver's transactions. Invariant:
//! an event is added once, because its row and the place are one commit. Read `summary/mod.rs` for what is kept,
//! `store/derived/summary.rs` for where.

use std::collections::HashMap;

use rusqlite::Transaction;
use vai_webhooks_wire::UnixMs;

use super::{Consumer, Outbox};
use crate::sink::Stored;
use crate::store::derived::summary;
use crate::summary::{Conversation, Hour, Note};

/// How long a conversation's summary is kept after its last event.
const KEPT_MS: i64 = 400 * 24 * 3_600_000;
/// Ticks between two times that old ones are deleted.
const TIDY_TICKS: u32 = 60;

/// What its place is kept under.
pub(super) const NAME: &str = "summaries";

#[derive(Default)]
pub(super) struct Summaries {
    ticks: u32,
    /// What the events of this transaction changed: a conversation's events come close together, and are one row.
    conversations: HashMap<String, Conversation>,
    /// The same of hours, by session, hour and agent.
    hours: HashMap<(String, i64, String), Hour>,
}

impl Consumer for Summaries {
    fn name(&self) -> &str {
        NAME
    }

    fn reload(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        self.conversations.clear();
        self.hours.clear();
        summary::begin(transaction)
    }

    fn take(
        &mut self,
        transaction: &Transaction<'_>,
        stored: &Stored,
        _outbox: &mut Outbox,
    ) -> rusqlite::Result<()> {
        let event = &stored.event;
        let note = event.envelope().ok().and_then(|envelope| {
            Note::read(&event.id, &event.event_type, envelope.timestamp, envelope.data.get())
        });
        // What belongs to no conversation has no summary.
        let Some(note) = note else { return Ok(()) };
        if !self.conversations.contains_key(&note.session) {
            let kept = summary::conversation(transaction, &note.session)?.unwrap_or_default();
            self.conversations.insert(note.session.clone(), kept);
        }
        if let Some(conversation) = self.conversations.get_mut(&note.session) {
            conversation.apply(&note);
        }
        if let Some(hour) = Hour::from_note(&note) {
            let agent = note.agent.unwrap_or_default();
            self.hours.entry((note.session, Hour::of(note.at), agent)).or_default().add(&hour);
        }
        Ok(())
    }

    fn settle(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for (session, conversation) in self.conversations.drain() {
            summary::put_conversation(transaction, &session, &conversation)?;
        }
        for ((session, hour_ms, agent), hour) in self.hours.drain() {
            summary::add_hour(transaction, &session, hour_ms, &agent, &hour)?;
        }
        Ok(())
    }

    fn tick(
        &mut self,
        transaction: &Transaction<'_>,
        now: UnixMs,
        _outbox: &mut Outbox,
    ) -> rusqlite::Result<()> {
        self.ticks += 1;
        if self.ticks >= TIDY_TICKS {
            self.ticks = 0;
            summary::forget_before(transaction, now.saturating_add(-KEPT_MS))?;
        }
        Ok(())
    }
}
