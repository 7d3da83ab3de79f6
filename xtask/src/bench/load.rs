//! A producer: posts the same body over so many connections, each waiting for its answer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What is posted, and where.
#[derive(Clone)]
pub struct Load {
    pub url: String,
    /// The API key; empty for none.
    pub key: String,
    pub body: String,
    pub connections: usize,
}

impl Load {
    /// Posts for `span`; gives how many were answered 2xx. Any other answer is an error.
    pub async fn run(&self, span: Duration) -> anyhow::Result<u64> {
        let mut all = JoinSet::new();
        let until = Instant::now() + span;
        for _ in 0..self.connections {
            all.spawn(self.clone().connection(until));
        }
        let mut count = 0;
        while let Some(done) = all.join_next().await {
            count += done??;
        }
        Ok(count)
    }

    async fn connection(self, until: Instant) -> anyhow::Result<u64> {
        let uri: Uri = self.url.parse()?;
        let authority = uri.authority().context("a host")?.clone();
        let tcp = TcpStream::connect(authority.as_str()).await?;
        tcp.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(tcp)).await?;
        tokio::spawn(connection);
        let body = Bytes::from(self.body);
        let bearer = format!("Bearer {}", self.key);
        let mut count = 0;
        while Instant::now() < until {
            let request = Request::post(uri.path())
                .header(header::HOST, authority.as_str())
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::AUTHORIZATION, &bearer)
                .body(Full::new(body.clone()))?;
            let response = sender.send_request(request).await?;
            let status = response.status();
            response.into_body().collect().await?;
            if !status.is_success() {
                bail!("{} answered {status}", self.url);
            }
            count += 1;
        }
        Ok(count)
    }
}
