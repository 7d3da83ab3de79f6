//! What a webhook's configuration must be, checked whole before anything changes.
//!
//! Registration and update pass through the one [`check_config`], which finds every problem at once and
//! gives back the compiled parts. The egress policy looks at the URL already here; names are looked up
//! and checked again at each connection. Read `live.rs` next.

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use url::Url;

use super::WebhookConfig;
use super::pattern::Pattern;
use super::retry::{ATTEMPTS_MAX, RetryPolicy, WAIT_MS_MAX};
use crate::error::FieldProblem;

const URL_CHARS_MAX: usize = 2_048;
const EVENTS_MAX: usize = 100;
const CHANNELS_MAX: usize = 50;
const CHANNEL_CHARS_MAX: usize = 128;
const HEADERS_MAX: usize = 50;
const HEADER_BYTES_MAX: usize = 4_096;
const DESCRIPTION_CHARS_MAX: usize = 1_000;
const TIMEOUT_MS_MIN: u32 = 1_000;
const TIMEOUT_MS_MAX: u32 = 30_000;

/// Headers that are ours or the connection's to set.
const RESERVED_HEADERS: [&str; 22] = [
    "content-type",
    "content-length",
    "content-encoding",
    "user-agent",
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "traceparent",
    "tracestate",
    "date",
    "accept-encoding",
    "cookie",
];
/// Ours now or later, whatever follows.
const RESERVED_PREFIX: &str = "x-vai-";

/// A configuration that was found good, in the form the engine works with.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) uri: Uri,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) headers: HeaderMap,
}

/// Checks every member. `url_refused` says why the network policy refuses a URL, if it does.
pub(crate) fn check_config(
    config: &WebhookConfig,
    url_refused: impl Fn(&Url) -> Option<String>,
) -> Result<Checked, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let uri = check_url(&config.url, url_refused, &mut problems);
    let patterns = check_events(&config.events, &mut problems);
    check_channels("/channels", &config.channels, &mut problems);
    let headers = check_headers(&config.headers, &mut problems);
    check_retry(&config.retry, &mut problems);
    if !(TIMEOUT_MS_MIN..=TIMEOUT_MS_MAX).contains(&config.timeout_ms) {
        let detail = format!("is {}; must be {TIMEOUT_MS_MIN} to {TIMEOUT_MS_MAX}", config.timeout_ms);
        problems.push(FieldProblem::at("/timeoutMs", "out_of_range", detail));
    }
    let description_chars = config.description.as_ref().map_or(0, |text| text.chars().count());
    if description_chars > DESCRIPTION_CHARS_MAX {
        let detail = format!("has {description_chars} characters; at most {DESCRIPTION_CHARS_MAX} are kept");
        problems.push(FieldProblem::at("/description", "too_long", detail));
    }
    match uri {
        Some(uri) if problems.is_empty() => Ok(Checked { uri, patterns, headers }),
        _ => Err(problems),
    }
}

fn check_url(
    text: &str,
    refused: impl Fn(&Url) -> Option<String>,
    problems: &mut Vec<FieldProblem>,
) -> Option<Uri> {
    let mut problem = |code, detail: String| problems.push(FieldProblem::at("/url", code, detail));
    if text.len() > URL_CHARS_MAX {
        problem("too_long", format!("is longer than {URL_CHARS_MAX} characters"));
        return None;
    }
    match Url::parse(text) {
        Err(error) => {
            problem("invalid_url", format!("is not a URL: {error}; an example: https://example.com/hook"));
            None
        }
        Ok(url) => match (refused(&url), url.as_str().parse()) {
            (Some(reason), _) => {
                problem("refused_url", reason);
                None
            }
            (None, Err(_)) => {
                problem("invalid_url", "cannot be sent in an HTTP request".to_owned());
                None
            }
            (None, Ok(uri)) => Some(uri),
        },
    }
}

fn check_events(events: &[String], problems: &mut Vec<FieldProblem>) -> Vec<Pattern> {
    if events.is_empty() {
        let detail = "is empty; name at least one event type, a prefix as message.*, or *";
        problems.push(FieldProblem::at("/events", "empty", detail));
    }
    if events.len() > EVENTS_MAX {
        let detail = format!("has {} entries; the most are {EVENTS_MAX}", events.len());
        problems.push(FieldProblem::at("/events", "too_many", detail));
        return Vec::new();
    }
    let mut patterns = Vec::with_capacity(events.len());
    for (at, text) in events.iter().enumerate() {
        match Pattern::parse(text) {
            Some(pattern) => patterns.push(pattern),
            None => problems.push(FieldProblem::at(
                format!("/events/{at}"),
                "invalid_event_type",
                "is no event type: names as message.received (letters, digits and _ between dots, \
                 128 characters at most), a prefix as message.*, or *",
            )),
        }
    }
    patterns
}

/// Channels, of a webhook or of an event.
pub(crate) fn check_channels(pointer: &str, channels: &[String], problems: &mut Vec<FieldProblem>) {
    if channels.len() > CHANNELS_MAX {
        let detail = format!("has {} entries; the most are {CHANNELS_MAX}", channels.len());
        problems.push(FieldProblem::at(pointer, "too_many", detail));
        return;
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    for (at, channel) in channels.iter().enumerate() {
        if channel.is_empty() || channel.len() > CHANNEL_CHARS_MAX || !channel.bytes().all(plain) {
            problems.push(FieldProblem::at(
                format!("{pointer}/{at}"),
                "invalid_channel",
                "is no channel: 1 to 128 letters, digits, '_', '.', ':' and '-'",
            ));
        }
    }
}

fn check_headers(headers: &[(String, String)], problems: &mut Vec<FieldProblem>) -> HeaderMap {
    if headers.len() > HEADERS_MAX {
        let detail = format!("has {} entries; the most are {HEADERS_MAX}", headers.len());
        problems.push(FieldProblem::at("/headers", "too_many", detail));
        return HeaderMap::new();
    }
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        match check_header(name, value) {
            Ok((name, value)) if !map.contains_key(&name) => {
                map.insert(name, value);
            }
            Ok(_) => problems.push(header_problem(name, "duplicate", "is given twice")),
            Err((code, detail)) => problems.push(header_problem(name, code, detail)),
        }
    }
    map
}

fn header_problem(name: &str, code: &'static str, detail: &str) -> FieldProblem {
    // RFC 6901: '~' and '/' are escaped in a pointer. Control characters never go into a message.
    let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    FieldProblem::at(format!("/headers/{}", shown.replace('~', "~0").replace('/', "~1")), code, detail)
}

/// One header that an owner or a script sets: the compiled one, or the problem's code and detail.
pub(crate) fn check_header(
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), (&'static str, &'static str)> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        ("invalid_header_name", "is no header name (RFC 9110: letters, digits and !#$%&'*+-.^_`|~)")
    })?;
    if RESERVED_HEADERS.contains(&parsed.as_str()) || parsed.as_str().starts_with(RESERVED_PREFIX) {
        return Err(("reserved_header", "is set by the engine or by the connection and cannot be chosen"));
    }
    if value.len() > HEADER_BYTES_MAX {
        return Err(("too_long", "has a value of more than 4096 bytes"));
    }
    let visible = value.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t');
    match HeaderValue::from_str(value) {
        Ok(mut parsed_value) if visible => {
            parsed_value.set_sensitive(true);
            Ok((parsed, parsed_value))
        }
        _ => Err(("invalid_header_value", "has a value with characters other than visible ASCII and blanks")),
    }
}

fn check_retry(retry: &RetryPolicy, problems: &mut Vec<FieldProblem>) {
    let mut out_of_range = |pointer: &str, detail: String| {
        problems.push(FieldProblem::at(format!("/retryConfig/{pointer}"), "out_of_range", detail));
    };
    match retry {
        RetryPolicy::Schedule { schedule } => {
            if schedule.len() >= usize::try_from(ATTEMPTS_MAX).unwrap_or(usize::MAX) {
                let detail = format!("has {} waits; the most are {}", schedule.len(), ATTEMPTS_MAX - 1);
                out_of_range("schedule", detail);
            }
            for (at, &wait_ms) in schedule.iter().enumerate().take(EVENTS_MAX) {
                if wait_ms > WAIT_MS_MAX {
                    out_of_range(
                        &format!("schedule/{at}"),
                        format!("is {wait_ms}; must be 0 to {WAIT_MS_MAX}"),
                    );
                }
            }
        }
        RetryPolicy::Backoff { max_attempts, backoff_ms, max_backoff_ms } => {
            if !(1..=ATTEMPTS_MAX).contains(max_attempts) {
                out_of_range("maxAttempts", format!("is {max_attempts}; must be 1 to {ATTEMPTS_MAX}"));
            }
            if !(1..=WAIT_MS_MAX).contains(backoff_ms) {
                out_of_range("backoffMs", format!("is {backoff_ms}; must be 1 to {WAIT_MS_MAX}"));
            }
            if !(1..=WAIT_MS_MAX).contains(max_backoff_ms) {
                out_of_range("maxBackoffMs", format!("is {max_backoff_ms}; must be 1 to {WAIT_MS_MAX}"));
            } else if max_backoff_ms < backoff_ms {
                out_of_range("maxBackoffMs", "is below backoffMs".to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut WebhookConfig)) -> Vec<(String, &'static str)> {
        let mut config = WebhookConfig::new("https://example.com/hook", ["message.*"]);
        change(&mut config);
        match check_config(&config, |_| None) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|it| (it.pointer, it.code)).collect(),
        }
    }

    fn header(name: &str, value: &str) -> Vec<(String, &'static str)> {
        problems(|config| config.headers = vec![(name.into(), value.into())])
    }

    #[test]
    fn a_plain_webhook_is_good() {
        assert_eq!(problems(|_| ()), []);
    }

    #[test]
    fn every_problem_is_found_at_once() {
        let found = problems(|config| {
            config.url = "no url".into();
            config.events = vec!["ok".into(), "not ok".into()];
            config.timeout_ms = 0;
        });
        let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/url", "/events/1", "/timeoutMs"]);
    }

    #[test]
    fn headers_cannot_be_smuggled_or_replaced() {
        assert_eq!(header("X-Api-Key", "abc"), []);
        assert_eq!(header("Authorization", "Bearer x"), []);
        assert_eq!(header("X-A", "a\r\nX-B: c")[0].1, "invalid_header_value");
        assert_eq!(header("X-A\r\nX-B", "c")[0].1, "invalid_header_name");
        assert_eq!(header("", "c")[0].1, "invalid_header_name");
        for reserved in ["Host", "content-type", "X-VAI-Signature", "x-vai-anything", "Webhook-Id"] {
            assert_eq!(header(reserved, "x")[0].1, "reserved_header", "{reserved}");
        }
    }

    #[test]
    fn retries_have_bounds() {
        for max_attempts in [0, 51, 1_000_000_000] {
            let found = problems(|config| {
                config.retry =
                    RetryPolicy::Backoff { max_attempts, backoff_ms: 1_000, max_backoff_ms: 2_000 };
            });
            assert_eq!(found, [("/retryConfig/maxAttempts".to_owned(), "out_of_range")]);
        }
        let found = problems(|config| config.retry = RetryPolicy::Schedule { schedule: vec![0; 50] });
        assert_eq!(found, [("/retryConfig/schedule".to_owned(), "out_of_range")]);
    }

    #[test]
    fn a_refused_url_says_why() {
        let config = WebhookConfig::new("http://127.0.0.1/", ["*"]);
        let problems = check_config(&config, |_| Some("is a loopback address".into())).unwrap_err();
        assert_eq!((problems[0].pointer.as_str(), problems[0].code), ("/url", "refused_url"));
    }
}
