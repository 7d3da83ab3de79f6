//! The durable webhook engine: it accepts events, keeps them, signs, delivers, retries and records, as
//! part of another program.
//!
//! The way of an event, and the rooms it passes:
//!
//! ```text
//! Engine::trigger ─▶ intake ─▶ store (group commit) ─▶ schedule ─▶ dispatch ─▶ outcome ─▶ store
//!                    checks,     │ where it goes,         lanes,     render,     what it    settle
//!                    defaults    └─ answered only now     due times  sign, send  means
//! ```
//!
//! What it promises: an event that was accepted is on disk and is delivered at least once to every
//! webhook that took it when it was committed, or ends in another final state that can be read. What it
//! does not: exactly once. A delivery whose result could not be recorded is sent again, with the same
//! `webhook-id`.
//!
//! ```no_run
//! use vai_webhooks_engine::{Engine, EngineOptions, NewEvent, NewWebhook, TenantName};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::open(EngineOptions::new("webhooks-data")).await?;
//! let tenant = engine.tenant(&"default".parse::<TenantName>()?).await?;
//! let webhook = NewWebhook::new("https://example.com/webhooks/vai", ["message.*"]);
//! let registered = engine.register(tenant, webhook, None).await?;
//! println!("the receiver verifies with {}", registered.secret.expose());
//! engine.trigger(tenant, NewEvent::new("message.sent", r#"{"sessionId":"s-1"}"#)).await?;
//! engine.shutdown(std::time::Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! Time, randomness, network and store are values ([`Clock`], [`Rng`], [`Transport`], [`Store`]): see
//! [`Engine::assemble`]. Begin reading with `engine/mod.rs`.

mod access;
mod attempt;
pub mod catalog;
mod clock;
mod counters;
mod dispatch;
mod engine;
mod error;
mod event;
mod fields;
mod intake;
mod key;
mod link;
mod outcome;
mod parts;
mod rng;
mod schedule;
pub mod store;
mod tenant;
mod thread;
mod transform;
mod webhook;

pub use access::{ApiKey, Principal, StoredKey};
pub use attempt::{Attempt, Exchanged};
pub use clock::{Clock, SystemClock};
pub use counters::Counts;
pub use dispatch::transport::Transport;
pub use dispatch::{egress, transport};
pub use engine::{
    Engine, EngineOptions, EngineParts, EventType, EventTypeVersion, PAGE_MAX, Page, PutEventType,
    ROTATION_GRACE_MS, Redacted, Registered, Shards, StartError, TestResult, Trial, TrialOutput,
};
pub use error::{EngineError, FieldProblem};
pub use event::{Accepted, Delivery, DeliveryCounts, DeliveryState, Event, EventSummary, NewEvent, Nowhere};
pub use intake::admission::{BACKLOG_MAX, DISK_RESERVE_BYTES, Shed};
pub use intake::{BATCH_MAX, EVENT_BYTES_MAX, split_batch};
pub use key::{AttemptKey, EventKey, Realm, WebhookNo};
pub use link::LINK_LIFE;
pub use rng::{Rng, SystemRng};
pub use store::sqlite::{OpenError, SqliteStore};
pub use store::{Stats, Store, StoreError, StoredScript};
pub use tenant::{DEFAULT_TENANT, TenantId, TenantName, TenantNameError};
pub use transform::{CPU_TIME_MAX, ScriptError, ScriptErrorKind};
pub use webhook::{
    Form, Format, NewWebhook, OnError, RetryPolicy, ScriptInput, Transform, TransformInput, Webhook,
    WebhookChange, WebhookConfig, WebhookStatus,
};
