//! Webhooks: what they are told to be, what is checked of that, and which of them take an event.
//!
//! A webhook's life: given as [`NewWebhook`], checked whole (`validate.rs`), stored as a
//! [`WebhookConfig`], compiled once into what an attempt needs (`live.rs`), found by event type in the
//! registry (`registry.rs`).

mod format;
mod input;
pub(crate) mod live;
pub(crate) mod pattern;
pub(crate) mod registry;
pub(crate) mod retry;
mod transform;
mod validate;

use serde::{Deserialize, Serialize};
use vai_webhooks_wire::{UnixMs, WebhookId};

pub use format::{Form, Format};
pub use retry::RetryPolicy;
pub use transform::{OnError, ScriptInput, Transform, TransformInput};
pub(crate) use validate::{Checked, check_channels, check_config, check_header};

/// What a webhook's owner decides about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookConfig {
    /// Where events go.
    pub url: String,
    /// What it takes: names, `prefix.*`, `*`.
    pub events: Vec<String>,
    /// Of events that name channels, it takes those that name one of these. Empty: it takes all.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Further headers of each request, in this order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// When a failed delivery is tried again.
    pub retry: RetryPolicy,
    /// The deadline of one attempt, in milliseconds: 1,000 to 30,000.
    pub timeout_ms: u32,
    /// A note for people.
    #[serde(default)]
    pub description: Option<String>,
    /// How its events are written.
    #[serde(default, skip_serializing_if = "Format::is_default")]
    pub format: Format,
    /// The script that shapes its events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
}

/// The seed's deadline of one attempt, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u32 = 10_000;

impl WebhookConfig {
    /// A webhook of this address and these events, and the defaults for the rest.
    #[must_use]
    pub fn new<T: Into<String>>(url: impl Into<String>, events: impl IntoIterator<Item = T>) -> Self {
        Self {
            url: url.into(),
            events: events.into_iter().map(Into::into).collect(),
            channels: Vec::new(),
            headers: Vec::new(),
            retry: RetryPolicy::default(),
            timeout_ms: DEFAULT_TIMEOUT_MS,
            description: None,
            format: Format::default(),
            transform: None,
        }
    }
}

/// A webhook as it is registered.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Its id; without one, one is made.
    pub id: Option<WebhookId>,
    /// Its secret; without one, one is made.
    pub secret: Option<String>,
    /// Whether it gets an Ed25519 key too, so that receivers can verify without a shared secret.
    pub ed25519: bool,
    /// Whether the endpoint must accept a signed `webhook.test` first. Default: yes.
    pub verify: bool,
    /// The script that shapes its events, in place of `config.transform`.
    pub transform: Option<TransformInput>,
    /// The rest.
    pub config: WebhookConfig,
}

impl NewWebhook {
    /// A webhook of this address and these events, and the defaults for the rest.
    #[must_use]
    pub fn new<T: Into<String>>(url: impl Into<String>, events: impl IntoIterator<Item = T>) -> Self {
        let config = WebhookConfig::new(url, events);
        Self { id: None, secret: None, ed25519: false, verify: true, transform: None, config }
    }
}

/// What is to change of a webhook; `None` leaves a member as it is.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    /// Where events go.
    pub url: Option<String>,
    /// What it takes.
    pub events: Option<Vec<String>>,
    /// Its channels.
    pub channels: Option<Vec<String>>,
    /// Its further headers, all of them.
    pub headers: Option<Vec<(String, String)>>,
    /// When a failed delivery is tried again.
    pub retry: Option<RetryPolicy>,
    /// The deadline of one attempt, in milliseconds.
    pub timeout_ms: Option<u32>,
    /// A note for people; `Some(None)` takes it away.
    pub description: Option<Option<String>>,
    /// How its events are written.
    pub format: Option<Format>,
    /// The script that shapes its events; `Some(None)` takes it away.
    pub transform: Option<Option<TransformInput>>,
    /// Whether a changed address must accept a signed `webhook.test` first. Default: yes.
    pub verify: Option<bool>,
}

impl WebhookChange {
    /// `config` with this change.
    pub(crate) fn applied_to(self, config: &WebhookConfig) -> WebhookConfig {
        let old = config.clone();
        WebhookConfig {
            url: self.url.unwrap_or(old.url),
            events: self.events.unwrap_or(old.events),
            channels: self.channels.unwrap_or(old.channels),
            headers: self.headers.unwrap_or(old.headers),
            retry: self.retry.unwrap_or(old.retry),
            timeout_ms: self.timeout_ms.unwrap_or(old.timeout_ms),
            description: self.description.unwrap_or(old.description),
            format: self.format.unwrap_or(old.format),
            transform: old.transform,
        }
    }
}

/// Whether a webhook takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookStatus {
    /// Events are sent.
    Active,
    /// Stopped by its owner; what arrives meanwhile waits.
    Paused,
    /// Stopped by its endpoint's 410; new events are not for it, what waited goes on when it is resumed.
    Disabled,
    /// Gone. Never seen outside the engine.
    Deleted,
}

impl WebhookStatus {
    /// The name in the API and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }

    /// The status of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Disabled, Self::Deleted]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// A webhook as it is read: everything but its secrets.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whether it takes part.
    pub status: WebhookStatus,
    /// What its owner decided.
    pub config: WebhookConfig,
    /// `whpk_…`, where it has an Ed25519 key: what receivers verify `v1a` signatures with.
    pub verifying_key: Option<String>,
    /// Until when the replaced secret is still signed with, while one is being rotated.
    pub rotating_until: Option<UnixMs>,
    /// When it was registered.
    pub created_at: UnixMs,
    /// When it was last changed.
    pub updated_at: UnixMs,
}
