//! What the dispatcher asks of the network, as values: one request, one exchange.
//!
//! The engine never opens a socket itself. It hands a [`Request`] to a [`Transport`] and gets back an
//! [`Exchange`], which is never an error: a receiver that fails is an ordinary result and is recorded.
//! The real transport is `dispatch/egress`; a simulation passes in its own.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use super::headers::Headers;

/// One attempt's HTTP `POST`.
pub struct Request {
    /// Where it goes: a URL that the egress policy has accepted at registration. Its host is checked again
    /// when it is dialled.
    pub uri: http::Uri,
    /// All headers, signatures included; `Host` and `Content-Length` are the transport's to add.
    pub headers: Headers,
    /// The bytes that were signed. Sent as they are.
    pub body: Bytes,
    /// The deadline over the whole attempt: name, connection, TLS, request and answer.
    pub timeout: Duration,
}

/// Without what may be secret: headers, body, and all of the URL but its host.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("host", &self.uri.host())
            .field("body_bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The address that was dialled, where it came to that.
    pub address: Option<SocketAddr>,
    /// The answer, or the kind of failure.
    pub result: Result<Answer, Failure>,
}

/// A complete answer: status, and the first bytes of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The raw `Retry-After` value, where there is one that is text.
    pub retry_after: Option<String>,
    /// The first bytes of the answer's body, at most the transport's own limit.
    pub body: Bytes,
    /// Whether the body went on after what `body` holds.
    pub body_cut: bool,
}

/// Why an attempt has no complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind, which is recorded and counted by.
    pub kind: FailureKind,
    /// One sentence for the delivery log; holds no secret (no userinfo, no query of the URL).
    pub detail: String,
    /// The status, where the failure came after the answer's head had been read.
    pub status: Option<u16>,
}

/// The kinds of failure that a delivery log tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The name did not resolve.
    Dns,
    /// The URL or every resolved address is refused by the egress policy.
    Refused,
    /// No TCP connection came about.
    Connect,
    /// The TLS handshake failed, a wrong certificate among the causes.
    Tls,
    /// The deadline passed.
    Timeout,
    /// The connection ended before the answer was complete.
    Closed,
    /// What came back is not HTTP.
    Protocol,
    /// The webhook's transformation failed: nothing was sent.
    Transform,
}

impl FailureKind {
    /// The name in the API, the log and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::Transform => "transform",
        }
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Dns,
        Self::Refused,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Closed,
        Self::Protocol,
        Self::Transform,
    ];
}

/// Sends one attempt. Implementations hold connections, names and the egress policy.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and resolves with what came of it, at the latest when its timeout has passed.
    fn send(&self, request: Request) -> BoxFuture<'static, Exchange>;
}
