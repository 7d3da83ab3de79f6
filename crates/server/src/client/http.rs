//! Calls of the API: a method, a path and JSON in; JSON or a refusal out.
//!
//! Invariants: a call ends within a deadline and reads a bounded answer; redirects are not followed, so
//! that the key goes to the named server alone. Read `refusal.rs` next.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call may take; a registration waits for its endpoint, 30 s at most.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// Nothing listens there.
    #[error("no server at {0}; start one with `vai-webhooks serve`")]
    NoServer(String),
    /// The connection could not be opened, or broke.
    #[error("the call to {url} failed")]
    Connection {
        url: String,
        #[source]
        source: ClientError,
    },
    /// The answer broke off, or is longer than is read.
    #[error("the answer of {url} could not be read: {reason}")]
    Answer { url: String, reason: String },
    /// No answer in time.
    #[error("{0} did not answer within {secs} s", secs = CALL_TIMEOUT.as_secs())]
    TimedOut(String),
    /// The server said no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// What answered is no VAI Webhooks server, or one of another version.
    #[error("{0} answered with something else than the API does; is it a VAI Webhooks server?")]
    NotTheApi(String),
}

impl CallError {
    /// Whether the server said that there is no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_not_found())
    }
}

/// The API of one server, with one key.
pub(super) struct Api {
    base: String,
    authorization: Option<HeaderValue>,
    tenant: Option<HeaderValue>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Api {
    pub(super) fn new(base: &Uri, key: Option<&str>, tenant: Option<&str>) -> anyhow::Result<Self> {
        let secret = |key: &str| {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))?;
            value.set_sensitive(true);
            Ok::<_, http::header::InvalidHeaderValue>(value)
        };
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Ok(Self {
            base: base.to_string().trim_end_matches('/').to_owned(),
            authorization: key.map(secret).transpose().context("the key holds characters that no key has")?,
            tenant: tenant
                .map(HeaderValue::from_str)
                .transpose()
                .context("the tenant's name holds characters that no name has")?,
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, CallError> {
        self.call(Request::new(Full::default()), Method::GET, path).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Answer, CallError> {
        self.call(Request::new(Full::default()), Method::DELETE, path).await
    }

    /// Posts JSON text.
    pub(super) async fn post(
        &self,
        path: &str,
        body: String,
        idempotency_key: Option<HeaderValue>,
    ) -> Result<Answer, CallError> {
        let mut request = with_json(body);
        if let Some(key) = idempotency_key {
            request.headers_mut().insert("idempotency-key", key);
        }
        self.call(request, Method::POST, path).await
    }

    /// Puts JSON text.
    pub(super) async fn put(&self, path: &str, body: String) -> Result<Answer, CallError> {
        self.call(with_json(body), Method::PUT, path).await
    }

    /// Changes something by JSON text.
    pub(super) async fn patch(&self, path: &str, body: String) -> Result<Answer, CallError> {
        self.call(with_json(body), Method::PATCH, path).await
    }

    async fn call(
        &self,
        mut request: Request<Full<Bytes>>,
        method: Method,
        path: &str,
    ) -> Result<Answer, CallError> {
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.base)
            .parse()
            .expect("the base was parsed, and what callers add is percent-encoded");
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.extend(self.authorization.clone().map(|value| (AUTHORIZATION, value)));
        if let Some(tenant) = &self.tenant {
            headers.insert("x-vai-tenant", tenant.clone());
        }
        match tokio::time::timeout(CALL_TIMEOUT, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::TimedOut(self.base.clone())),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        let url = || self.base.clone();
        let response = self.client.request(request).await.map_err(|source| match is_refused(&source) {
            true => CallError::NoServer(url()),
            false => CallError::Connection { url: url(), source },
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| {
            let too_long = error.is::<LengthLimitError>();
            let reason = if too_long { "it is too long".to_owned() } else { error.to_string() };
            CallError::Answer { url: url(), reason }
        })?;
        let text = String::from_utf8(body.to_bytes().into()).map_err(|_| CallError::NotTheApi(url()))?;
        if status.is_success() { Ok(Answer { text, base: url() }) } else { Err(self.refused(status, &text)) }
    }

    fn refused(&self, status: StatusCode, text: &str) -> CallError {
        match Refusal::read(status, text) {
            Some(refusal) => CallError::Refused(Box::new(refusal)),
            None => CallError::NotTheApi(self.base.clone()),
        }
    }
}

fn with_json(body: String) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from(body)));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

fn is_refused(error: &ClientError) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        source = error.source();
    }
    false
}

/// What a call that succeeded was answered with.
pub(super) struct Answer {
    /// The body as it came; empty where there is none.
    pub(super) text: String,
    base: String,
}

impl Answer {
    /// The body as a value.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_str(&self.text).map_err(|_| CallError::NotTheApi(self.base.clone()))
    }
}

/// One segment of a path, or one value of a query, with everything else than letters, digits and `-_.~`
/// percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes everything");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_cannot_leave_its_place_in_a_path() {
        assert_eq!(encoded("evt_1-a.b~"), "evt_1-a.b~");
        assert_eq!(encoded("a/../b?c#d e:ă"), "a%2F..%2Fb%3Fc%23d%20e%3A%C4%83");
    }

    #[test]
    fn a_key_that_is_none_is_told_without_the_key() {
        let base = "http://127.0.0.1:1".parse().unwrap();
        let error = Api::new(&base, Some("hunter2\n"), None).err().unwrap();
        assert!(!format!("{error:#} {error:?}").contains("hunter2"));
    }
}
