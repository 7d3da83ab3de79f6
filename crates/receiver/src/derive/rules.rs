//! The consumer that judges events by the configured rules, and tells time for silences.
//!
//! It exists as the seam between rules, which are functions of values, and the deriver's transactions. Invariant: what
//! a rule remembers, its notices and the place are one commit. An event's agent is looked up in the summaries, which
//! take each batch first. Read `rule/judge.rs` next.

use rusqlite::Transaction;
use serde_json::Value;
use vai_webhooks_wire::UnixMs;

use super::{Consumer, Outbox};
use crate::inbox::Start;
use crate::rule::{Fact, GROUPS_MAX, Judge, Listening, Rule, RuleNotice};
use crate::sink::{Notice, Stored};
use crate::store::derived::rules::{self, States};
use crate::store::derived::summary;

/// Ticks between two times that expired states are deleted.
const TIDY_TICKS: u32 = 60;

pub(super) struct Rules {
    rules: Vec<Rule>,
    keys: Vec<String>,
    judge: Judge,
    /// Since when this process listens.
    since: UnixMs,
    ticks: u32,
}

impl Rules {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let since = UnixMs::now();
        let keys = rules.iter().map(Rule::key).collect();
        Self { rules, keys, judge: Judge::new(Vec::new(), Listening::Since(since)), since, ticks: 0 }
    }
}

impl Consumer for Rules {
    fn name(&self) -> &str {
        "rules"
    }

    /// Nobody wants to be told of what is long past.
    fn start(&self) -> Start {
        Start::Now
    }

    fn reload(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let after = rules::begin(transaction, "rules", &self.keys)?;
        let rules = self.rules.iter().cloned().zip(after).collect();
        self.judge = Judge::new(rules, Listening::Since(self.since));
        Ok(())
    }

    fn take(
        &mut self,
        transaction: &Transaction<'_>,
        stored: &Stored,
        outbox: &mut Outbox,
    ) -> rusqlite::Result<()> {
        let event = &stored.event;
        let mut notices = Vec::new();
        if !self.judge.is_for(&event.event_type) {
            return Ok(());
        }
        let parsed = event.envelope().ok().and_then(|envelope| {
            let data: Value = serde_json::from_str(envelope.data.get()).ok()?;
            Some((envelope.timestamp, data))
        });
        // It was parsed before it was stored: what cannot be parsed now was changed by somebody else.
        let Some((timestamp, data)) = parsed else { return Ok(()) };
        let session_agent = match data.get("sessionId").and_then(Value::as_str) {
            Some(session) => summary::agent_of(transaction, session)?,
            None => None,
        };
        let fact = Fact {
            id: &event.id,
            event_type: &event.event_type,
            timestamp,
            arrived: event.received_at,
            data: &data,
            session_agent: session_agent.as_deref(),
        };
        self.judge.event(&mut States(transaction), stored.seq, &fact, &mut notices)?;
        send(notices, outbox);
        Ok(())
    }

    fn tick(
        &mut self,
        transaction: &Transaction<'_>,
        now: UnixMs,
        outbox: &mut Outbox,
    ) -> rusqlite::Result<()> {
        let mut notices = Vec::new();
        self.judge.time(&mut States(transaction), now, &mut notices)?;
        send(notices, outbox);
        self.ticks += 1;
        if self.ticks >= TIDY_TICKS {
            self.ticks = 0;
            self.keys.iter().try_for_each(|key| rules::tidy(transaction, key, GROUPS_MAX, now))?;
        }
        Ok(())
    }
}

fn send(notices: Vec<RuleNotice>, outbox: &mut Outbox) {
    for RuleNotice { id, rule, title, text, targets, .. } in notices {
        tracing::info!(%rule, %id, %title, "a rule speaks");
        for target in &targets {
            outbox.send(target, Notice { id: id.clone(), title: title.clone(), text: text.clone() });
        }
    }
}
