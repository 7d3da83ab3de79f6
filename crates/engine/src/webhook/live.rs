//! A webhook as an attempt needs it: compiled once, when it is registered, changed or loaded.
//!
//! Invariant: what is here was checked by `validate.rs`, so that no attempt can fail on its own
//! configuration. Neither type has a `Debug` that could show a secret. Read `registry.rs` next.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Uri};
use vai_webhooks_wire::{Secret, SigningKey, UnixMs, WebhookId};

use super::pattern::Pattern;
use super::{Checked, Webhook, WebhookConfig, WebhookStatus, check_config};
use crate::dispatch::headers::Headers;
use crate::dispatch::render;
use crate::key::WebhookNo;
use crate::schedule::room::Room;
use crate::tenant::TenantId;

/// A webhook as the store keeps it.
#[derive(Clone)]
pub struct StoredWebhook {
    /// Its number.
    pub no: WebhookNo,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id, unique for its tenant among those not deleted.
    pub id: WebhookId,
    /// Whether it takes part.
    pub status: WebhookStatus,
    /// What its owner decided.
    pub config: WebhookConfig,
    /// The secret that signs, as it was shown.
    pub secret: String,
    /// The secret before the last rotation, and until when it signs too.
    pub previous_secret: Option<(String, UnixMs)>,
    /// `whsk_…`, where it has an Ed25519 key.
    pub signing_key: Option<String>,
    /// When it was registered.
    pub created_at: UnixMs,
    /// When it was last changed.
    pub updated_at: UnixMs,
}

/// A webhook ready for attempts.
pub(crate) struct Live {
    pub(crate) stored: StoredWebhook,
    pub(crate) uri: Uri,
    pub(crate) patterns: Vec<Pattern>,
    /// The owner's own headers.
    pub(crate) headers: HeaderMap,
    /// The headers that all attempts have, where nothing but the event itself is sent.
    pub(crate) constant: Headers,
    pub(crate) timeout: Duration,
    secret: Secret,
    previous_secret: Option<(Secret, UnixMs)>,
    pub(crate) signing_key: Option<SigningKey>,
    /// The same for all states of one webhook.
    pub(crate) room: Arc<Room>,
}

/// A stored webhook does not compile: the file was changed by somebody else.
#[derive(Debug, thiserror::Error)]
#[error("webhook {id} in the store is damaged: {what}")]
pub(crate) struct Damaged {
    id: WebhookId,
    what: String,
}

impl Live {
    /// Compiles what the store keeps. The network policy is not asked: it is at each connection, and an
    /// operator may have narrowed it since, which must not keep the engine from starting.
    pub(crate) fn compile(stored: StoredWebhook) -> Result<Self, Damaged> {
        let damaged = |what: String| Damaged { id: stored.id.clone(), what };
        let Checked { uri, patterns, headers } = check_config(&stored.config, |_| None)
            .map_err(|problems| damaged(problems.into_iter().map(|it| it.pointer).collect()))?;
        let parse = |text: &String| Secret::parse(text).map_err(|_| damaged("its secret".to_owned()));
        let secret = parse(&stored.secret)?;
        let previous_secret = match &stored.previous_secret {
            Some((text, until)) => Some((parse(text)?, *until)),
            None => None,
        };
        let signing_key = match &stored.signing_key {
            Some(text) => Some(SigningKey::parse(text).map_err(|_| damaged("its signing key".to_owned()))?),
            None => None,
        };
        let timeout = Duration::from_millis(u64::from(stored.config.timeout_ms));
        let room = Arc::default();
        let constant = render::constant(stored.id.as_str(), &headers);
        Ok(Self {
            constant,
            uri,
            patterns,
            headers,
            timeout,
            secret,
            previous_secret,
            signing_key,
            room,
            stored,
        })
    }

    /// The same with the room that the webhook has in memory.
    pub(crate) fn in_room(self, room: Arc<Room>) -> Self {
        Self { room, ..self }
    }

    /// The secrets that sign at `now`. The first one makes the legacy signature, which has room for one:
    /// it stays with the replaced secret until that one's grace period ends.
    pub(crate) fn secrets(&self, now: UnixMs) -> (&Secret, Option<&Secret>) {
        match &self.previous_secret {
            Some((previous, until)) if now < *until => (previous, Some(&self.secret)),
            _ => (&self.secret, None),
        }
    }

    /// Whether an event that names `channels` is for this webhook.
    pub(crate) fn takes_channels(&self, channels: &[String]) -> bool {
        let own = &self.stored.config.channels;
        channels.is_empty() || own.is_empty() || channels.iter().any(|channel| own.contains(channel))
    }

    /// What may be read of it.
    pub(crate) fn view(&self) -> Webhook {
        let stored = &self.stored;
        Webhook {
            id: stored.id.clone(),
            status: stored.status,
            config: stored.config.clone(),
            verifying_key: self.signing_key.as_ref().map(|key| key.verifying_key().to_string()),
            rotating_until: self.previous_secret.as_ref().map(|(_, until)| *until),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}
