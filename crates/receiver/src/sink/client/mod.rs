//! The HTTP client of the sinks: one server, one connection that is kept, one request at a time.
//!
//! It exists because a sink gets one batch at a time, so that a pool would be of no use, and because what a sink says
//! goes into logs: no error holds a path or a query, which are secrets in many webhook URLs. Invariants: connecting,
//! asking and reading end within a deadline; an answer is read up to [`ANSWER_BYTES_MAX`]; redirects are not followed;
//! a request is sent a second time only where the first provably was not sent. Read `target.rs`, then `answer.rs`.

mod answer;
mod connect;
mod target;

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

pub(crate) use answer::Answer;
pub(crate) use target::Target;

use super::{SettingsError, SinkError};
use connect::Connector;
pub(crate) use connect::tls_config;

/// How long a whole exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection that is not in use is kept: shorter than servers do (Node: 5 s), so that nothing is sent
/// into one that is just being closed.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// The most bytes of an answer that are read.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The largest head of an answer, in bytes, and the most headers in it.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;

const USER_AGENT: &str = concat!("vai-webhooks-receiver/", env!("CARGO_PKG_VERSION"));

type Sender = SendRequest<Full<Bytes>>;

/// A client for one server.
pub(crate) struct Client {
    target: Target,
    connector: Connector,
    kept: Option<(Sender, Instant)>,
}

impl Client {
    /// A client for the server that `target` is at; `ca_file` holds certificates (PEM) of authorities that are trusted
    /// beside the public ones.
    pub(crate) fn new(target: Target, ca_file: Option<&Path>) -> Result<Self, SettingsError> {
        let connector = Connector::new(&target, ca_file)?;
        Ok(Self { target, connector, kept: None })
    }

    /// The server: for what people read.
    pub(crate) fn server(&self) -> &str {
        self.target.server()
    }

    /// Posts `body` to the target.
    pub(crate) async fn post(&mut self, content_type: &str, body: Bytes) -> Result<Answer, SinkError> {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(content_type) {
            headers.insert(header::CONTENT_TYPE, value);
        }
        let path = self.target.path_and_query().to_owned();
        self.send(Method::POST, &path, headers, body).await
    }

    /// Sends a request for `path_and_query` on the target's server.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path_and_query: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, SinkError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() =
            path_and_query.parse().map_err(|_| self.failed("its path is none that can be sent"))?;
        *request.headers_mut() = headers;
        let host = HeaderValue::from_str(self.target.authority())
            .map_err(|_| self.failed("its name is none that can be sent"))?;
        request.headers_mut().insert(header::HOST, host);
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        match tokio::time::timeout(EXCHANGE_TIMEOUT, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(self.failed(format!("no whole answer within {} s", EXCHANGE_TIMEOUT.as_secs()))),
        }
    }

    /// Connects, and agrees on TLS, without asking anything.
    pub(crate) async fn reach(&mut self) -> Result<(), SinkError> {
        let sender = self.connect().await?;
        self.kept = Some((sender, Instant::now()));
        Ok(())
    }

    async fn exchange(&mut self, mut request: Request<Full<Bytes>>) -> Result<Answer, SinkError> {
        // Taken out, so that whatever fails or is cut off leaves no half-used connection.
        if let Some((mut sender, since)) = self.kept.take()
            && since.elapsed() < IDLE_MAX
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => return self.read(sender, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.broke(&error.into_error())),
                },
            }
        }
        let mut sender = self.connect().await?;
        match sender.send_request(request).await {
            Ok(response) => self.read(sender, response).await,
            Err(error) => Err(self.broke(&error)),
        }
    }

    async fn connect(&self) -> Result<Sender, SinkError> {
        let stream = self.connector.connect().await.map_err(|what| self.failed(what))?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| self.broke(&error))?;
        // It ends when the sender is dropped, or the server closes; the exchange sees the error too.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }

    async fn read(&mut self, sender: Sender, response: Response<Incoming>) -> Result<Answer, SinkError> {
        let (head, mut incoming) = response.into_parts();
        let mut body = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| self.broke(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            let room = ANSWER_BYTES_MAX - body.len();
            if data.len() > room {
                body.extend_from_slice(&data[..room]);
                return Ok(Answer::new(self.server(), &head, &body));
            }
            body.extend_from_slice(&data);
        }
        self.kept = Some((sender, Instant::now()));
        Ok(Answer::new(self.server(), &head, &body))
    }

    fn broke(&self, error: &hyper::Error) -> SinkError {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        self.failed(format!("the exchange broke off: {error}{cause}"))
    }

    fn failed(&self, what: impl std::fmt::Display) -> SinkError {
        SinkError::Again { detail: format!("{}: {what}", self.server()), after: None }
    }
}
