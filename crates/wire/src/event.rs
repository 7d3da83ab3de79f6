//! Event types: their names, and the six that the VAI Portal page defines.
//!
//! Read `typed.rs` next.

/// The longest event type, in characters.
pub const EVENT_TYPE_CHARS_MAX: usize = 128;

/// The typed events' names.
pub mod types {
    /// A conversation with an agent began.
    pub const CONVERSATION_STARTED: &str = "conversation.started";
    /// The agent received a message.
    pub const MESSAGE_RECEIVED: &str = "message.received";
    /// The agent sent a response.
    pub const MESSAGE_SENT: &str = "message.sent";
    /// A conversation ended.
    pub const CONVERSATION_ENDED: &str = "conversation.ended";
    /// An agent's metrics are due.
    pub const AGENT_METRICS: &str = "agent.metrics";
    /// Somebody tests a webhook.
    pub const WEBHOOK_TEST: &str = "webhook.test";

    /// All of them.
    pub const ALL: [&str; 6] = [
        CONVERSATION_STARTED,
        MESSAGE_RECEIVED,
        MESSAGE_SENT,
        CONVERSATION_ENDED,
        AGENT_METRICS,
        WEBHOOK_TEST,
    ];
}

/// Whether a text is an event type: `[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*`, 128 characters at most.
#[must_use]
pub fn is_event_type(text: &str) -> bool {
    let mut part_len = 0;
    for byte in text.bytes() {
        part_len = match byte {
            b'.' if part_len > 0 => 0,
            b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => part_len + 1,
            _ => return false,
        };
    }
    part_len > 0 && text.len() <= EVENT_TYPE_CHARS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_parts_with_dots_between() {
        for good in types::ALL.into_iter().chain(["a", "A_1.b", "order.line.added", &"x".repeat(128)]) {
            assert!(is_event_type(good), "{good:?}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a-b", "a*", "ă", "a\n", &"x".repeat(129)] {
            assert!(!is_event_type(bad), "{bad:?}");
        }
    }
}
