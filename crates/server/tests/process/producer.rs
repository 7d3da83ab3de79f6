//! Calls to the API, over a client that keeps its connections.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::server::ADMIN_KEY;

/// A client with connections of its own.
#[derive(Clone)]
pub struct Producer(Client<HttpConnector, Full<Bytes>>);

impl Producer {
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// One call; an error where no whole answer came.
    pub async fn call(
        &self,
        method: &str,
        url: &str,
        body: &str,
    ) -> Result<(u16, Value), Box<dyn std::error::Error + Send + Sync>> {
        let request = http::Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {ADMIN_KEY}"))
            .body(Full::new(Bytes::from(body.to_owned())))?;
        let response = self.0.request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}
