//! One exchange: the request out, the answer in, all within one deadline.
//!
//! Over hyper's client with keep-alive, HTTP/1.1 and HTTP/2. No redirects, cookies or proxies: there is
//! no code for them here. A request that fails on a connection that was kept is reported as closed, not
//! sent again here: whether its bytes arrived is unknown, and the engine's retry carries the same id.
//! Read `../transport.rs` again.

use std::cell::Cell;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout_at};

use super::EgressOptions;
use super::connect::{ConnectError, Connector, DIALLED};
use super::stream::Peer;
use crate::dispatch::transport::{Answer, Exchange, Failure, FailureKind, Request, Transport};

/// The largest head of an answer, in bytes, and the most headers in it.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;
/// What one HTTP/2 stream, and one connection, may have on the way to us unread, in bytes.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// The longest `Retry-After` that is looked at, in bytes.
const RETRY_AFTER_BYTES_MAX: usize = 100;

/// Sends over real sockets.
pub struct HttpTransport {
    client: Client<Connector, Full<Bytes>>,
    read_bytes_max: usize,
    kept_bytes_max: usize,
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TransportError(#[from] rustls::Error);

impl HttpTransport {
    /// A transport with connections of its own.
    pub fn new(options: EgressOptions) -> Result<Self, TransportError> {
        let tls = Arc::new(tls(&options)?);
        let connector = Connector::new(options.policy, tls, options.connect_timeout);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(options.idle_per_host_max)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .http1_max_headers(HEADERS_MAX)
            .http2_max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .build(connector);
        Ok(Self {
            client,
            read_bytes_max: options.answer_read_bytes_max,
            kept_bytes_max: options.answer_kept_bytes_max,
        })
    }
}

fn tls(options: &EgressOptions) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in &options.extra_roots {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

impl Transport for HttpTransport {
    fn send(&self, request: Request) -> BoxFuture<'static, Exchange> {
        let client = self.client.clone();
        let limits = Limits { read: self.read_bytes_max, kept: self.kept_bytes_max };
        DIALLED.scope(Cell::new(None), exchange(client, request, limits)).boxed()
    }
}

#[derive(Clone, Copy)]
struct Limits {
    read: usize,
    kept: usize,
}

async fn exchange(client: Client<Connector, Full<Bytes>>, request: Request, limits: Limits) -> Exchange {
    let timeout = request.timeout;
    let deadline = Instant::now() + timeout;
    let mut http = http::Request::new(Full::new(request.body));
    *http.method_mut() = Method::POST;
    *http.uri_mut() = request.uri;
    *http.headers_mut() = request.headers;
    let connection = capture_connection(&mut http);
    let response = match timeout_at(deadline, client.request(http)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return failed(&error, &connection),
        Err(_) => {
            return unanswered(&connection, timeout);
        }
    };
    let address = response.extensions().get::<Peer>().map(|peer| peer.0);
    Exchange { address, result: answer(response, limits, deadline, timeout).await }
}

async fn answer(
    response: Response<Incoming>,
    limits: Limits,
    deadline: Instant,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let mut body = response.into_body();
    let mut kept = BytesMut::new();
    let mut read = 0_usize;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(frame) => frame,
            Err(_) => {
                let detail = late("the answer did not end", timeout);
                return Err(Failure { status: Some(status), ..failure(FailureKind::Timeout, detail) });
            }
        };
        match frame {
            None => break,
            Some(Ok(frame)) => {
                let Some(data) = frame.data_ref() else { continue };
                read += data.len();
                let room = limits.kept.saturating_sub(kept.len());
                kept.extend_from_slice(&data[..data.len().min(room)]);
                // What an answer says beyond this is not wanted: the connection goes with it.
                if read > limits.read {
                    break;
                }
            }
            Some(Err(error)) => {
                let detail = format!("the answer broke off: {}", last_source(&error));
                return Err(Failure { status: Some(status), ..failure(body_kind(&error), detail) });
            }
        }
    }
    let body_cut = read > kept.len();
    Ok(Answer { status, retry_after, body: kept.freeze(), body_cut })
}

fn retry_after(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    (text.len() <= RETRY_AFTER_BYTES_MAX).then(|| text.to_owned())
}

fn failed(error: &ClientError, connection: &CaptureConnection) -> Exchange {
    if let Some(connect) = source_of_type::<ConnectError>(error) {
        let failure = failure(connect.kind, connect.detail.clone());
        return Exchange { address: connect.address, result: Err(failure) };
    }
    let kind = match source_of_type::<hyper::Error>(error) {
        Some(error) if error.is_parse() || error.is_parse_too_large() => FailureKind::Protocol,
        _ if broken_http2(error) => FailureKind::Protocol,
        _ => FailureKind::Closed,
    };
    let what = match kind {
        FailureKind::Protocol => "what came back is no HTTP answer",
        _ => "the connection ended before the answer",
    };
    let failure = failure(kind, format!("{what}: {}", last_source(error)));
    Exchange { address: peer(connection), result: Err(failure) }
}

/// The deadline passed before the head of an answer.
fn unanswered(connection: &CaptureConnection, timeout: Duration) -> Exchange {
    let Some(address) = peer(connection) else {
        let failure = failure(FailureKind::Timeout, late("no connection", timeout));
        return Exchange { address: DIALLED.with(Cell::get), result: Err(failure) };
    };
    // HTTP/2 requests share a connection: one whose other side is gone would be used until TCP gives up,
    // as long as requests keep coming. A slow receiver costs a connection by this, a dead one a request.
    if let Some(connected) = connection.connection_metadata().as_ref() {
        connected.poison();
    }
    let failure = failure(FailureKind::Timeout, late("no answer", timeout));
    Exchange { address: Some(address), result: Err(failure) }
}

/// Whether a body broke off or was broken: hyper says so by the kind of the I/O error inside.
fn body_kind(error: &hyper::Error) -> FailureKind {
    if broken_http2(error) {
        return FailureKind::Protocol;
    }
    match source_of_type::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => FailureKind::Protocol,
        _ => FailureKind::Closed,
    }
}

/// Whether it was this side that gave up on what came over HTTP/2.
fn broken_http2(error: &(dyn Error + 'static)) -> bool {
    source_of_type::<h2::Error>(error).is_some_and(h2::Error::is_library)
}

fn peer(connection: &CaptureConnection) -> Option<SocketAddr> {
    let metadata = connection.connection_metadata();
    let mut extensions = http::Extensions::new();
    metadata.as_ref()?.get_extras(&mut extensions);
    extensions.get::<Peer>().map(|peer| peer.0)
}

fn failure(kind: FailureKind, detail: impl Into<String>) -> Failure {
    Failure { kind, detail: detail.into(), status: None }
}

fn late(what: &str, timeout: Duration) -> String {
    format!("{what} within {} ms", timeout.as_millis())
}

/// The first of the causes that is of this type.
fn source_of_type<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The innermost cause: hyper's own texts say little, the cause says what happened.
fn last_source(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
