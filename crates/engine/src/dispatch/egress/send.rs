//! One exchange: the request out, the answer in, all within one deadline.
//!
//! Over HTTP/1.1, and hyper's HTTP/2 where TLS chose it, with keep-alive. No redirects, cookies or proxies: there is no code
//! for them here. A request that fails on a connection that was kept is reported as closed, not sent again here, unless
//! nothing of it was sent: whether its bytes arrived is unknown, and the engine's retry carries the same id.
//! Read `failed.rs` next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, header};
use http_body_util::{BodyExt as _, Full};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::EgressOptions;
use super::answer::Limits;
use super::connect::Connector;
use super::failed::{broke_off, ended, failure, late};
use super::head::text_of_retry_after;
use super::http1::{Fault, Http1};
use super::http2::Http2;
use super::pool::{Conn, Origin, Pool};
use crate::dispatch::transport::{Answer, Exchange, Failure, FailureKind, Request, Transport};

/// Connections that are tried for one request where each turns out to be closed.
const CONNECTIONS_MAX: u32 = 8;

/// Sends over real sockets.
pub struct HttpTransport {
    inner: Arc<Inner>,
}

struct Inner {
    connector: Connector,
    pool: Arc<Pool>,
    limits: Limits,
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TransportError(#[from] rustls::Error);

impl HttpTransport {
    /// A transport with connections of its own.
    pub fn new(options: EgressOptions) -> Result<Self, TransportError> {
        let tls = Arc::new(tls(&options)?);
        let inner = Inner {
            connector: Connector::new(options.policy, tls, options.connect_timeout),
            pool: Arc::new(Pool::new(options.idle_timeout, options.idle_per_host_max)),
            limits: Limits { read: options.answer_read_bytes_max, kept: options.answer_kept_bytes_max },
        };
        Ok(Self { inner: Arc::new(inner) })
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
        let inner = Arc::clone(&self.inner);
        async move { inner.exchange(request).await }.boxed()
    }
}

/// How far an exchange came, for a deadline that cuts it off.
#[derive(Default)]
pub(super) struct Progress {
    /// The address that was dialled last.
    pub(super) address: Option<SocketAddr>,
    /// Whether there is a connection.
    connected: bool,
    /// The answer's status.
    pub(super) status: Option<u16>,
    /// The shared connection that it went over.
    shared: Option<(Origin, Http2)>,
}

impl Inner {
    async fn exchange(&self, request: Request) -> Exchange {
        let mut progress = Progress::default();
        let span = request.timeout;
        let result = match timeout(span, self.attempt(request, &mut progress)).await {
            Ok(result) => result,
            Err(_) => Err(self.cut_off(&progress, span)),
        };
        match &result {
            Ok(answer) => tracing::debug!(address = ?progress.address, status = answer.status, "answered"),
            Err(failure) => {
                tracing::debug!(address = ?progress.address, kind = failure.kind.as_str(), "failed")
            }
        }
        Exchange { address: progress.address, result }
    }

    /// The deadline passed.
    fn cut_off(&self, progress: &Progress, span: Duration) -> Failure {
        // Requests share a connection of HTTP/2: one whose other side is gone would be used until TCP gives up, as long
        // as requests keep coming. A slow receiver costs a connection by this, a dead one a request.
        if let (Some((origin, two)), None) = (&progress.shared, progress.status) {
            self.pool.leave(origin, two);
        }
        let what = match (progress.connected, progress.status) {
            (false, _) => "no connection",
            (true, None) => "no answer",
            (true, Some(_)) => "the answer did not end",
        };
        Failure { status: progress.status, ..failure(FailureKind::Timeout, late(what, span)) }
    }

    async fn attempt(&self, request: Request, progress: &mut Progress) -> Result<Answer, Failure> {
        let Some(authority) = request.uri.authority().cloned() else {
            return Err(failure(FailureKind::Refused, "the URL has no host"));
        };
        let origin = Origin::new(request.uri.scheme_str() == Some("https"), authority);
        for _ in 0..CONNECTIONS_MAX {
            let connection = self.connection(&origin, &request.uri, progress).await?;
            progress.connected = true;
            let made = match connection {
                Conn::One(mut one) => match one.exchange(&request, self.limits, progress).await {
                    Ok((answer, reusable)) => {
                        if reusable {
                            self.pool.keep(origin, one);
                        }
                        return Ok(answer);
                    }
                    Err(fault) => fault,
                },
                Conn::Two(two) => match self.exchange_two(two, &request, &origin, progress).boxed().await {
                    Ok(answer) => return Ok(answer),
                    Err(fault) => fault,
                },
            };
            if let Fault::Failed(failure) = made {
                return Err(failure);
            }
        }
        Err(failure(FailureKind::Closed, "every connection was closed before the request was sent"))
    }

    /// A connection that is ready: one that was kept, or a new one.
    async fn connection(
        &self,
        origin: &Origin,
        uri: &http::Uri,
        progress: &mut Progress,
    ) -> Result<Conn, Failure> {
        while let Some(kept) = self.pool.take(origin) {
            match kept {
                Conn::One(mut one) => {
                    if one.is_quiet().await {
                        progress.address = Some(one.peer());
                        return Ok(Conn::One(one));
                    }
                }
                Conn::Two(two) => return Ok(shared(origin, two, progress)),
            }
        }
        self.dial(origin, uri, progress).boxed().await
    }

    async fn dial(&self, origin: &Origin, uri: &http::Uri, progress: &mut Progress) -> Result<Conn, Failure> {
        let stream = self.connector.connect(uri, &mut progress.address).await.map_err(|error| {
            progress.address = error.address;
            failure(error.kind, error.detail)
        })?;
        if !stream.is_http2() {
            return Ok(Conn::One(Http1::new(stream)));
        }
        let peer = stream.peer;
        let two = Http2::new(stream, peer).await.map_err(|error| ended(&error))?;
        let two = self.pool.share(origin.clone(), two);
        Ok(shared(origin, two, progress))
    }

    /// An exchange over a shared connection of HTTP/2.
    async fn exchange_two(
        &self,
        mut two: Http2,
        request: &Request,
        origin: &Origin,
        progress: &mut Progress,
    ) -> Result<Answer, Fault> {
        let mut http = http::Request::new(Full::new(request.body.clone()));
        *http.method_mut() = Method::POST;
        http.uri_mut().clone_from(&request.uri);
        for (name, value) in request.headers.iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                http.headers_mut().insert(name, value);
            }
        }
        let response = match two.send(http).await {
            Ok(response) => response,
            Err(mut error) => {
                if error.take_message().is_none() {
                    return Err(Fault::Failed(ended(error.error())));
                }
                // Nothing of it was sent.
                self.pool.leave(origin, &two);
                return Err(Fault::Unsent);
            }
        };
        let status = response.status().as_u16();
        progress.status = Some(status);
        let retry_after =
            response.headers().get(header::RETRY_AFTER).and_then(|it| text_of_retry_after(it.as_bytes()));
        let mut body = response.into_body();
        let mut kept = BytesMut::new();
        let mut read = 0_usize;
        while read <= self.limits.read
            && let Some(frame) = body.frame().await
        {
            let broke_off = |error| Fault::Failed(Failure { status: Some(status), ..broke_off(&error) });
            let frame = frame.map_err(broke_off)?;
            let Some(data) = frame.data_ref() else { continue };
            read += data.len();
            let room = self.limits.kept.saturating_sub(kept.len());
            kept.extend_from_slice(&data[..data.len().min(room)]);
        }
        let body_cut = read > kept.len();
        Ok(Answer { status, retry_after, body: kept.freeze(), body_cut })
    }
}

fn shared(origin: &Origin, two: Http2, progress: &mut Progress) -> Conn {
    progress.address = Some(two.peer);
    progress.shared = Some((origin.clone(), two.clone()));
    Conn::Two(two)
}
