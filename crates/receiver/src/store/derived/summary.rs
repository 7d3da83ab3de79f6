//! Summaries on disk: one conversation a row, and its hours; an agent's hours are read from both.
//!
//! It exists so that other tools can read them as tables. An agent's hours are added up when they are asked for: whose
//! conversation it was may become known after its messages. What stands in `conversation_hours` under no agent belongs to
//! whoever has the conversation. Invariant: the numbers are those of the view `agent_hours`, which is for other tools.
//! Read `summary/mod.rs` for what they mean.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use vai_webhooks_wire::UnixMs;

use crate::summary::{Conversation, Hour, Mean};

/// Conversations that are deleted at once, so that an event waits for no more.
const FORGET_ROWS_MAX: i64 = 500;

/// The tables, and the view for other tools.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS conversations (
        session_id         TEXT    PRIMARY KEY,
        agent_id           TEXT,
        user_id            TEXT,
        platform           TEXT,
        first_event_ms     INTEGER NOT NULL,
        last_event_ms      INTEGER NOT NULL,
        started_ms         INTEGER,
        ended_ms           INTEGER,
        duration_ms        INTEGER,
        messages_received  INTEGER NOT NULL,
        messages_sent      INTEGER NOT NULL,
        intents            TEXT    NOT NULL,
        confidence_mean    REAL,
        processing_ms_mean REAL,
        satisfaction       REAL,
        resolved           INTEGER,
        parts              TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS conversations_by_agent ON conversations (agent_id, last_event_ms);
    CREATE INDEX IF NOT EXISTS conversations_by_end ON conversations (agent_id, ended_ms) WHERE ended_ms IS NOT NULL;
    CREATE INDEX IF NOT EXISTS conversations_by_age ON conversations (last_event_ms);
    CREATE TABLE IF NOT EXISTS conversation_hours (
        session_id           TEXT    NOT NULL,
        hour_ms              INTEGER NOT NULL,
        agent_id             TEXT    NOT NULL,
        started              INTEGER NOT NULL,
        messages_received    INTEGER NOT NULL,
        messages_sent        INTEGER NOT NULL,
        confidence_sum_e6    INTEGER NOT NULL,
        confidence_count     INTEGER NOT NULL,
        processing_ms_sum_e6 INTEGER NOT NULL,
        processing_ms_count  INTEGER NOT NULL,
        PRIMARY KEY (session_id, hour_ms, agent_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS conversation_hours_by_agent ON conversation_hours (agent_id, hour_ms) WHERE agent_id != '';
    CREATE VIEW IF NOT EXISTS agent_hours AS
        SELECT agent_id, hour_ms, sum(started) AS conversations_started, sum(ended) AS conversations_ended,
            sum(resolved) AS resolved, sum(unresolved) AS unresolved,
            sum(messages_received) AS messages_received, sum(messages_sent) AS messages_sent,
            sum(confidence_sum_e6) / 1e6 / nullif(sum(confidence_count), 0) AS confidence_mean,
            sum(processing_ms_sum_e6) / 1e6 / nullif(sum(processing_ms_count), 0) AS processing_ms_mean,
            sum(satisfaction_e6) / 1e6 / nullif(sum(satisfaction_count), 0) AS satisfaction_mean
        FROM (
            SELECT coalesce(nullif(hours.agent_id, ''), conversations.agent_id) AS agent_id, hour_ms, started,
                0 AS ended, 0 AS resolved, 0 AS unresolved, hours.messages_received, hours.messages_sent,
                confidence_sum_e6, confidence_count, processing_ms_sum_e6, processing_ms_count,
                0 AS satisfaction_e6, 0 AS satisfaction_count
            FROM conversation_hours AS hours JOIN conversations USING (session_id)
            UNION ALL
            SELECT agent_id, ended_ms - (ended_ms % 3600000 + 3600000) % 3600000, 0, 1,
                coalesce(resolved = 1, 0), coalesce(resolved = 0, 0), 0, 0, 0, 0, 0, 0,
                coalesce(CAST(round(satisfaction * 1e6) AS INTEGER), 0), satisfaction IS NOT NULL
            FROM conversations WHERE ended_ms IS NOT NULL
        )
        WHERE agent_id IS NOT NULL GROUP BY agent_id, hour_ms;
";

/// What one agent did in one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AgentHour {
    /// Messages, beginnings, and means.
    pub(crate) hour: Hour,
    /// Conversations that ended.
    pub(crate) ended: i64,
    /// Of those, the ones that were settled, and the ones that were not.
    pub(crate) resolved: i64,
    pub(crate) unresolved: i64,
    /// How content the users of those were.
    pub(crate) satisfaction: Mean,
}

impl AgentHour {
    /// Adds another hour's numbers.
    pub(crate) fn add(&mut self, other: &Self) {
        self.hour.add(&other.hour);
        self.ended += other.ended;
        self.resolved += other.resolved;
        self.unresolved += other.unresolved;
        self.satisfaction.add_all(other.satisfaction);
    }
}

/// Makes the tables where they are missing.
pub(crate) fn begin(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)
}

/// One conversation.
pub(crate) fn conversation(connection: &Connection, session: &str) -> rusqlite::Result<Option<Conversation>> {
    let mut query = connection.prepare_cached("SELECT parts FROM conversations WHERE session_id = ?1")?;
    let text: Option<String> = query.query_row([session], |row| row.get(0)).optional()?;
    let read = |text: String| {
        serde_json::from_str(&text).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
        })
    };
    text.map(read).transpose()
}

/// The agent that a session is known by.
pub(crate) fn agent_of(connection: &Connection, session: &str) -> rusqlite::Result<Option<String>> {
    let mut query = connection.prepare_cached("SELECT agent_id FROM conversations WHERE session_id = ?1")?;
    Ok(query.query_row([session], |row| row.get(0)).optional()?.flatten())
}

/// Keeps a conversation as it is now.
pub(crate) fn put_conversation(
    connection: &Connection,
    session: &str,
    conversation: &Conversation,
) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO conversations (session_id, agent_id, user_id, platform, first_event_ms, last_event_ms,
            started_ms, ended_ms, duration_ms, messages_received, messages_sent, intents, confidence_mean,
            processing_ms_mean, satisfaction, resolved, parts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
         ON CONFLICT (session_id) DO UPDATE SET agent_id = excluded.agent_id, user_id = excluded.user_id,
            platform = excluded.platform, first_event_ms = excluded.first_event_ms,
            last_event_ms = excluded.last_event_ms, started_ms = excluded.started_ms,
            ended_ms = excluded.ended_ms, duration_ms = excluded.duration_ms,
            messages_received = excluded.messages_received, messages_sent = excluded.messages_sent,
            intents = excluded.intents, confidence_mean = excluded.confidence_mean,
            processing_ms_mean = excluded.processing_ms_mean, satisfaction = excluded.satisfaction,
            resolved = excluded.resolved, parts = excluded.parts",
    )?;
    let json = |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
    put.execute(params![
        session,
        conversation.agent.as_ref().map(|agent| agent.value()),
        conversation.user.as_ref().map(|user| user.value()),
        conversation.platform.as_ref().map(|platform| platform.value()),
        conversation.first_ms,
        conversation.last_ms,
        conversation.started_ms,
        conversation.ended_ms,
        conversation.duration_ms(),
        conversation.received,
        conversation.sent,
        serde_json::to_string(&conversation.intents).map_err(json)?,
        conversation.confidence.value(),
        conversation.processing_ms.value(),
        conversation.satisfaction(),
        conversation.resolved.as_ref().map(|resolved| *resolved.value()),
        serde_json::to_string(conversation).map_err(json)?,
    ])?;
    Ok(())
}

/// Adds to an hour of a session; an empty agent is whoever has the conversation.
pub(crate) fn add_hour(
    connection: &Connection,
    session: &str,
    hour_ms: i64,
    agent: &str,
    hour: &Hour,
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(
        "INSERT INTO conversation_hours (session_id, hour_ms, agent_id, started, messages_received,
            messages_sent, confidence_sum_e6, confidence_count, processing_ms_sum_e6, processing_ms_count)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (session_id, hour_ms, agent_id) DO UPDATE SET started = started + excluded.started,
            messages_received = messages_received + excluded.messages_received,
            messages_sent = messages_sent + excluded.messages_sent,
            confidence_sum_e6 = confidence_sum_e6 + excluded.confidence_sum_e6,
            confidence_count = confidence_count + excluded.confidence_count,
            processing_ms_sum_e6 = processing_ms_sum_e6 + excluded.processing_ms_sum_e6,
            processing_ms_count = processing_ms_count + excluded.processing_ms_count",
    )?;
    add.execute(params![
        session,
        hour_ms,
        agent,
        hour.started,
        hour.received,
        hour.sent,
        hour.confidence.sum_e6,
        hour.confidence.count,
        hour.processing_ms.sum_e6,
        hour.processing_ms.count,
    ])?;
    Ok(())
}

/// Forgets some of the conversations that had no event since `before`.
pub(crate) fn forget_before(transaction: &Transaction<'_>, before: UnixMs) -> rusqlite::Result<()> {
    let old = "SELECT session_id FROM conversations WHERE last_event_ms < ?1 ORDER BY last_event_ms, session_id LIMIT ?2";
    for table in ["conversation_hours", "conversations"] {
        let sql = format!("DELETE FROM {table} WHERE session_id IN ({old})");
        transaction.execute(&sql, (before.0, FORGET_ROWS_MAX))?;
    }
    Ok(())
}

/// An agent's hours that begin in `from..to`, those without anything left out.
pub(crate) fn agent_hours(
    connection: &Connection,
    agent: &str,
    (from, to): (UnixMs, UnixMs),
) -> rusqlite::Result<BTreeMap<i64, AgentHour>> {
    let mut hours = BTreeMap::new();
    own_hours(connection, agent, from, to, &mut hours)?;
    hours_of_its_conversations(connection, agent, from, to, &mut hours)?;
    endings(connection, agent, from, to, &mut hours)?;
    Ok(hours)
}

type Hours = BTreeMap<i64, AgentHour>;

fn own_hours(
    connection: &Connection,
    agent: &str,
    from: UnixMs,
    to: UnixMs,
    hours: &mut Hours,
) -> rusqlite::Result<()> {
    sum_hours(
        connection,
        "SELECT hour_ms, sum(started), sum(messages_received), sum(messages_sent), sum(confidence_sum_e6),
            sum(confidence_count), sum(processing_ms_sum_e6), sum(processing_ms_count)
         FROM conversation_hours
         WHERE agent_id = ?1 AND agent_id != '' AND hour_ms >= ?2 AND hour_ms < ?3 GROUP BY hour_ms",
        (agent, from, to),
        hours,
    )
}

fn hours_of_its_conversations(
    connection: &Connection,
    agent: &str,
    from: UnixMs,
    to: UnixMs,
    hours: &mut Hours,
) -> rusqlite::Result<()> {
    sum_hours(
        connection,
        "SELECT hour_ms, sum(started), sum(hours.messages_received), sum(hours.messages_sent),
            sum(confidence_sum_e6), sum(confidence_count), sum(processing_ms_sum_e6), sum(processing_ms_count)
         FROM conversations JOIN conversation_hours AS hours USING (session_id)
         WHERE conversations.agent_id = ?1 AND last_event_ms >= ?2 AND first_event_ms < ?3
            AND hours.agent_id = '' AND hour_ms >= ?2 AND hour_ms < ?3 GROUP BY hour_ms",
        (agent, from, to),
        hours,
    )
}

fn sum_hours(
    connection: &Connection,
    sql: &str,
    (agent, from, to): (&str, UnixMs, UnixMs),
    hours: &mut Hours,
) -> rusqlite::Result<()> {
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query(params![agent, from.0, to.0])?;
    while let Some(row) = rows.next()? {
        let hour = Hour {
            started: row.get(1)?,
            received: row.get(2)?,
            sent: row.get(3)?,
            confidence: Mean { sum_e6: row.get(4)?, count: row.get(5)? },
            processing_ms: Mean { sum_e6: row.get(6)?, count: row.get(7)? },
        };
        hours.entry(row.get(0)?).or_default().hour.add(&hour);
    }
    Ok(())
}

fn endings(
    connection: &Connection,
    agent: &str,
    from: UnixMs,
    to: UnixMs,
    hours: &mut Hours,
) -> rusqlite::Result<()> {
    let mut query = connection.prepare_cached(
        "SELECT ended_ms, resolved, CAST(round(satisfaction * 1e6) AS INTEGER) FROM conversations
         WHERE agent_id = ?1 AND ended_ms IS NOT NULL AND ended_ms >= ?2 AND ended_ms < ?3",
    )?;
    let mut rows = query.query(params![agent, from.0, to.0])?;
    while let Some(row) = rows.next()? {
        let hour = hours.entry(Hour::of(UnixMs(row.get(0)?))).or_default();
        let resolved: Option<bool> = row.get(1)?;
        hour.ended += 1;
        hour.resolved += i64::from(resolved == Some(true));
        hour.unresolved += i64::from(resolved == Some(false));
        if let Some(sum_e6) = row.get(2)? {
            hour.satisfaction.add_all(Mean { sum_e6, count: 1 });
        }
    }
    Ok(())
}
