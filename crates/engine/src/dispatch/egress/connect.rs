//! From a host to a connection: resolve, check every address, dial one that was checked, agree on TLS.
//!
//! Invariant: what is dialled is the very address that was checked, so that a name that changes its
//! address between the two gains nothing. Read `stream.rs` next.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::policy::Policy;
use super::stream::{Io, Stream};
use crate::dispatch::transport::FailureKind;

/// Addresses of one name that are dialled, one after the other.
const ADDRESSES_MAX: usize = 4;

/// Makes connections.
pub(super) struct Connector {
    policy: Policy,
    tls: TlsConnector,
    connect_timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
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
        Self { policy, tls: TlsConnector::from(tls), connect_timeout }
    }

    /// Connects to the host of `uri`. What is dialled is noted in `dialled` before it is.
    pub(super) async fn connect(
        &self,
        uri: &Uri,
        dialled: &mut Option<SocketAddr>,
    ) -> Result<Stream, ConnectError> {
        let tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let addresses = self.checked(host, port).await?;
        let mut last = ConnectError::new(FailureKind::Dns, "the name has no address");
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            *dialled = Some(address);
            let result = match self.dial(address).await {
                Ok(tcp) if tls => self.agree(tcp, host, address).await,
                Ok(tcp) => Ok(Io::Plain(tcp)),
                Err(error) => Err(error),
            };
            match result {
                Ok(io) => return Ok(Stream { peer: address, io }),
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
            Ok(Ok(stream)) => Ok(Io::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(failed(format!("no TLS with {address}: {error}"))),
            Err(_) => Err(failed(format!(
                "no TLS with {address}: not agreed on within {} ms",
                self.connect_timeout.as_millis()
            ))),
        }
    }
}
