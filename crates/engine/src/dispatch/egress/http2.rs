//! One HTTP/2 connection, shared by all requests to its origin.
//!
//! It is driven by a task of its own, since it belongs to no single request; it ends when nobody has it any more. Read
//! `send.rs` next.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::HEAD_BYTES_MAX;
use super::stream::Stream;

/// What one stream, and one connection, may have on the way to us unread, in bytes.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// A connection.
#[derive(Clone)]
pub(super) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    pub(super) peer: SocketAddr,
    /// The same for all clones of one connection.
    mark: Arc<()>,
}

impl Http2 {
    /// Over a stream that was just connected.
    pub(super) async fn new(stream: Stream, peer: SocketAddr) -> hyper::Result<Self> {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        TokioExecutor::new().execute(async move {
            // What ends it reaches the requests that are on it.
            let _told = connection.await;
        });
        Ok(Self { sender, peer, mark: Arc::new(()) })
    }

    /// Whether it takes nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether both are the same connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mark, &other.mark)
    }

    /// Sends a request and waits for the head of its answer. A request of which nothing was sent comes back with the
    /// error.
    pub(super) async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        *request.version_mut() = Version::HTTP_2;
        self.sender.try_send_request(request).await
    }
}
