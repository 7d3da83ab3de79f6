//! The only room with sockets to webhooks: what may be dialled, how, and what comes back.
//!
//! The way of a request: `policy` looks at the URL; `send` makes the exchange within its deadline, over a
//! connection from `pool` or a new one: `connect` resolves the name, has every address checked and dials a checked
//! one, `stream` is what it makes, `http1` and `http2` speak over it. `failed` says what went wrong. Invariant: no
//! address is dialled that the policy did not see.

mod answer;
mod chunks;
mod connect;
mod failed;
mod head;
mod http1;
mod http2;
mod policy;
mod pool;
mod send;
mod stream;

use std::time::Duration;

use rustls::pki_types::CertificateDer;

pub use policy::{Policy, RefusedAddress, RefusedUrl};
pub use send::{HttpTransport, TransportError};

/// The largest head of an answer, in bytes, and the most headers in it.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;

/// How requests are sent.
#[derive(Debug, Clone)]
pub struct EgressOptions {
    /// What may be dialled.
    pub policy: Policy,
    /// Certificates of authorities that are trusted beside the public ones.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// How long one address may take to answer a dial, and TLS to be agreed on.
    pub connect_timeout: Duration,
    /// How long a connection that is not in use is kept. Servers close theirs after 5 s (Node's
    /// default): a shorter time here avoids sending into a connection that is just being closed.
    pub idle_timeout: Duration,
    /// Connections to one host that are kept although they are not in use.
    pub idle_per_host_max: usize,
    /// The most bytes of an answer's body that are read.
    pub answer_read_bytes_max: usize,
    /// The most bytes of an answer's body that are kept for the log.
    pub answer_kept_bytes_max: usize,
}

impl Default for EgressOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            extra_roots: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(4),
            idle_per_host_max: 1_024,
            answer_read_bytes_max: 64 * 1024,
            answer_kept_bytes_max: 1024,
        }
    }
}
