//! What a server answered, as far as a sink looks at it.
//!
//! Invariant: what goes from an answer into an error is short and holds no control characters. Read `mod.rs` next.

use std::time::Duration;

use http::response::Parts;
use http::{HeaderMap, StatusCode, header};
use jiff::fmt::rfc2822;
use vai_webhooks_wire::UnixMs;

use crate::sink::SinkError;

/// The longest `Retry-After` that is honoured. A longer one counts as this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The most characters of an answer's body that an error shows.
const SHOWN_CHARS_MAX: usize = 300;

/// An answer, read up to its limit.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body's beginning, as text.
    pub(crate) body: String,
    server: String,
}

impl Answer {
    pub(super) fn new(server: &str, head: &Parts, body: &[u8]) -> Self {
        Self {
            status: head.status,
            headers: head.headers.clone(),
            body: String::from_utf8_lossy(body).into_owned(),
            server: server.to_owned(),
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The sink is to be tried again: after `Retry-After`, where the server gave one.
    pub(crate) fn again(&self) -> SinkError {
        SinkError::Again { detail: self.shown(), after: self.retry_after(UnixMs::now()) }
    }

    /// The sink refuses the event at this index of the batch.
    pub(crate) fn refused(&self, at: usize) -> SinkError {
        SinkError::Refused { at, detail: self.shown() }
    }

    /// Server, status and the beginning of what it said.
    pub(crate) fn shown(&self) -> String {
        let said: String = self.body.trim().chars().take(SHOWN_CHARS_MAX).collect();
        let said: String = said.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        let separator = if said.is_empty() { "" } else { ": " };
        format!("{} answered {}{separator}{said}", self.server, self.status)
    }

    /// Source: RFC 9110, 10.2.3: seconds, or an HTTP date.
    fn retry_after(&self, now: UnixMs) -> Option<Duration> {
        let text = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        let asked = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Duration::from_secs(text.parse().unwrap_or(u64::MAX))
        } else {
            let at = rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
            let wait_ms = UnixMs(at.as_millisecond()).since(now);
            Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
        };
        Some(asked.min(RETRY_AFTER_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2026-01-01T00:00:00Z
    const NOW: UnixMs = UnixMs(1_767_225_600_000);

    fn answer(retry_after: &str, body: &str) -> Answer {
        let response =
            http::Response::builder().status(429).header("retry-after", retry_after).body(()).unwrap();
        Answer::new("https://a", &response.into_parts().0, body.as_bytes())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_is_capped() {
        let secs = |text| answer(text, "").retry_after(NOW).map(|wait| wait.as_secs());
        assert_eq!(secs("30"), Some(30));
        assert_eq!(secs("99999999999999999999"), Some(RETRY_AFTER_MAX.as_secs()));
        assert_eq!(secs("Thu, 01 Jan 2026 00:01:00 GMT"), Some(60));
        assert_eq!(secs("Wed, 31 Dec 2025 00:01:00 GMT"), Some(0));
        assert_eq!(secs("soon"), None);
    }

    #[test]
    fn what_a_server_says_is_shown_short_and_on_one_line() {
        let shown = answer("1", &format!("a\nb\u{1b}[31m{}", "x".repeat(10_000))).shown();
        assert!(shown.starts_with("https://a answered 429 Too Many Requests: a b [31mx"), "{shown}");
        assert!(shown.chars().count() < 400 && !shown.contains(char::is_control));
    }
}
