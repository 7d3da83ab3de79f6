//! The summary of one conversation.
//!
//! It exists for whoever asks what became of a session; it is there from the first event on, and is whole
//! when the conversation has ended. Invariant: [`Conversation::apply`] gives the same for the same notes
//! in any order. Read `hour.rs` next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vai_webhooks_wire::UnixMs;

use super::{Latest, Mean, Note, Said};

/// Intents that a conversation keeps apart. Which ones must not depend on the order in which they came:
/// the first ones by the alphabet.
const INTENTS_MAX: usize = 64;

/// One conversation, as all its events together tell it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conversation {
    /// The agent that has it.
    pub agent: Option<Latest<String>>,
    /// The user who has it.
    pub user: Option<Latest<String>>,
    /// Where it takes place.
    pub platform: Option<Latest<String>>,
    /// The earliest of its events.
    pub first_ms: Option<i64>,
    /// The latest of its events.
    pub last_ms: Option<i64>,
    /// The earliest `conversation.started`.
    pub started_ms: Option<i64>,
    /// The latest `conversation.ended`.
    pub ended_ms: Option<i64>,
    /// Messages of the user.
    pub received: i64,
    /// Messages of the agent.
    pub sent: i64,
    /// How often the user wanted what.
    pub intents: BTreeMap<String, i64>,
    /// How sure the agent was.
    pub confidence: Mean,
    /// How long its answers took, in milliseconds.
    pub processing_ms: Mean,
    /// How long the conversation was, as its end says.
    pub reported_ms: Option<Latest<i64>>,
    /// How many messages it had, as its end says.
    pub reported_messages: Option<Latest<i64>>,
    /// How content the user was, in millionths.
    pub satisfaction_e6: Option<Latest<i64>>,
    /// Whether the matter was settled.
    pub resolved: Option<Latest<bool>>,
}

impl Conversation {
    /// Adds one event, which must not have been added before.
    pub fn apply(&mut self, note: &Note) {
        let Note { id, at, .. } = note;
        for (slot, name) in [
            (&mut self.agent, &note.agent),
            (&mut self.user, &note.user),
            (&mut self.platform, &note.platform),
        ] {
            Latest::offer(slot, *at, id, name.clone());
        }
        earliest(&mut self.first_ms, *at);
        self.last_ms = self.last_ms.max(Some(at.0));
        match &note.said {
            Said::Started => earliest(&mut self.started_ms, *at),
            Said::Received { intent } => {
                self.received += 1;
                if let Some(intent) = intent {
                    self.count_intent(intent);
                }
            }
            Said::Sent { confidence_e6, processing_ms_e6 } => {
                self.sent += 1;
                self.confidence.add(*confidence_e6);
                self.processing_ms.add(*processing_ms_e6);
            }
            Said::Ended { duration_ms, messages, satisfaction_e6, resolved } => {
                self.ended_ms = self.ended_ms.max(Some(at.0));
                Latest::offer(&mut self.reported_ms, *at, id, *duration_ms);
                Latest::offer(&mut self.reported_messages, *at, id, *messages);
                Latest::offer(&mut self.satisfaction_e6, *at, id, *satisfaction_e6);
                Latest::offer(&mut self.resolved, *at, id, *resolved);
            }
            Said::Other => {}
        }
    }

    /// How long it was: as its end says, or from its beginning to its end; `None` before it has ended.
    pub fn duration_ms(&self) -> Option<i64> {
        let ended = self.ended_ms?;
        let begun = self.started_ms.or(self.first_ms).unwrap_or(ended);
        Some(
            self.reported_ms
                .as_ref()
                .map_or_else(|| UnixMs(ended).since(UnixMs(begun)).max(0), |told| *told.value()),
        )
    }

    /// How content the user was; `None` where that is not said.
    pub fn satisfaction(&self) -> Option<f64> {
        self.satisfaction_e6.as_ref().map(|told| *told.value() as f64 / 1e6)
    }

    /// An intent that is among the first ones of all cannot have been dropped: at each moment those that
    /// are kept are the first ones of what came so far.
    fn count_intent(&mut self, intent: &str) {
        *self.intents.entry(intent.to_owned()).or_default() += 1;
        if self.intents.len() > INTENTS_MAX {
            self.intents.pop_last();
        }
    }
}

fn earliest(slot: &mut Option<i64>, at: UnixMs) {
    *slot = Some(slot.map_or(at.0, |known| known.min(at.0)));
}
