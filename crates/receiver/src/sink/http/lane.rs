//! One connection's share of a batch: requests one after another, until one says to come again.
//!
//! It exists as the place that knows what an answer means. 2xx: taken. 400, 409, 413, 415 and 422 speak of the event
//! itself, which will not become better: a dead letter. Anything else speaks of the server: come again.
//! Read `../client/mod.rs` next.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use vai_webhooks_wire::{Secret, UnixMs, sign};

use super::super::client::Client;
use super::super::{SinkError, Stored};
use crate::event::Event;

/// Statuses that say that this event will never be taken.
const REFUSED: [u16; 5] = [400, 409, 413, 415, 422];

/// A connection and what goes with each request.
pub(super) struct Lane {
    client: Client,
    path: String,
    headers: HeaderMap,
    /// What each request is signed with.
    secret: Option<Secret>,
}

/// What became of a share.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) taken: Vec<i64>,
    pub(super) refused: Vec<(i64, String)>,
    /// Why the rest was not sent.
    pub(super) stopped: Option<SinkError>,
}

impl Lane {
    pub(super) fn new(client: Client, path: String, headers: HeaderMap, secret: Option<Secret>) -> Self {
        Self { client, path, headers, secret }
    }

    pub(super) async fn reach(&mut self) -> Result<String, SinkError> {
        self.client.reach().await?;
        Ok(format!("{} takes connections", self.client.server()))
    }

    /// Sends in order.
    pub(super) async fn send_all(&mut self, share: &[&Stored]) -> Sent {
        let mut result = Sent::default();
        for stored in share {
            let headers = self.headers_of(&stored.event);
            let body = stored.event.body.clone();
            match self.client.send(Method::POST, &self.path, headers, body).await {
                Ok(answer) if answer.is_success() => result.taken.push(stored.seq),
                Ok(answer) if REFUSED.contains(&answer.status.as_u16()) => {
                    result.refused.push((stored.seq, answer.shown()));
                }
                Ok(answer) => result.stopped = Some(answer.again()),
                Err(error) => result.stopped = Some(error),
            }
            if result.stopped.is_some() {
                break;
            }
        }
        result
    }

    fn headers_of(&self, event: &Event) -> HeaderMap {
        let mut headers = self.headers.clone();
        let mut set = |name: &'static str, value: &str| {
            // What came as a header goes as one; an id that cannot be one is in the body too.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("content-type", "application/json");
        set("x-vai-event", &event.event_type);
        if let Some(webhook_id) = &event.webhook_id {
            set("x-vai-webhook-id", webhook_id);
        }
        set("webhook-id", &event.id);
        if let Some(secret) = &self.secret {
            let now = UnixMs::now();
            set("x-vai-timestamp", &now.0.to_string());
            set("x-vai-signature", &sign::legacy(secret, &event.body));
            set("webhook-timestamp", &now.as_secs().to_string());
            set("webhook-signature", &sign::v1(secret, &event.id, now.as_secs(), &event.body));
        }
        headers
    }
}
