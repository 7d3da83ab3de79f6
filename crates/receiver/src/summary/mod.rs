//! Summaries: what became of each conversation, and what each agent did in each hour.
//!
//! They exist so that nobody has to add up events to know how long a conversation was, how sure the agent
//! was, and whether the matter was settled. One event changes one conversation and one hour of it:
//!
//! ```text
//! event ─▶ note ─┬▶ conversation    one for each session
//!                └▶ hour            one for each session, hour and agent: agents' hours are sums of these
//! ```
//!
//! Invariant: a summary depends on which events there were and on nothing else: not on the order in which
//! they came, nor on when. So sums are whole numbers (adding fractions depends on the order), what can be
//! said twice is what was said last by its own time, and an agent's hours are added up when they are asked
//! for, since whose conversation it was may become known late. Read `note.rs` next.

mod conversation;
mod hour;
mod latest;
mod note;

pub use conversation::Conversation;
pub use hour::{HOUR_MS, Hour};
pub use latest::Latest;
pub use note::{Note, Said};

use serde::{Deserialize, Serialize};

/// A mean that does not depend on the order of its samples: their sum in whole units, and their count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mean {
    /// The sum, in millionths of what is measured.
    pub sum_e6: i64,
    /// How many there are.
    pub count: i64,
}

impl Mean {
    /// Counts one sample, in millionths, where there is one.
    fn add(&mut self, sample_e6: Option<i64>) {
        if let Some(sample_e6) = sample_e6 {
            self.add_all(Self { sum_e6: sample_e6, count: 1 });
        }
    }

    /// Adds the samples of another.
    pub fn add_all(&mut self, other: Self) {
        self.sum_e6 = self.sum_e6.saturating_add(other.sum_e6);
        self.count += other.count;
    }

    /// The mean itself; `None` of nothing.
    pub fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_e6 as f64 / 1e6 / self.count as f64)
    }
}

#[cfg(test)]
mod tests;
