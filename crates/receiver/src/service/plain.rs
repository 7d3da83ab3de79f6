//! Plain requests: a `POST` over HTTP/1.1 that has come whole and asks for nothing unusual.
//!
//! It exists because nearly all that a producer or a sender does is such a request, and a library that can do everything
//! else of HTTP takes three times as much of the processor for it. A connection begins here; with the first request that is
//! anything else (another method or version, a length that is not told or is large, chunks, `Expect`, `Connection`, a head
//! in pieces, what is wrong) the whole connection goes to hyper, with what was read of it. So nothing is decided here that
//! could be decided in two ways. Read `plain/request.rs` next.

mod answer;
mod request;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use axum::response::Response;
use bytes::BytesMut;
use futures_util::{Stream, StreamExt as _};
use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::answer::Answers;
use self::request::NotWhole;
use super::activity::Activity;
use super::body::Body;
use super::connections::{Leave, Request};

/// What is read at once, in bytes, where it is not known how much comes.
const READ_BYTES: usize = 8 * 1024;
/// How long the rest of a body is waited for here.
const REST_WAIT: Duration = Duration::from_secs(1);

/// One connection, as long as all that comes on it is plain.
pub(super) struct Plain<'c, L> {
    pub(super) stream: &'c mut TcpStream,
    pub(super) activity: &'c Activity,
    /// Says when the connection is to be closed.
    pub(super) leave: &'c mut L,
}

impl<L: Stream<Item = Leave> + Unpin> Plain<'_, L> {
    /// Answers requests; gives what was read of one that is not plain, or nothing where the connection is over.
    pub(super) async fn serve<F, A>(mut self, answer: F) -> Option<BytesMut>
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
                    let more = self.rest(&mut read, whole);
                    // Where it does not come, that is for those to say who have all the time.
                    if !matches!(tokio::time::timeout(REST_WAIT, more).await, Ok(Ok(()))) {
                        return Some(read);
                    }
                    continue;
                }
                Err(NotWhole::Other) => return Some(read),
            };
            let (response, last) = self.answer(answer(request.map(Body::Whole))).await;
            headers = answers.spell(response, last).await.ok()?;
            self.write(answers.bytes()).await?;
            if last {
                return None;
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

    /// Reads until there are so many bytes.
    async fn rest(&mut self, read: &mut BytesMut, whole: usize) -> std::io::Result<()> {
        while let Some(missing) = whole.checked_sub(read.len()).filter(|missing| *missing > 0) {
            read.reserve(missing);
            if self.stream.read_buf(read).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// The answer, and whether it is the last one on this connection.
    async fn answer(&mut self, answer: impl Future<Output = Response>) -> (Response, bool) {
        let _in_progress = self.activity.begin();
        let mut answer = pin!(answer);
        let mut last = false;
        loop {
            tokio::select! {
                biased;
                response = answer.as_mut() => return (response, last),
                Some(Leave::Stopping) = self.leave.next() => last = true,
            }
        }
    }

    /// Writes an answer; nothing where the other side does not take it.
    async fn write(&mut self, answer: &[u8]) -> Option<()> {
        let mut written = pin!(self.stream.write_all(answer));
        loop {
            tokio::select! {
                biased;
                written = written.as_mut() => return written.ok(),
                Some(leave) = self.leave.next() => match leave {
                    // At a shutdown it has until the deadline.
                    Leave::Stopping => {}
                    Leave::Idle => return None,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
