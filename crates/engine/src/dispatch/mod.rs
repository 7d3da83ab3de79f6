//! Sending: from a delivery that is ready to a result that is on disk.
//!
//! Webhooks are spread over shards by number. A [`shard`] drives all its attempts, reads and settlements
//! in one future, so that there is no task and no lock for a delivery; [`inbox`] is the only way into it.
//! `shape` runs the webhook's transformation, where it has one, [`signing`] vouches for the body, for many attempts at
//! once, [`render`] makes the request, [`transport`] says what sending is, `egress/` does it over real sockets.

mod attempt;
pub mod egress;
mod feed;
pub(crate) mod format;
pub(crate) mod headers;
pub(crate) mod inbox;
pub(crate) mod render;
mod settle;
mod shape;
pub(crate) mod shard;
pub(crate) mod signing;
mod tend;
pub mod transport;
