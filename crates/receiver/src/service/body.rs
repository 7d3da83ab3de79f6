//! The body of a request, whoever read it, and a connection of which something was read.
//!
//! It exists because a plain request has its body from the start, and any other gets it from hyper, piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};

/// The body of a request.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// What comes from the connection.
    Coming(Incoming),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Coming(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Coming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Coming(body) => body.size_hint(),
        }
    }
}

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
            // Its room is not kept as long as the connection.
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
