//! Which event types a subscription takes: a name, `prefix.*`, or `*`.
//!
//! A function of texts, apart from who asks. `message.*` takes every type below `message`, at any
//! depth, and not `message` itself. Read `registry.rs` next.

use vai_webhooks_wire::is_event_type;

/// One entry of a webhook's `events`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    /// `*`
    All,
    /// `prefix.*`, held without the `.*`
    Under(Box<str>),
    /// A name.
    Exactly(Box<str>),
}

impl Pattern {
    /// The pattern of this text; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix(".*") {
            _ if text == "*" => Some(Self::All),
            Some(prefix) if is_event_type(prefix) => Some(Self::Under(prefix.into())),
            None if is_event_type(text) => Some(Self::Exactly(text.into())),
            _ => None,
        }
    }
}

/// Every prefix under which a subscription takes `event_type`: `a` and `a.b` for `a.b.c`.
pub(crate) fn prefixes(event_type: &str) -> impl Iterator<Item = &str> {
    event_type.match_indices('.').map(|(at, _)| &event_type[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_a_prefix_or_a_star() {
        assert_eq!(Pattern::parse("*"), Some(Pattern::All));
        assert_eq!(Pattern::parse("message.*"), Some(Pattern::Under("message".into())));
        assert_eq!(Pattern::parse("a.b.*"), Some(Pattern::Under("a.b".into())));
        assert_eq!(Pattern::parse("message.sent"), Some(Pattern::Exactly("message.sent".into())));
        for none in ["", ".", ".*", "**", "*.sent", "a.*.b", "message.", "a b", "message*", "a..*"] {
            assert_eq!(Pattern::parse(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_dot() {
        assert_eq!(prefixes("a.b.c").collect::<Vec<_>>(), ["a", "a.b"]);
        assert_eq!(prefixes("a").count(), 0);
    }
}
