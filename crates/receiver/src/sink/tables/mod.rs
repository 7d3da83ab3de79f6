//! The tables that events are laid out in, for every kind of sink that keeps tables.
//!
//! A table for each event type, with a column for each member that the VAI Portal page names and `data` whole beside
//! them; what has another type goes into `other_events`. Conversations, messages and users are views over them
//! (`views.rs`), so that events may come late, twice or out of order, and nothing has to be counted right while they
//! do. Invariants: rows are only inserted, and `event_id` is the key; a member that is missing, or has another type
//! than the page says, is NULL, and no event is refused for it. Read `row.rs` next.

mod row;
mod views;

pub(crate) use row::{Cell, Row};
pub(crate) use views::VIEWS;

use vai_webhooks_wire::types;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Real,
    Bool,
    /// A time.
    Time,
    /// JSON as it was spelled.
    Json,
}

/// A column, and where in `data` its value stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) path: &'static [&'static str],
}

/// A table of one event type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Its event type; `None` for the table of all others.
    pub(crate) event_type: Option<&'static str>,
    /// The columns between [`FIRST`] and [`LAST`].
    pub(crate) columns: &'static [Column],
}

/// The columns that every table begins with. `event_id` is the key.
pub(crate) const FIRST: [(&str, Kind); 4] = [
    ("event_id", Kind::Text),
    ("occurred_at", Kind::Time),
    ("received_at", Kind::Time),
    ("webhook_id", Kind::Text),
];

/// The column that every table ends with.
pub(crate) const LAST: (&str, Kind) = ("data", Kind::Json);

const fn column(name: &'static str, kind: Kind, path: &'static [&'static str]) -> Column {
    Column { name, kind, path }
}

const SESSION_ID: Column = column("session_id", Kind::Text, &["sessionId"]);
const AGENT_ID: Column = column("agent_id", Kind::Text, &["agentId"]);
const USER_ID: Column = column("user_id", Kind::Text, &["userId"]);
const PLATFORM: Column = column("platform", Kind::Text, &["platform"]);

/// Every table. The last one takes what no other does.
pub(crate) static TABLES: [Table; 6] = [
    Table {
        name: "conversation_started",
        event_type: Some(types::CONVERSATION_STARTED),
        columns: &[SESSION_ID, AGENT_ID, USER_ID, PLATFORM, column("user_agent", Kind::Text, &["userAgent"])],
    },
    Table {
        name: "message_received",
        event_type: Some(types::MESSAGE_RECEIVED),
        columns: &[
            SESSION_ID,
            USER_ID,
            PLATFORM,
            column("text", Kind::Text, &["message", "text"]),
            column("kind", Kind::Text, &["message", "type"]),
            column("intent", Kind::Text, &["intent"]),
            column("entities", Kind::Json, &["entities"]),
        ],
    },
    Table {
        name: "message_sent",
        event_type: Some(types::MESSAGE_SENT),
        columns: &[
            SESSION_ID,
            AGENT_ID,
            column("text", Kind::Text, &["response", "text"]),
            column("kind", Kind::Text, &["response", "type"]),
            column("confidence", Kind::Real, &["confidence"]),
            column("processing_time_ms", Kind::Real, &["processingTime"]),
        ],
    },
    Table {
        name: "conversation_ended",
        event_type: Some(types::CONVERSATION_ENDED),
        columns: &[
            SESSION_ID,
            column("duration_s", Kind::Real, &["duration"]),
            column("message_count", Kind::Integer, &["messageCount"]),
            column("summary", Kind::Text, &["summary"]),
            column("satisfaction", Kind::Real, &["satisfaction"]),
            column("resolved", Kind::Bool, &["resolved"]),
        ],
    },
    Table {
        name: "agent_metrics",
        event_type: Some(types::AGENT_METRICS),
        columns: &[
            AGENT_ID,
            column("period", Kind::Text, &["period"]),
            column("total_conversations", Kind::Integer, &["metrics", "totalConversations"]),
            column("average_response_time_ms", Kind::Real, &["metrics", "averageResponseTime"]),
            column("satisfaction_score", Kind::Real, &["metrics", "satisfactionScore"]),
            column("resolution_rate", Kind::Real, &["metrics", "resolutionRate"]),
        ],
    },
    Table {
        name: "other_events",
        event_type: None,
        columns: &[column("event", Kind::Text, &[]), SESSION_ID, AGENT_ID, USER_ID],
    },
];

impl Table {
    /// The place in [`TABLES`] of the table that an event of this type goes into.
    pub(crate) fn index_of(event_type: &str) -> usize {
        TABLES.iter().position(|table| table.event_type == Some(event_type)).unwrap_or(TABLES.len() - 1)
    }

    /// All columns, in the order of a [`Row`]'s cells.
    pub(crate) fn all_columns(&self) -> impl Iterator<Item = (&'static str, Kind)> {
        let own = self.columns.iter().map(|column| (column.name, column.kind));
        FIRST.into_iter().chain(own).chain([LAST])
    }

    /// Whether it has a column of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }
}
