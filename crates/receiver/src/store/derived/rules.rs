//! What rules remember: since when each is there, and its states by group.
//!
//! It exists as the [`Shelf`] of the service. A rule stands under its key, which changes with its meaning, so that a
//! changed rule begins anew. Invariant: everything happens in the deriver's transaction, so that an event counts once
//! for a rule. Read `derive/rules.rs` next.

use rusqlite::{OptionalExtension, Transaction};
use vai_webhooks_wire::UnixMs;

use crate::rule::{Shelf, State};

/// States that are deleted at once, so that an event waits for no more.
const TIDY_ROWS_MAX: i64 = 500;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS rules_known (key TEXT PRIMARY KEY, after_seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS rules_states (
        rule       TEXT    NOT NULL,
        group_name TEXT    NOT NULL,
        due_ms     INTEGER,
        expires_ms INTEGER NOT NULL,
        state      TEXT    NOT NULL,
        PRIMARY KEY (rule, group_name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS rules_states_due ON rules_states (rule, due_ms) WHERE due_ms IS NOT NULL;
    CREATE INDEX IF NOT EXISTS rules_states_by_end ON rules_states (rule, expires_ms);
";

/// Makes the tables where they are missing, forgets rules that are not among `keys`, and answers for each of these
/// after which event it was configured. A new one comes after those that the consumer `name` took already.
pub(crate) fn begin(
    transaction: &Transaction<'_>,
    name: &str,
    keys: &[String],
) -> rusqlite::Result<Vec<i64>> {
    transaction.execute_batch(TABLES)?;
    let mut query = transaction.prepare("SELECT key FROM rules_known")?;
    let known: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for gone in known.iter().filter(|key| !keys.contains(key)) {
        transaction.execute("DELETE FROM rules_states WHERE rule = ?1", [gone])?;
        transaction.execute("DELETE FROM rules_known WHERE key = ?1", [gone])?;
    }
    // No rule is newer than what was taken: see `Derived::begin` on an inbox that was set back.
    transaction.execute(
        "UPDATE rules_known SET after_seq = taken_to FROM places WHERE consumer = ?1 AND after_seq > taken_to",
        [name],
    )?;
    let mut after = Vec::new();
    for key in keys {
        transaction.execute(
            "INSERT INTO rules_known (key, after_seq)
             VALUES (?1, coalesce((SELECT taken_to FROM places WHERE consumer = ?2), 0)) ON CONFLICT (key) DO NOTHING",
            (key, name),
        )?;
        let sql = "SELECT after_seq FROM rules_known WHERE key = ?1";
        after.push(transaction.query_row(sql, [key], |row| row.get(0))?);
    }
    Ok(after)
}

/// Forgets some states of a rule that have expired and, where there are more than `groups_max`, those that end first.
pub(crate) fn tidy(
    transaction: &Transaction<'_>,
    rule: &str,
    groups_max: i64,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let expired = "DELETE FROM rules_states WHERE (rule, group_name) IN
        (SELECT rule, group_name FROM rules_states WHERE rule = ?1 AND expires_ms <= ?2 LIMIT ?3)";
    transaction.execute(expired, (rule, now.0, TIDY_ROWS_MAX))?;
    let count = "SELECT count(*) FROM rules_states WHERE rule = ?1";
    let groups: i64 = transaction.query_row(count, [rule], |row| row.get(0))?;
    let first = "DELETE FROM rules_states WHERE (rule, group_name) IN
        (SELECT rule, group_name FROM rules_states WHERE rule = ?1 ORDER BY expires_ms LIMIT ?2)";
    transaction.execute(first, (rule, (groups - groups_max).clamp(0, TIDY_ROWS_MAX))).map(drop)
}

/// The states, within a transaction.
pub(crate) struct States<'a>(pub(crate) &'a Transaction<'a>);

impl Shelf for States<'_> {
    type Error = rusqlite::Error;

    fn get(&mut self, rule: &str, group: &str) -> rusqlite::Result<Option<State>> {
        let sql = "SELECT state FROM rules_states WHERE rule = ?1 AND group_name = ?2";
        let text: Option<String> =
            self.0.prepare_cached(sql)?.query_row((rule, group), |row| row.get(0)).optional()?;
        // What cannot be read was written by somebody else: the group begins anew.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    fn put(
        &mut self,
        rule: &str,
        group: &str,
        state: &State,
        due: Option<UnixMs>,
        expires: UnixMs,
    ) -> rusqlite::Result<()> {
        let mut put = self.0.prepare_cached(
            "INSERT INTO rules_states (rule, group_name, due_ms, expires_ms, state) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (rule, group_name) DO UPDATE SET due_ms = excluded.due_ms,
                expires_ms = excluded.expires_ms, state = excluded.state",
        )?;
        let text = serde_json::to_string(state)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        put.execute((rule, group, due.map(|due| due.0), expires.0, text)).map(drop)
    }

    fn remove(&mut self, rule: &str, group: &str) -> rusqlite::Result<()> {
        let sql = "DELETE FROM rules_states WHERE rule = ?1 AND group_name = ?2";
        self.0.prepare_cached(sql)?.execute((rule, group)).map(drop)
    }

    fn due(&mut self, rule: &str, by: UnixMs, max: usize) -> rusqlite::Result<Vec<(String, State)>> {
        let mut query = self.0.prepare_cached(
            "SELECT group_name, state FROM rules_states
             WHERE rule = ?1 AND due_ms <= ?2 ORDER BY due_ms, group_name LIMIT ?3",
        )?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let rows = query.query_map((rule, by.0, max), |row| {
            let text: String = row.get(1)?;
            Ok((row.get(0)?, serde_json::from_str(&text).unwrap_or_default()))
        })?;
        rows.collect()
    }

    fn next_due(&mut self, rule: &str) -> rusqlite::Result<Option<UnixMs>> {
        let sql = "SELECT min(due_ms) FROM rules_states WHERE rule = ?1 AND due_ms IS NOT NULL";
        let next: Option<i64> = self.0.prepare_cached(sql)?.query_row([rule], |row| row.get(0))?;
        Ok(next.map(UnixMs))
    }
}
