//! Times and spans of time, as they are typed and as they are shown.
//!
//! A time is RFC 3339, or `+10m` from now. Pure: now is passed in. Read `hidden.rs` next.

use vai_webhooks_wire::UnixMs;

use crate::units::Span;

/// A time as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// This time.
    At(UnixMs),
    /// So long after now.
    In(Span),
}

impl When {
    /// Reads RFC 3339, or `+` and a span.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a time is RFC 3339, as 2026-01-31T12:00:00Z, or a span from now, as +10m";
        match text.strip_prefix('+') {
            Some(span) => span.parse().map(Self::In).map_err(|_| WRONG),
            None => text.parse().map(Self::At).map_err(|_| WRONG),
        }
    }

    pub(super) fn resolve(self, now: UnixMs) -> UnixMs {
        match self {
            Self::At(time) => time,
            Self::In(span) => after(now, span),
        }
    }
}

/// So long after `now`.
pub(super) fn after(now: UnixMs, Span(span): Span) -> UnixMs {
    now.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// Reads RFC 3339, or Unix time in seconds, as `webhook-timestamp` has it.
pub(super) fn parse_instant(text: &str) -> Result<UnixMs, &'static str> {
    const WRONG: &str = "a time is RFC 3339, as 2026-01-31T12:00:00Z, or Unix time in seconds";
    match text.parse::<i64>() {
        Ok(secs) => secs.checked_mul(1_000).map(UnixMs).ok_or(WRONG),
        Err(_) => text.parse().map_err(|_| WRONG),
    }
}

/// A time for people, in UTC, to the second: `2026-01-31 12:00:00`.
pub(super) fn shown(time: UnixMs) -> String {
    let text = time.to_string();
    match text.get(..19) {
        Some(head) if head.as_bytes()[10] == b'T' => head.replace('T', " "),
        _ => text,
    }
}

/// The same with milliseconds.
pub(super) fn shown_ms(time: UnixMs) -> String {
    time.to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_or_a_span_from_now() {
        let now = UnixMs(1_767_225_600_000);
        assert_eq!(When::parse("+10m").unwrap().resolve(now), UnixMs(1_767_226_200_000));
        assert_eq!(When::parse("2026-01-01T02:00:00+02:00").unwrap().resolve(now), now);
        for text in ["", "+", "tomorrow", "10m", "2026-01-01"] {
            assert!(When::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_instant_is_rfc_3339_or_unix_seconds() {
        assert_eq!(parse_instant("1767225600"), Ok(UnixMs(1_767_225_600_000)));
        assert_eq!(parse_instant("2026-01-01T00:00:00Z"), Ok(UnixMs(1_767_225_600_000)));
        assert!(parse_instant("now").is_err() && parse_instant("9223372036854775807").is_err());
    }

    #[test]
    fn times_are_shown_to_the_second() {
        assert_eq!(shown(UnixMs(1_767_225_600_123)), "2026-01-01 00:00:00");
        assert_eq!(shown_ms(UnixMs(1_767_225_600_123)), "2026-01-01 00:00:00.123");
    }
}
