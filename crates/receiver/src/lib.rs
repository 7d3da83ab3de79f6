//! Receives VAI Portal webhooks: verifies the signature, stores each event once, answers, and hands
//! the event to handlers by its type. As a library ([`Receiver`]) and as a service ([`service`]).
//!
//! The way of an event, and the rooms it passes:
//!
//! ```text
//! POST /webhooks/vai ─▶ intake ─────────▶ accept ───────────▶ store ────────────▶ worker ──▶ route
//!                       size and time     signature, event?   once by its id,     stored     handlers
//!                       of the body       which one is it?    group commit        order      by type
//!                                                             └─ 200 only now
//! ```
//!
//! What it promises: an event that was answered 200 is on disk, byte for byte, once. What it does not:
//! handlers run after the write and at most once; a crash between the two skips them (the event stays
//! stored). One event is one id, whichever webhook delivered it.
//!
//! What is not signed by the sender is answered 401 and never 5xx. The event type is the signed
//! body's; a header that says otherwise is refused. A sender that signs only in the legacy way (the
//! seed's own) is accepted by default, and is then known by its body: see
//! [`ReceiverBuilder::accept_legacy`] for the protection it cannot have.
//!
//! Invariant of the crate: SQL only in `store/`, HTTP only in `intake/` and `service/`. Begin with
//! `receiver.rs`; the example `a_dozen_lines` shows it in use.

mod accept;
mod event;
mod intake;
mod observe;
mod receiver;
mod refusal;
mod rejected;
mod route;
pub mod service;
pub mod sink;
mod store;
mod worker;

pub use event::Event;
pub use observe::{Observation, Observer, Outcome};
pub use receiver::{BODY_BYTES_MAX, BODY_TIMEOUT_MS, BuildError, Receiver, ReceiverBuilder};
pub use route::{HANDLER_MS_MAX, Handler, HandlerError, HandlerFuture};
pub use store::OpenError;
