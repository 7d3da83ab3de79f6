//! What an embedding program may watch: each request to the webhook route and what became of it.
//!
//! It exists for the demo and for metrics. Invariant: an observer sees an outcome after it is fixed and
//! just before it is answered, and cannot change it.

use std::sync::Arc;

use http::StatusCode;

/// One request to `POST /webhooks/vai` that was decided.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The event type in the signed body; `None` where nothing signed named one.
    pub event_type: Option<&'a str>,
    /// The event's identity (see [`Event::id`](crate::Event::id)); `None` as above.
    pub event_id: Option<&'a str>,
    /// `X-VAI-Attempt`, where it is a number. No signature covers it.
    pub attempt: Option<u32>,
    /// `X-VAI-Webhook-ID`. No signature covers it.
    pub webhook_id: Option<&'a str>,
    /// The signature that vouched for the body: `legacy`, `v1` or `v1a`.
    pub scheme: Option<&'static str>,
    /// What it is answered.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 200: on disk now, for the first time.
    Stored,
    /// 200: it was on disk already.
    Duplicate,
    /// Not taken: the answer's status and the reason's stable code.
    Refused {
        /// The status that is answered.
        status: StatusCode,
        /// As in `rejected` of `/webhook/status`.
        code: &'static str,
    },
}

/// A function that is called with every observation. It must return quickly: a request waits for it.
pub type Observer = Arc<dyn Fn(&Observation<'_>) + Send + Sync>;
