//! Conversations, messages and users, as views over the tables of events.
//!
//! Invariant: they are written in the SQL that SQLite and PostgreSQL share; `{s}` stands for the schema and its dot,
//! or for nothing. Read `../postgres/mod.rs` next.

/// A view: its name, and what it selects.
pub(crate) struct View {
    pub(crate) name: &'static str,
    pub(crate) query: &'static str,
}

/// Every view, each after those that it needs.
pub(crate) static VIEWS: [View; 3] = [
    View { name: "messages", query: MESSAGES },
    View { name: "conversations", query: CONVERSATIONS },
    View { name: "user_activity", query: USER_ACTIVITY },
];

const MESSAGES: &str = "
    SELECT session_id, occurred_at, 'received' AS direction, text, kind, user_id,
           CAST(NULL AS text) AS agent_id, intent, CAST(NULL AS double precision) AS confidence,
           CAST(NULL AS double precision) AS processing_time_ms, event_id
      FROM {s}message_received
    UNION ALL
    SELECT session_id, occurred_at, 'sent', text, kind, NULL,
           agent_id, NULL, confidence, processing_time_ms, event_id
      FROM {s}message_sent";

/// `max` of a text is one of those that were given, where events of a session contradict each other.
const CONVERSATIONS: &str = "
    SELECT session_id, max(agent_id) AS agent_id, max(user_id) AS user_id, max(platform) AS platform,
           min(started_at) AS started_at, max(ended_at) AS ended_at, max(duration_s) AS duration_s,
           sum(received) AS messages_received, sum(sent) AS messages_sent,
           avg(confidence) AS mean_confidence, max(satisfaction) AS satisfaction,
           max(CASE WHEN resolved THEN 1 WHEN NOT resolved THEN 0 END) = 1 AS resolved,
           max(summary) AS summary, max(occurred_at) AS last_event_at
      FROM (
        SELECT session_id, occurred_at, agent_id, user_id, platform, occurred_at AS started_at,
               CAST(NULL AS timestamptz) AS ended_at, CAST(NULL AS double precision) AS duration_s,
               0 AS received, 0 AS sent, CAST(NULL AS double precision) AS confidence,
               CAST(NULL AS double precision) AS satisfaction, CAST(NULL AS boolean) AS resolved,
               CAST(NULL AS text) AS summary
          FROM {s}conversation_started
        UNION ALL
        SELECT session_id, occurred_at, NULL, user_id, platform, NULL, NULL, NULL, 1, 0, NULL, NULL, NULL, NULL
          FROM {s}message_received
        UNION ALL
        SELECT session_id, occurred_at, agent_id, NULL, NULL, NULL, NULL, NULL, 0, 1, confidence, NULL, NULL, NULL
          FROM {s}message_sent
        UNION ALL
        SELECT session_id, occurred_at, NULL, NULL, NULL, NULL, occurred_at, duration_s, 0, 0, NULL,
               satisfaction, resolved, summary
          FROM {s}conversation_ended
      ) AS parts
     WHERE session_id IS NOT NULL
     GROUP BY session_id";

const USER_ACTIVITY: &str = "
    SELECT user_id, min(occurred_at) AS first_seen_at, max(occurred_at) AS last_seen_at,
           count(DISTINCT session_id) AS conversations, sum(message) AS messages
      FROM (
        SELECT user_id, session_id, occurred_at, 0 AS message FROM {s}conversation_started
        UNION ALL
        SELECT user_id, session_id, occurred_at, 1 FROM {s}message_received
      ) AS seen
     WHERE user_id IS NOT NULL
     GROUP BY user_id";
