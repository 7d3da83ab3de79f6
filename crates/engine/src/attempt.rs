//! One try at one delivery, as it is recorded and read.
//!
//! It exists so that the log, `POST …/test` and the dispatcher speak of one thing. An attempt that
//! failed is a value as good as one that did not. Read `outcome.rs` next.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use vai_webhooks_wire::{AttemptId, EventId, UnixMs, WebhookId};

use crate::dispatch::transport::{Exchange, FailureKind};

/// One recorded attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The event that was sent.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: String,
    /// The webhook it was sent to.
    pub webhook_id: WebhookId,
    /// 1 for the delivery's first attempt, then 2, 3 …: the `X-VAI-Attempt` that was sent.
    pub number: u32,
    /// When it started.
    pub started_at: UnixMs,
    /// What came of it.
    pub exchanged: Exchanged,
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// From the start to the last byte of the answer that was read, or to the failure.
    pub took: Duration,
    /// The address that was dialled, where it came to that.
    pub address: Option<SocketAddr>,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// The kind of failure, where there was no complete answer.
    pub failure: Option<FailureKind>,
    /// One sentence about the failure.
    pub detail: Option<String>,
    /// The first bytes of the answer's body, at most the transport's limit.
    pub answer: Bytes,
    /// Whether the answer's body went on after `answer`.
    pub answer_cut: bool,
}

impl Exchanged {
    /// What `exchange` says, without what only the retry needs.
    pub(crate) fn new(exchange: Exchange, took: Duration) -> Self {
        let Exchange { address, result } = exchange;
        match result {
            Ok(answer) => Self {
                took,
                address,
                status: Some(answer.status),
                failure: None,
                detail: None,
                answer: answer.body,
                answer_cut: answer.body_cut,
            },
            Err(failure) => Self {
                took,
                address,
                status: failure.status,
                failure: Some(failure.kind),
                detail: Some(failure.detail),
                answer: Bytes::new(),
                answer_cut: false,
            },
        }
    }

    /// Nothing was sent, for this reason.
    pub(crate) fn unsent(failure: Option<FailureKind>, detail: String) -> Self {
        Self {
            took: Duration::ZERO,
            address: None,
            status: None,
            failure,
            detail: Some(detail),
            answer: Bytes::new(),
            answer_cut: false,
        }
    }

    /// Whether it delivered: a complete answer with a 2xx status.
    #[must_use]
    pub fn delivered(&self) -> bool {
        self.failure.is_none() && self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// One line for people: `status 500`, `timeout: no answer within 10 s`.
    #[must_use]
    pub fn summary(&self) -> String {
        match (self.failure, self.status, &self.detail) {
            (Some(kind), _, Some(detail)) => format!("{}: {detail}", kind.as_str()),
            (Some(kind), _, None) => kind.as_str().to_owned(),
            (None, Some(status), _) => format!("status {status}"),
            (None, None, Some(detail)) => detail.clone(),
            (None, None, None) => "no answer".to_owned(),
        }
    }
}
