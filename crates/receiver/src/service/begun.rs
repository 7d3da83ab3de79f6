//! A connection of which something was read.
//!
//! It exists because a connection goes to hyper with what `plain.rs` has read of it. Invariant: that comes first, and its room is
//! free when it was read.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

/// What was read of a connection, and then the rest of it.
pub(super) struct Begun<R> {
    pub(super) read: Bytes,
    pub(super) rest: R,
}

impl<R: AsyncRead + Unpin> AsyncRead for Begun<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.rest).poll_read(context, into);
        }
        let count = self.read.len().min(into.remaining());
        into.put_slice(&self.read.split_to(count));
        if self.read.is_empty() {
            // An empty piece would keep the room of the whole.
            self.read = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_first() {
        let mut begun = Begun { read: Bytes::from_static(b"abc"), rest: &b"de"[..] };
        let mut two = [0; 2];
        begun.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"ab");
        let mut rest = Vec::new();
        begun.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"cde");
    }
}
