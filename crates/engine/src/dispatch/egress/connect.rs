//! From a host to a connection: resolve, check every address, dial one that was checked, agree on TLS.
//!
//! Invariant: what is dialled is the very address that was checked, so that a name that changes its
//! address between the two gains nothing. Read `stream.rs` next.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::policy::Policy;
use super::stream::{Io, Peer, Stream};
use crate::dispatch::transport::FailureKind;

/// Addresses of one name that are dialled, one after the other.
const ADDRESSES_MAX: usize = 4;

tokio::task_local! {
    /// The address last dialled for the request that is being sent: what a deadline that passes before
    /// there is a connection is recorded with.
    pub(super) static DIALLED: Cell<Option<SocketAddr>>;
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    policy: Policy,
    tls: TlsConnector,
    connect_timeout: Duration,
}

/// Why there is no connection. Travels through hyper's client as an error's source.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub(super) struct ConnectError {
    pub(super) kind: FailureKind,
    pub(super) detail: String,
    pub(super) address: Option<SocketAddr>,
}

impl ConnectError {
    fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), address: None }
    }

    fn at(self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self }
    }
}

impl Connector {
    pub(super) fn new(policy: Policy, tls: Arc<ClientConfig>, connect_timeout: Duration) -> Self {
        Self(Arc::new(Inner { policy, tls: TlsConnector::from(tls), connect_timeout }))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Stream, ConnectError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let inner = Arc::clone(&self.0);
        async move { inner.connect(&uri).await }.boxed()
    }
}

impl Inner {
    async fn connect(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        let tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let addresses = self.checked(host, port).await?;
        let mut last = ConnectError::new(FailureKind::Dns, "the name has no address");
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            // Where a kept connection came free first, hyper goes on dialling outside of any request.
            let _outside = DIALLED.try_with(|dialled| dialled.set(Some(address)));
            let result = match self.dial(address).await {
                Ok(tcp) if tls => self.agree(tcp, host, address).await,
                Ok(tcp) => Ok(Io::Plain(TokioIo::new(tcp))),
                Err(error) => Err(error),
            };
            match result {
                Ok(io) => return Ok(Stream { peer: Peer(address), io }),
                Err(error) => last = error.at(address),
            }
        }
        Err(last)
    }

    /// The addresses of a host that may be dialled; an error where it has none.
    async fn checked(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((host, port))
                .await
                .map_err(|error| {
                    ConnectError::new(FailureKind::Dns, format!("{host} does not resolve: {error}"))
                })?
                .collect(),
        };
        let mut refused = None;
        let mut good = Vec::with_capacity(found.len());
        for address in found {
            match self.policy.check_ip(address.ip()) {
                Ok(()) => good.push(address),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(refused) if good.is_empty() => {
                Err(ConnectError::new(FailureKind::Refused, format!("not sent: {refused}")))
            }
            _ => Ok(good),
        }
    }

    async fn dial(&self, address: SocketAddr) -> Result<TcpStream, ConnectError> {
        let failed = |what: String| ConnectError::new(FailureKind::Connect, what);
        match timeout(self.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // A small request must not wait for the answer to the one before.
                tcp.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
                Ok(tcp)
            }
            Ok(Err(error)) => Err(failed(format!("cannot connect to {address}: {error}"))),
            Err(_) => Err(failed(format!(
                "cannot connect to {address}: no answer within {} ms",
                self.connect_timeout.as_millis()
            ))),
        }
    }

    async fn agree(&self, tcp: TcpStream, host: &str, address: SocketAddr) -> Result<Io, ConnectError> {
        let failed = |what: String| ConnectError::new(FailureKind::Tls, what);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failed(format!("{host} is no name that a certificate could have")))?;
        match timeout(self.connect_timeout, self.tls.connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(Io::Tls(Box::new(TokioIo::new(stream)))),
            Ok(Err(error)) => Err(failed(format!("no TLS with {address}: {error}"))),
            Err(_) => Err(failed(format!(
                "no TLS with {address}: not agreed on within {} ms",
                self.connect_timeout.as_millis()
            ))),
        }
    }
}
