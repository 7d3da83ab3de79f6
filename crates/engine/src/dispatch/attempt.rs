//! One attempt, as a future: is the webhook still wanted, then shape, sign, render, send.
//!
//! Invariant: the question and the first step of sending are one step of one thread, so that once a stop
//! of the webhook was acknowledged by that thread, no attempt starts. Shaping comes before the question.
//! Read `shape.rs` and `shard.rs` next.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use vai_webhooks_wire::UnixMs;

use super::render;
use super::shape::{self, Unsent};
use super::signing::{self, Ahead};
use super::transport::Exchange;
use crate::key::WebhookNo;
use crate::parts::Parts;
use crate::store::Ready;
use crate::webhook::WebhookStatus;
use crate::webhook::live::Live;

/// An attempt that ended.
pub(super) struct Ended {
    pub(super) webhook: WebhookNo,
    pub(super) ready: Ready,
    /// `None` where it never started, since the webhook is stopped.
    pub(super) made: Option<Made>,
}

/// What was sent and what came of it.
pub(super) struct Made {
    pub(super) live: Arc<Live>,
    pub(super) started_at: UnixMs,
    pub(super) took: Duration,
    pub(super) result: Result<Exchange, Unsent>,
}

/// Makes one attempt, with signatures that were made ahead where they still hold.
pub(super) async fn attempt(
    parts: Arc<Parts>,
    webhook: WebhookNo,
    ready: Ready,
    ahead: Option<Ahead>,
) -> Ended {
    let made = match active(&parts, webhook) {
        Some(live) => make(&parts, live, &ready, ahead).await,
        None => None,
    };
    Ended { webhook, ready, made }
}

fn active(parts: &Parts, webhook: WebhookNo) -> Option<Arc<Live>> {
    parts.registry.by_no(webhook).filter(|live| live.stored.status == WebhookStatus::Active)
}

async fn make(parts: &Parts, mut live: Arc<Live>, ready: &Ready, ahead: Option<Ahead>) -> Option<Made> {
    let mut outgoing = None;
    if let Some(form) = ready.form {
        let started_at = parts.clock.now();
        // In a box of its own: most attempts have no part in it.
        match shape::shape(parts, &live, ready, form).boxed().await {
            Ok(it) => outgoing = it,
            Err(why) => {
                return Some(Made { live, started_at, took: Duration::ZERO, result: Err(why) });
            }
        }
        live = active(parts, live.stored.no)?;
    }
    let started_at = parts.clock.now();
    let began = parts.clock.elapsed();
    let number = ready.attempts + 1;
    let signatures = ahead
        .and_then(|ahead| ahead.of(&live))
        .unwrap_or_else(|| signing::sign(&live, &ready.event, outgoing.as_ref(), started_at));
    let request = render::request(&live, &ready.event, outgoing.as_ref(), number, &signatures, &*parts.rng);
    let exchange = parts.transport.send(request).await;
    let took = parts.clock.elapsed().saturating_sub(began);
    Some(Made { live, started_at, took, result: Ok(exchange) })
}
