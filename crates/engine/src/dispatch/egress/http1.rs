//! One HTTP/1.1 connection: a request out, its answer in, by whoever has the connection.
//!
//! It exists so that an exchange is one future of its shard: no task, no channel to another one, no buffer for what
//! comes and goes in one piece, as nearly everything does. The answer is read while the request is still on its way, so
//! that a receiver may refuse a large one at once. A connection that is kept is looked at by nobody; what happened to it
//! meanwhile is seen when it is used again. Read `answer.rs` next.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::Uri;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::task::unconstrained;

use super::answer::{Limits, Reading};
use super::send::Progress;
use super::stream::Stream;
use crate::dispatch::transport::{Answer, Failure, Request};

/// A body of at most so many bytes is written in one piece with its head.
const SMALL_BYTES: usize = 16 * 1024;
/// What is read at once.
const READ_BYTES: usize = 8 * 1024;

/// A connection.
pub(super) struct Http1 {
    stream: Stream,
}

/// There is no answer.
pub(super) enum Fault {
    /// The connection was closed before anything was sent.
    Unsent,
    /// What was sent may have arrived.
    Failed(Failure),
}

impl Http1 {
    /// Over a stream that nothing was sent over.
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// The address that it goes to.
    pub(super) fn peer(&self) -> SocketAddr {
        self.stream.peer
    }

    /// Whether it is as it was when it was kept: the other side may have closed it, or said something that nobody asked
    /// for.
    pub(super) async fn is_quiet(&mut self) -> bool {
        // A task that has used up its turn is told to wait by every socket: that is no quiet.
        unconstrained(poll_fn(|context| {
            let mut byte = [0; 1];
            let read = Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut byte));
            Poll::Ready(read.is_pending())
        }))
        .await
    }

    /// Makes one exchange. Says whether the connection is good for another one.
    pub(super) async fn exchange(
        &mut self,
        request: &Request,
        limits: Limits,
        progress: &mut Progress,
    ) -> Result<(Answer, bool), Fault> {
        let mut unsent = Unsent::of(request);
        let mut reading = Reading::new(limits);
        poll_fn(|context| self.poll_exchange(context, &mut unsent, &mut reading, progress)).await?;
        let (answer, reusable) = reading.done();
        Ok((answer, reusable && unsent.is_sent()))
    }

    fn poll_exchange(
        &mut self,
        context: &mut Context<'_>,
        unsent: &mut Unsent,
        reading: &mut Reading,
        progress: &mut Progress,
    ) -> Poll<Result<(), Fault>> {
        if unsent.failed.is_none()
            && let Poll::Ready(Err(error)) = unsent.poll_send(&mut self.stream, context)
        {
            if !unsent.began {
                return Poll::Ready(Err(Fault::Unsent));
            }
            // It may have been answered all the same: what was said is read to its end.
            unsent.failed = Some(error);
        }
        let failed = unsent.failed.as_ref();
        loop {
            let mut space = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
            let over = match read {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => reading.end(Some(failed.unwrap_or(&error))).map(|()| true),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => reading.end(failed).map(|()| true),
                Poll::Ready(Ok(())) => reading.take(buffer.filled()),
            };
            progress.status = reading.status();
            if over.map_err(Fault::Failed)? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// What of a request is not sent yet.
struct Unsent {
    head: Bytes,
    /// Where it did not fit behind the head.
    body: Bytes,
    began: bool,
    flushed: bool,
    /// Why the rest of it cannot be sent.
    failed: Option<io::Error>,
}

impl Unsent {
    fn of(request: &Request) -> Self {
        let small = request.body.len() <= SMALL_BYTES;
        let behind = if small { &request.body[..] } else { &[] };
        let body = if small { Bytes::new() } else { request.body.clone() };
        Self { head: head(request, behind), body, began: false, flushed: false, failed: None }
    }

    fn is_sent(&self) -> bool {
        self.flushed
    }

    fn poll_send(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.head.is_empty() || !self.body.is_empty() {
            // TLS may have sent a part of what it gives an error for.
            self.began |= stream.is_tls();
            let stream = Pin::new(&mut *stream);
            let written = if self.body.is_empty() {
                stream.poll_write(context, &self.head)
            } else {
                let slices = [io::IoSlice::new(&self.head), io::IoSlice::new(&self.body)];
                stream.poll_write_vectored(context, &slices)
            };
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.began = true;
            let of_head = written.min(self.head.len());
            self.head.advance(of_head);
            self.body.advance(written - of_head);
        }
        if !self.flushed {
            ready!(Pin::new(stream).poll_flush(context))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// A request's head, with these bytes behind it.
fn head(request: &Request, behind: &[u8]) -> Bytes {
    let uri = &request.uri;
    let target = uri.path_and_query().map_or("/", |it| it.as_str());
    let (host, lines) = (host(uri), request.headers.lines());
    let mut digits = itoa::Buffer::new();
    let mut head = Vec::with_capacity(target.len() + host.len() + lines.len() + behind.len() + 80);
    head.extend_from_slice(b"POST ");
    // A target begins with its path (RFC 9112, section 3.2.1).
    if !target.starts_with('/') {
        head.push(b'/');
    }
    head.extend_from_slice(target.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    head.extend_from_slice(host.as_bytes());
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(lines.as_bytes());
    head.extend_from_slice(b"content-length: ");
    head.extend_from_slice(digits.format(request.body.len()).as_bytes());
    head.extend_from_slice(b"\r\n\r\n");
    head.extend_from_slice(behind);
    head.into()
}

/// The host of a URL, and its port where it is not the one that its scheme implies.
fn host(uri: &Uri) -> &str {
    let authority = uri.authority().map_or("", |it| it.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_user, host)| host);
    let implied = if uri.scheme_str() == Some("https") { ":443" } else { ":80" };
    host.strip_suffix(implied).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_with_its_port_where_that_is_not_the_usual_one() {
        for (url, expected) in [
            ("http://h/", "h"),
            ("http://h:80/x?y", "h"),
            ("http://h:443", "h:443"),
            ("https://h:443/", "h"),
            ("https://h:8443/", "h:8443"),
            ("http://[::1]:80/", "[::1]"),
            ("http://[::80]/", "[::80]"),
            ("https://user:word@h:1/", "h:1"),
        ] {
            assert_eq!(host(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
