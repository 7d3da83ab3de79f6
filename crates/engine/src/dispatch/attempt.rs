//! One attempt, as a future: is the webhook still wanted, then render, sign, send.
//!
//! Invariant: the question and the first step of sending are one step of one thread, so that once a stop
//! of the webhook was acknowledged by that thread, no attempt starts. Read `shard.rs` next.

use std::sync::Arc;
use std::time::Duration;

use vai_webhooks_wire::UnixMs;

use super::render;
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
    pub(super) exchange: Exchange,
}

/// Makes one attempt.
pub(super) async fn attempt(parts: Arc<Parts>, webhook: WebhookNo, ready: Ready) -> Ended {
    let live = parts.registry.by_no(webhook).filter(|live| live.stored.status == WebhookStatus::Active);
    let made = match live {
        Some(live) => Some(make(&parts, live, &ready).await),
        None => None,
    };
    Ended { webhook, ready, made }
}

async fn make(parts: &Parts, live: Arc<Live>, ready: &Ready) -> Made {
    let started_at = parts.clock.now();
    let began = parts.clock.elapsed();
    let number = ready.attempts + 1;
    let request = render::request(&live, &ready.event, number, started_at, &*parts.rng);
    let exchange = parts.transport.send(request).await;
    let took = parts.clock.elapsed().saturating_sub(began);
    Made { live, started_at, took, exchange }
}
