//! Calls to the API, over a client that keeps its connections.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use vai_webhooks_wire::{Secret, UnixMs, sign};

use crate::server::{ADMIN_KEY, SECRET};

/// How long somebody waits who was told to try again.
const PAUSE: Duration = Duration::from_millis(200);

/// A client with connections of its own.
#[derive(Clone)]
pub struct Producer(Client<HttpConnector, Full<Bytes>>);

impl Producer {
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends an event to a receiver, signed, until it is told something else than to try again: its answer's status, or
    /// an error where no whole answer came.
    pub async fn send(
        &self,
        url: &str,
        id: &str,
        body: &str,
    ) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
        loop {
            match self.send_once(url, id, body).await? {
                503 => tokio::time::sleep(PAUSE).await,
                status => return Ok(status),
            }
        }
    }

    async fn send_once(
        &self,
        url: &str,
        id: &str,
        body: &str,
    ) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
        let secret = Secret::parse(SECRET)?;
        let now = UnixMs::now();
        let request = http::Request::post(format!("{url}/webhooks/vai"))
            .header("webhook-id", id)
            .header("webhook-timestamp", now.as_secs().to_string())
            .header("webhook-signature", sign::v1(&secret, id, now.as_secs(), body.as_bytes()))
            .body(Full::new(Bytes::from(body.to_owned())))?;
        let response = self.0.request(request).await?;
        let status = response.status().as_u16();
        response.into_body().collect().await?;
        Ok(status)
    }

    /// One call; an error where no whole answer came.
    pub async fn call(
        &self,
        method: &str,
        url: &str,
        body: &str,
    ) -> Result<(u16, Value), Box<dyn std::error::Error + Send + Sync>> {
        self.call_as("default", method, url, body).await
    }

    /// The same for another tenant, by its name. The engine may be busy at any time where the disk stalls, and who is
    /// told so tries again.
    pub async fn call_as(
        &self,
        tenant: &str,
        method: &str,
        url: &str,
        body: &str,
    ) -> Result<(u16, Value), Box<dyn std::error::Error + Send + Sync>> {
        loop {
            match self.call_once_as(tenant, method, url, body).await? {
                (503, problem) if problem["code"] == "busy" => tokio::time::sleep(PAUSE).await,
                answer => return Ok(answer),
            }
        }
    }

    /// The same, whatever it is told.
    pub async fn call_once_as(
        &self,
        tenant: &str,
        method: &str,
        url: &str,
        body: &str,
    ) -> Result<(u16, Value), Box<dyn std::error::Error + Send + Sync>> {
        let request = http::Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {ADMIN_KEY}"))
            .header("x-vai-tenant", tenant)
            .body(Full::new(Bytes::from(body.to_owned())))?;
        let response = self.0.request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}
