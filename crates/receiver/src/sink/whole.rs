//! Batches that are taken or refused as a whole: one message to people, one insert.
//!
//! Invariant: a batch that is refused is given again event by event, so that the one event that the other side will
//! not have is found, and holds up no other. Read `slack.rs` next.

use std::slice;

use futures_util::future::BoxFuture;

use super::{SinkError, Stored};

/// A sink that gives a batch to the other side in one request.
pub(crate) trait Whole: Send {
    /// Gives all of it. A refusal says nothing about which event it is for.
    fn put_whole<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>>;
}

/// Gives a batch, and where it is refused, each event alone up to the refused one.
pub(crate) async fn put(sink: &mut impl Whole, batch: &[Stored]) -> Result<(), SinkError> {
    if batch.is_empty() {
        return Ok(());
    }
    match sink.put_whole(batch).await {
        Err(SinkError::Refused { .. }) if batch.len() > 1 => {}
        result => return result,
    }
    for (at, one) in batch.iter().enumerate() {
        match sink.put_whole(slice::from_ref(one)).await {
            Err(SinkError::Refused { detail, .. }) => return Err(SinkError::Refused { at, detail }),
            result => result?,
        }
    }
    Ok(())
}
