//! What a rule has to say, ready to be sent: its texts, whom it is for, and an id that stays.
//!
//! It exists between judging and sending, because the two happen at different times and sending may
//! happen again. Invariant: the same rule, group and cause make the same id, in whichever process.
//! Read `judge.rs` for when one is made.

use sha2::{Digest, Sha256};
use vai_webhooks_wire::UnixMs;

/// A message of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleNotice {
    /// The same whenever it is sent again: `notice_` and 32 hexadecimal digits.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// The group that it is about; empty where the rule makes none.
    pub group: String,
    /// One line.
    pub title: String,
    /// The text.
    pub text: String,
    /// The sinks that it is for.
    pub targets: Vec<String>,
    /// The time of what it is about.
    pub at: UnixMs,
}

/// The id of what a rule says about a group because of `cause` (an event's identity, or a due time).
pub(super) fn id(rule_key: &str, group: &str, cause: &str) -> String {
    use std::fmt::Write;
    let mut hash = Sha256::new();
    for part in [rule_key, group, cause] {
        // With its length, so that no two lists of parts give the same bytes.
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut id = String::from("notice_");
    for byte in &hash.finalize()[..16] {
        // A String takes every text.
        let _always = write!(id, "{byte:02x}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::id;

    #[test]
    fn the_same_cause_has_the_same_id_and_any_other_another() {
        assert_eq!(id("low@1", "a-1", "evt_1"), id("low@1", "a-1", "evt_1"));
        assert_eq!(id("low@1", "a-1", "evt_1").len(), "notice_".len() + 32);
        for other in [("low@2", "a-1", "evt_1"), ("low@1", "a-2", "evt_1"), ("low@1", "a-1e", "vt_1")] {
            assert_ne!(id(other.0, other.1, other.2), id("low@1", "a-1", "evt_1"));
        }
    }
}
