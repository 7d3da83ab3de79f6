//! The transport by itself, without an engine around it: one request, and what came of it.
//!
//! A case that is about bytes, limits or connections stands on this; one that is about the record that
//! is kept stands on `bench.rs`. Every exchange is held to its deadline here.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use vai_webhooks_engine::egress::{EgressOptions, HttpTransport, Policy};
use vai_webhooks_engine::transport::{Exchange, Headers, Request, Transport as _};

/// No exchange may take longer than its deadline by more than what a busy machine adds.
const LATE: Duration = Duration::from_secs(60);
/// A deadline that a good receiver keeps on a busy machine too.
pub const AMPLE_MS: u64 = 120_000;
/// Stands in every URL's query. No failure may show it.
const SECRET: &str = "s3cr3t";

/// Options that let a test reach this machine.
pub fn options() -> EgressOptions {
    let allow = ["127.0.0.0/8", "::1/128"].iter().map(|range| range.parse().unwrap()).collect();
    EgressOptions { policy: Policy::new(allow), ..EgressOptions::default() }
}

/// A transport with these options.
pub fn transport(options: EgressOptions) -> HttpTransport {
    HttpTransport::new(options).unwrap()
}

/// Sends `body` to `url` with this deadline. Fails where it comes late or shows the URL's secret.
pub async fn post(transport: &HttpTransport, url: &str, body: impl Into<Bytes>, timeout_ms: u64) -> Exchange {
    let timeout = Duration::from_millis(timeout_ms);
    let request = Request {
        uri: format!("{url}?token={SECRET}").parse().unwrap(),
        headers: Headers::default(),
        body: body.into(),
        timeout,
    };
    let began = Instant::now();
    let exchange = transport.send(request).await;
    assert!(began.elapsed() < timeout + LATE, "it took {:?}", began.elapsed());
    assert!(!format!("{:?}", exchange.result).contains(SECRET), "{exchange:?}");
    exchange
}

/// Reads one head, to its empty line; `None` where the other side closes first.
pub async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}
