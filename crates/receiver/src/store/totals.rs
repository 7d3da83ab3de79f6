//! What `/webhook/status` counts: events and duplicates by kind, and the time of the last event.
//!
//! It exists because the seed's receiver answered invented zeros. The numbers are kept in a table of
//! eight rows, changed in the same transaction as the events they count, so they survive a restart
//! and never disagree with what is stored. Invariant: a fixed number of kinds, whatever names a
//! sender makes up. Read `writer.rs` next.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction};

/// The kinds that are counted apart: the contract's six, and all other names together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    ConversationStarted,
    MessageReceived,
    MessageSent,
    ConversationEnded,
    AgentMetrics,
    WebhookTest,
    Custom,
}

impl Kind {
    /// Every kind, in the order in which the status names them.
    pub(crate) const ALL: [Self; 7] = [
        Self::ConversationStarted,
        Self::MessageReceived,
        Self::MessageSent,
        Self::ConversationEnded,
        Self::AgentMetrics,
        Self::WebhookTest,
        Self::Custom,
    ];

    /// The kind of an event type's name.
    pub(crate) fn of(event_type: &str) -> Self {
        match event_type {
            "conversation.started" => Self::ConversationStarted,
            "message.received" => Self::MessageReceived,
            "message.sent" => Self::MessageSent,
            "conversation.ended" => Self::ConversationEnded,
            "agent.metrics" => Self::AgentMetrics,
            "webhook.test" => Self::WebhookTest,
            _ => Self::Custom,
        }
    }

    /// The member's name in `totalReceived` (the seed's spelling), and the key in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ConversationStarted => "conversationStarted",
            Self::MessageReceived => "messageReceived",
            Self::MessageSent => "messageSent",
            Self::ConversationEnded => "conversationEnded",
            Self::AgentMetrics => "agentMetrics",
            Self::WebhookTest => "webhookTest",
            Self::Custom => "custom",
        }
    }
}

/// Events of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Stored, each once.
    pub(crate) received: i64,
    /// Came again after they were stored.
    pub(crate) duplicates: i64,
}

/// The counts of all kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    by_kind: [Count; Kind::ALL.len()],
    /// When an event was last stored, Unix milliseconds.
    pub(crate) last_received_ms: Option<i64>,
}

impl Totals {
    /// The counts of one kind.
    pub(crate) fn get(&self, kind: Kind) -> Count {
        self.by_kind[kind as usize]
    }

    /// The counts of all kinds together.
    pub(crate) fn sum(&self) -> Count {
        self.by_kind.iter().fold(Count::default(), |sum, count| Count {
            received: sum.received + count.received,
            duplicates: sum.duplicates + count.duplicates,
        })
    }

    /// Counts one event that was stored now.
    pub(crate) fn count_first(&mut self, kind: Kind, received_at_ms: i64) {
        self.by_kind[kind as usize].received += 1;
        self.last_received_ms = self.last_received_ms.max(Some(received_at_ms));
    }

    /// Counts one event that was there already.
    pub(crate) fn count_duplicate(&mut self, kind: Kind) {
        self.by_kind[kind as usize].duplicates += 1;
    }

    /// Reads the table.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut totals = Self::default();
        let mut query =
            connection.prepare("SELECT kind, received, duplicates, last_received_ms FROM totals")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str()?.to_owned();
            if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) {
                totals.by_kind[kind as usize] = Count { received: row.get(1)?, duplicates: row.get(2)? };
                totals.last_received_ms = totals.last_received_ms.max(row.get(3)?);
            }
        }
        Ok(totals)
    }

    /// Writes the kinds in which `self` differs from `before`.
    pub(super) fn write(&self, transaction: &Transaction<'_>, before: &Self) -> rusqlite::Result<()> {
        let mut put = transaction.prepare_cached(
            "INSERT INTO totals (kind, received, duplicates, last_received_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind) DO UPDATE SET received = excluded.received,
                duplicates = excluded.duplicates, last_received_ms = excluded.last_received_ms",
        )?;
        for kind in Kind::ALL.into_iter().filter(|kind| self.get(*kind) != before.get(*kind)) {
            let Count { received, duplicates } = self.get(kind);
            put.execute((kind.name(), received, duplicates, self.last_received_ms))?;
        }
        Ok(())
    }
}

/// The shared counts. A panic elsewhere leaves them whole: they are replaced, never half changed.
pub(super) fn lock(totals: &Mutex<Totals>) -> MutexGuard<'_, Totals> {
    totals.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_counted_in_its_own_place() {
        let names = ["conversation.started", "message.received", "message.sent", "conversation.ended"];
        let more = ["agent.metrics", "webhook.test", "order.paid"];
        let mut totals = Totals::default();
        for (at, name) in names.into_iter().chain(more).enumerate() {
            assert_eq!(Kind::of(name), Kind::ALL[at], "{name}");
            totals.count_first(Kind::of(name), at as i64);
            totals.count_duplicate(Kind::of(name));
        }
        for kind in Kind::ALL {
            assert_eq!(totals.get(kind), Count { received: 1, duplicates: 1 }, "{kind:?}");
        }
        assert_eq!(totals.sum(), Count { received: 7, duplicates: 7 });
        assert_eq!(totals.last_received_ms, Some(6));
    }
}
