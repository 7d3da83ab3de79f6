//! Reads a request's body within bounds of size, time and memory.
//!
//! It exists because everything before the signature check is done for strangers. Invariants: no body
//! holds more than its limit; all bodies together hold at most [`BODIES_BYTES_MAX`]; a body that is not
//! there in time is given up. What is over the limit is read on for a little and thrown away, so that
//! the sender gets to see its 413 instead of a reset connection.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// Bytes of all bodies that are read or wait for their commit.
pub(crate) const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How much over the limit is still read, and thrown away.
const DISCARD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A whole body and its share of the memory, to be kept as long as the body.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) body: Bytes,
    pub(crate) memory: Option<OwnedSemaphorePermit>,
}

/// Reads all of `body`, or refuses.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    timeout_ms: u64,
    memory: &Arc<Semaphore>,
) -> Result<Read, Refusal> {
    let declared = declared_len(headers);
    let hopeless = declared > bytes_max.saturating_add(DISCARD_BYTES_MAX);
    let asks_first = headers.contains_key(header::EXPECT);
    if declared > bytes_max && (hopeless || asks_first) {
        return Err(Refusal::TooLarge(bytes_max));
    }
    let all = collect(body, bytes_max, memory);
    match tokio::time::timeout(Duration::from_millis(timeout_ms), all).await {
        Ok(result) => result,
        Err(_) if declared > bytes_max => Err(Refusal::TooLarge(bytes_max)),
        Err(_) => Err(Refusal::TooSlow(timeout_ms)),
    }
}

/// `Content-Length`, 0 where there is none. HTTP's framing has already refused what is no number.
fn declared_len(headers: &HeaderMap) -> usize {
    let value = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    value.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

async fn collect(mut body: Body, bytes_max: usize, memory: &Arc<Semaphore>) -> Result<Read, Refusal> {
    let mut kept = Kept::Nothing;
    let mut held: Option<OwnedSemaphorePermit> = None;
    let mut len = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| Refusal::Incomplete)?.into_data() else {
            continue; // trailers mean nothing here
        };
        len = len.saturating_add(chunk.len());
        if len > bytes_max {
            (kept, held) = (Kept::Nothing, None);
            if len > bytes_max.saturating_add(DISCARD_BYTES_MAX) {
                break;
            }
            continue;
        }
        let more = u32::try_from(chunk.len()).map_err(|_| Refusal::TooLarge(bytes_max))?;
        let share = memory.clone().try_acquire_many_owned(more).map_err(|_| Refusal::NoMemory)?;
        match &mut held {
            Some(held) => held.merge(share),
            None => held = Some(share),
        }
        kept = kept.and(chunk);
    }
    match len > bytes_max {
        true => Err(Refusal::TooLarge(bytes_max)),
        false => Ok(Read { body: kept.freeze(), memory: held }),
    }
}

/// Most bodies come as one chunk, which is then used as it is.
enum Kept {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Kept {
    fn and(self, chunk: Bytes) -> Self {
        match self {
            Self::Nothing => Self::One(chunk),
            Self::One(first) => {
                let mut many = BytesMut::with_capacity(first.len() + chunk.len());
                many.extend_from_slice(&first);
                many.extend_from_slice(&chunk);
                Self::Many(many)
            }
            Self::Many(mut many) => {
                many.extend_from_slice(&chunk);
                Self::Many(many)
            }
        }
    }

    fn freeze(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(chunk) => chunk,
            Self::Many(many) => many.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// A body of `left` chunks of eight bytes.
    struct Chunks {
        left: usize,
    }

    impl hyper::body::Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let more = self.left.checked_sub(1);
            self.left = more.unwrap_or(0);
            Poll::Ready(more.map(|_| Ok(Frame::data(Bytes::from_static(b"12345678")))))
        }
    }

    async fn read_chunks(left: usize, bytes_max: usize, memory: usize) -> (Result<Read, Refusal>, usize) {
        let memory = Arc::new(Semaphore::new(memory));
        let result = read(&HeaderMap::new(), Body::new(Chunks { left }), bytes_max, 60_000, &memory).await;
        let free = memory.available_permits();
        (result, free)
    }

    #[tokio::test]
    async fn chunks_are_put_together_and_hold_their_share_of_the_memory() {
        for left in 0..4 {
            let (result, free) = read_chunks(left, 24, 100).await;
            let read = result.expect("within the limit");
            assert_eq!(&read.body[..], "12345678".repeat(left).as_bytes());
            assert_eq!(free, 100 - 8 * left);
        }
    }

    #[tokio::test]
    async fn what_is_over_the_limit_is_refused_and_holds_no_memory() {
        let (result, free) = read_chunks(4, 31, 100).await;
        assert!(matches!(result, Err(Refusal::TooLarge(31))), "{result:?}");
        assert_eq!(free, 100);
    }

    #[tokio::test]
    async fn a_body_for_which_there_is_no_memory_is_refused_and_frees_its_share() {
        let (result, free) = read_chunks(4, 1_000, 24).await;
        assert!(matches!(result, Err(Refusal::NoMemory)), "{result:?}");
        assert_eq!(free, 24);
    }
}
