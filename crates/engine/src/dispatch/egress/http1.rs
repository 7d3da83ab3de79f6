//! One HTTP/1.1 connection, driven by whoever has a request on it.
//!
//! It exists so that a request and its connection are one future: no task, no channel to another one, no wake-up in
//! between. A connection that is kept is driven by nobody; what happened to it meanwhile is seen when it is used again.
//! Read `http2.rs` next.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::HOST;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderValue, Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, Builder, SendRequest};

use super::stream::Stream;
use super::{HEAD_BYTES_MAX, HEADERS_MAX};

/// A connection and its one user's end.
pub(super) struct Http1 {
    sender: SendRequest<Full<Bytes>>,
    connection: http1::Connection<Stream, Full<Bytes>>,
    ended: bool,
    pub(super) peer: SocketAddr,
}

impl Http1 {
    /// Over a stream that was just connected.
    pub(super) async fn new(stream: Stream, peer: SocketAddr) -> hyper::Result<Box<Self>> {
        let (sender, connection) =
            Builder::new().max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX).handshake(stream).await?;
        Ok(Box::new(Self { sender, connection, ended: false, peer }))
    }

    /// Whether it can take a request: the other side may have closed it while it was kept, or said something that
    /// nobody asked for.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|context| {
            self.drive(context);
            let ready = !self.ended && matches!(self.sender.poll_ready(context), Poll::Ready(Ok(())));
            Poll::Ready(ready)
        })
        .await
    }

    /// Sends a request and waits for the head of its answer. A request of which nothing was sent comes back with the
    /// error.
    pub(super) async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        if let Some(host) = host(request.uri()) {
            request.headers_mut().insert(HOST, host);
        }
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        let mut answer = pin!(self.sender.try_send_request(request));
        poll_fn(|context| {
            drive(&mut self.connection, &mut self.ended, context);
            answer.as_mut().poll(context)
        })
        .await
    }

    /// The next part of an answer's body.
    pub(super) async fn frame(&mut self, body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
        poll_fn(|context| {
            self.drive(context);
            Pin::new(&mut *body).poll_frame(context)
        })
        .await
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        drive(&mut self.connection, &mut self.ended, context);
    }
}

/// Lets a connection do what it can. What ends it reaches the request that is on it.
fn drive(
    connection: &mut http1::Connection<Stream, Full<Bytes>>,
    ended: &mut bool,
    context: &mut Context<'_>,
) {
    if !*ended {
        *ended = Pin::new(connection).poll(context).is_ready();
    }
}

/// The `Host` of a URL: without its user, and without the port that its scheme implies.
fn host(uri: &Uri) -> Option<HeaderValue> {
    let host = uri.host()?;
    let implied = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    match uri.port_u16().filter(|port| *port != implied) {
        None => HeaderValue::from_str(host).ok(),
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")).ok(),
    }
}
