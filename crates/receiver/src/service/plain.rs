//! Plain requests: a `POST` over HTTP/1.1 that has come whole and asks for nothing unusual.
//!
//! It exists because nearly all that a producer or a sender does is such a request, and a twelfth of the processor's time
//! for an event went into all else that a library can do of HTTP (`docs/adr/0006-ingress.md`). A connection begins here;
//! with the first request that is anything else (another method or version, a length that is not told or is large, chunks,
//! `Expect`, `Connection`, a head in pieces, what is wrong) the whole connection goes to hyper, with what was read of it.
//! So nothing is decided here that could be decided in two ways. Read `plain/request.rs` next.

mod answer;
mod request;

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::response::Response;
use bytes::BytesMut;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::answer::Answers;
use self::request::NotWhole;
use super::activity::Activity;
use super::balance::Place;
use super::body::Body;
use super::connection::{Leave, Request};

/// What is read at once, in bytes, where it is not known how much comes.
const READ_BYTES: usize = 8 * 1024;

/// One connection, as long as all that comes on it is plain.
pub(super) struct Plain<'c, L> {
    pub(super) stream: &'c mut TcpStream,
    pub(super) activity: &'c Activity,
    /// How long the rest of a body is waited for here.
    pub(super) rest_wait: Duration,
    /// Where it is answered, if that may change.
    pub(super) place: Option<&'c Place>,
    /// Says, once, when the connection is to be closed.
    pub(super) leave: &'c mut L,
    /// Whether the service is stopping, so that the answer under way is the last.
    pub(super) stopping: bool,
}

/// How plain requests end on a connection that goes on.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// With another one, of which so much was read.
    Other(BytesMut),
    /// On this thread: the next one is for another.
    Elsewhere,
}

impl<L: Stream<Item = Leave> + Unpin> Plain<'_, L> {
    /// Answers requests; gives how that ended, or nothing where the connection is over.
    pub(super) async fn serve<F, A>(mut self, answer: F) -> Option<End>
    where
        F: Fn(Request) -> A,
        A: Future<Output = Response>,
    {
        let mut read = BytesMut::new();
        let mut headers = HeaderMap::new();
        let mut answers = Answers::default();
        loop {
            if read.is_empty() {
                self.begin(&mut read).await?;
            }
            let request = match request::take(&mut read, &mut headers) {
                Ok(request) => request,
                Err(NotWhole::Part(whole)) => {
                    let _in_progress = self.activity.begin();
                    let more = rest(self.stream, &mut read, whole);
                    // Where it does not come, that is for those to say who have all the time.
                    if !matches!(tokio::time::timeout(self.rest_wait, more).await, Ok(Ok(()))) {
                        return Some(End::Other(read));
                    }
                    continue;
                }
                Err(NotWhole::Other) => return Some(End::Other(read)),
            };
            // Pinned where it is made: it is large, and would be moved twice otherwise.
            let response = self.answer(pin!(answer(request.map(Body::Whole)))).await;
            let (map, more) = answers.spell(response, self.stopping).await.ok()?;
            headers = map;
            self.write(answers.bytes()).await?;
            answers.free();
            if let Some(body) = more {
                self.stream_to_the_end(body).await;
                return None;
            }
            if self.stopping || answers.is_last() {
                return None;
            }
            if read.is_empty() && self.place.is_some_and(Place::is_to_leave) {
                return Some(End::Elsewhere);
            }
        }
    }

    /// The first bytes of a request.
    async fn begin(&mut self, read: &mut BytesMut) -> Option<()> {
        read.reserve(READ_BYTES);
        tokio::select! {
            biased;
            count = self.stream.read_buf(read) => count.ok().filter(|count| *count > 0).map(drop),
            Some(_) = self.leave.next() => None,
        }
    }

    /// The answer to a request.
    async fn answer<A: Future<Output = Response>>(&mut self, mut answer: Pin<&mut A>) -> Response {
        let _in_progress = self.activity.begin();
        // One who always has another request ready would never hear of it otherwise.
        if let Some(Some(Leave::Stopping)) = self.leave.next().now_or_never() {
            self.stopping = true;
        }
        loop {
            tokio::select! {
                biased;
                response = answer.as_mut() => return response,
                Some(Leave::Stopping) = self.leave.next() => self.stopping = true,
            }
        }
    }

    /// Writes bytes; nothing where the other side does not take them.
    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        let mut written = pin!(self.stream.write_all(bytes));
        loop {
            tokio::select! {
                biased;
                written = written.as_mut() => return written.ok(),
                Some(leave) = self.leave.next() => match leave {
                    // It has until the deadline.
                    Leave::Stopping => self.stopping = true,
                    Leave::Idle => return None,
                },
            }
        }
    }

    /// Writes a body whose length nobody knows: it ends with the connection.
    async fn stream_to_the_end(&mut self, mut body: axum::body::Body) -> Option<()> {
        loop {
            let frame = tokio::select! {
                biased;
                frame = body.frame() => frame?,
                Some(Leave::Idle) = self.leave.next() => return None,
            };
            if let Ok(piece) = frame.ok()?.into_data() {
                self.write(&piece).await?;
            }
        }
    }
}

/// Reads until there are so many bytes.
async fn rest(stream: &mut TcpStream, read: &mut BytesMut, whole: usize) -> std::io::Result<()> {
    while let Some(missing) = whole.checked_sub(read.len()).filter(|missing| *missing > 0) {
        read.reserve(missing);
        if stream.read_buf(read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
