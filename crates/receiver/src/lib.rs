//! Receives VAI Portal webhooks: verifies the signature, stores each event once, answers, and hands
//! the event to handlers by its type. As a library ([`Receiver`]) and as a service ([`service`]).
//!
//! The way of an event, and the rooms it passes:
//!
//! ```text
//! POST /webhooks/vai ─▶ intake ─────────▶ accept ───────────▶ store ────────────▶ inbox ───▶ sink
//!                       size and time     signature, event?   once by its id,     a place    jsonl …
//!                       of the body       which one is it?    group commit        for each
//!                                                             └─ 200 only now   ▶ worker ──▶ route
//!                                                                                            handlers
//! ```
//!
//! In a program of axum's:
//!
//! ```no_run
//! # async fn program(secret: vai_webhooks_wire::Secret) -> Result<(), Box<dyn std::error::Error>> {
//! use vai_webhooks_receiver::Receiver;
//!
//! let receiver = Receiver::builder().secret(secret).on_conversation_started(|event, context| async move {
//!     println!("{} began at {}", event.session_id, context.timestamp);
//!     Ok(())
//! });
//! let receiver = receiver.open("received").await?;
//! let app = axum::Router::new().merge(receiver.router());
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:3004").await?;
//! # Ok(axum::serve(listener, app).await?)
//! # }
//! ```
//!
//! What it promises: an event that was answered 200 is on disk, byte for byte, once, and reaches every
//! sink whose filter takes it, in stored order, at least once; once where the sink can know it again. What
//! it does not: handlers run after the write and at most once; a crash between the two skips them (the
//! event stays stored). One event is one id, whichever webhook delivered it.
//!
//! What is not signed by the sender is answered 401 and never 5xx. The event type is the signed
//! body's; a header that says otherwise is refused. A sender that signs only in the legacy way (the
//! seed's own) is accepted by default, and is then known by its body: see
//! [`ReceiverBuilder::accept_legacy`] for the protection it cannot have.
//!
//! Invariant of the crate: SQL only in `store/` and in sinks; HTTP only in `intake/`, `console/`, `service/` and
//! `sink/client/`. Begin with `receiver.rs`; the example `a_dozen_lines` shows it in use.

mod accept;
mod accepts;
mod braces;
mod builder;
mod config;
mod console;
mod derive;
mod event;
pub mod inbox;
pub mod inline;
mod intake;
mod observe;
mod postgres;
mod receiver;
mod refusal;
mod rejected;
mod route;
pub mod rule;
pub mod service;
pub mod sink;
mod store;
pub mod summary;
mod tower;
mod typed;
mod worker;

pub use self::tower::ReceiverService;
pub use accepts::{BODY_BYTES_MAX, BODY_TIMEOUT_MS};
pub use builder::ReceiverBuilder;
pub use config::{Config, ConfigError, SinkConfig};
pub use console::{AccessKey, AccessKeyError};
pub use event::Event;
pub use observe::{Observation, Observer, Outcome};
pub use receiver::{BuildError, Receiver};
pub use route::{HANDLER_MS_MAX, Handler, HandlerError, HandlerFuture};
pub use store::seen::{SEEN_WINDOW_MS, SeenInPostgres, SeenInSqlite};
pub use store::{OpenError, look_at_data};
pub use typed::{BadData, Context};
