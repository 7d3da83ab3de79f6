//! What an attempt's result means for its delivery: a function of values.
//!
//! The rules are the contract's ("What an answer means"). A failed delivery is not an error: every
//! exchange leads to exactly one [`Outcome`]. Read `store/mod.rs` next, where it is settled.

use jiff::fmt::rfc2822;
use vai_webhooks_wire::UnixMs;

use crate::dispatch::transport::{Answer, Exchange, FailureKind};
use crate::webhook::RetryPolicy;

/// Where a delivery goes after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 2xx. Final.
    Delivered,
    /// Another attempt, not before `due`.
    Retry { due: UnixMs },
    /// No attempt is left. Final.
    Exhausted,
    /// 410: nothing more is wanted. Final, and the webhook is disabled.
    Rejected,
}

/// What an attempt says about how its webhook copes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strain {
    /// It answers.
    None,
    /// It is overloaded, or does not answer in time.
    Overloaded,
}

/// The longest `Retry-After` that is honoured, in milliseconds: one day. A longer one counts as this.
const RETRY_AFTER_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// The outcome of an attempt. `made` counts the attempts of this round, this one among them.
pub(crate) fn outcome(
    exchange: &Exchange,
    policy: &RetryPolicy,
    made: u32,
    now: UnixMs,
    jitter: impl FnOnce(u64) -> u64,
) -> Outcome {
    match &exchange.result {
        Ok(Answer { status: 200..=299, .. }) => return Outcome::Delivered,
        Ok(Answer { status: 410, .. }) => return Outcome::Rejected,
        Ok(_) | Err(_) => {}
    }
    let Some(wait_ms) = policy.wait_ms(made, jitter) else { return Outcome::Exhausted };
    let by_policy = now.saturating_add(i64::try_from(wait_ms).unwrap_or(i64::MAX));
    Outcome::Retry { due: retry_after(exchange, now).map_or(by_policy, |asked| asked.max(by_policy)) }
}

/// Whether an exchange delivered.
pub(crate) fn delivered(exchange: &Exchange) -> bool {
    matches!(exchange.result, Ok(Answer { status: 200..=299, .. }))
}

/// What an attempt says about how its webhook copes.
pub(crate) fn strain(exchange: &Exchange) -> Strain {
    match &exchange.result {
        Ok(Answer { status: 429 | 503, .. }) => Strain::Overloaded,
        Err(failure) if failure.kind == FailureKind::Timeout => Strain::Overloaded,
        Ok(_) | Err(_) => Strain::None,
    }
}

/// The time that a 429 or 503 asks for, capped. Source: RFC 9110, 10.2.3: seconds, or an HTTP date.
pub(crate) fn retry_after(exchange: &Exchange, now: UnixMs) -> Option<UnixMs> {
    let Ok(Answer { status: 429 | 503, retry_after: Some(text), .. }) = &exchange.result else { return None };
    let text = text.trim();
    let wait_ms = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(1_000)
    } else {
        let at = rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
        UnixMs(at.as_millisecond()).since(now)
    };
    Some(now.saturating_add(wait_ms.clamp(0, RETRY_AFTER_MS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::transport::Failure;
    use bytes::Bytes;

    // 2026-01-01T00:00:00Z
    const NOW: UnixMs = UnixMs(1_767_225_600_000);

    fn answered(status: u16, retry_after: Option<&str>) -> Exchange {
        let retry_after = retry_after.map(str::to_owned);
        let answer = Answer { status, retry_after, body: Bytes::new(), body_cut: false };
        Exchange { address: None, result: Ok(answer) }
    }

    fn failed(kind: FailureKind, status: Option<u16>) -> Exchange {
        Exchange { address: None, result: Err(Failure { kind, detail: String::new(), status }) }
    }

    fn after(exchange: &Exchange, made: u32) -> Outcome {
        let policy = RetryPolicy::Backoff { max_attempts: 3, backoff_ms: 1_000, max_backoff_ms: 60_000 };
        outcome(exchange, &policy, made, NOW, |_| 0)
    }

    fn retry(after_ms: i64) -> Outcome {
        Outcome::Retry { due: NOW.saturating_add(after_ms) }
    }

    #[test]
    fn the_contracts_table_holds() {
        for status in [200, 201, 204, 299] {
            assert_eq!(after(&answered(status, None), 1), Outcome::Delivered);
        }
        assert_eq!(after(&answered(410, None), 1), Outcome::Rejected);
        for status in [100, 199, 301, 302, 308, 400, 401, 404, 429, 500, 503] {
            assert_eq!(after(&answered(status, None), 1), retry(1_000), "{status}");
            assert_eq!(after(&answered(status, None), 2), retry(2_000), "{status}");
            assert_eq!(after(&answered(status, None), 3), Outcome::Exhausted, "{status}");
        }
        assert_eq!(after(&failed(FailureKind::Timeout, None), 1), retry(1_000));
        assert_eq!(after(&failed(FailureKind::Refused, None), 3), Outcome::Exhausted);
    }

    #[test]
    fn an_answer_that_broke_off_is_no_delivery_whatever_its_status() {
        assert_eq!(after(&failed(FailureKind::Closed, Some(200)), 1), retry(1_000));
        assert_eq!(after(&failed(FailureKind::Closed, Some(410)), 1), retry(1_000));
    }

    #[test]
    fn retry_after_is_kept_for_429_and_503_and_is_capped() {
        assert_eq!(after(&answered(429, Some("30")), 1), retry(30_000));
        assert_eq!(after(&answered(503, Some("30")), 1), retry(30_000));
        assert_eq!(after(&answered(500, Some("30")), 1), retry(1_000));
        assert_eq!(after(&answered(429, Some("0")), 1), retry(1_000));
        assert_eq!(after(&answered(429, Some("99999999999999999999")), 1), retry(RETRY_AFTER_MS_MAX));
        assert_eq!(after(&answered(429, Some("soon")), 1), retry(1_000));
        assert_eq!(after(&answered(429, Some("Thu, 01 Jan 2026 00:01:00 GMT")), 1), retry(60_000));
        assert_eq!(after(&answered(429, Some("Wed, 31 Dec 2025 00:01:00 GMT")), 1), retry(1_000));
    }

    #[test]
    fn only_overload_is_strain() {
        assert_eq!(strain(&answered(429, None)), Strain::Overloaded);
        assert_eq!(strain(&failed(FailureKind::Timeout, None)), Strain::Overloaded);
        assert_eq!(strain(&answered(500, None)), Strain::None);
        assert_eq!(strain(&failed(FailureKind::Connect, None)), Strain::None);
    }
}
