//! A server on a port that the system picks, and a client of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use vai_webhooks::api;
use vai_webhooks_engine::{Engine, EngineOptions, Redacted};
use vai_webhooks_receiver::service::{ServiceLimits, serve_connections};

pub const ADMIN: &str = "an-admin-key-for-tests-only";
/// Waits in tests end with a failure after this: long enough for a disk that stalls and cores that others use.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A running server.
pub struct Server {
    pub url: String,
    client: Client<HttpConnector, Full<Bytes>>,
    engine: Arc<Engine>,
    /// Gone with the server.
    data: TempDir,
}

/// What a call was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    /// Its problem's code; only of an answer that is a whole problem.
    pub fn problem(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
        assert_eq!(self.json["status"], self.status, "{}", self.text);
        assert!(
            !self.json["title"].as_str().unwrap().is_empty()
                && !self.json["detail"].as_str().unwrap().is_empty()
        );
        self.json["code"].as_str().unwrap()
    }

    /// The fields that are at fault: pointer and code.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|it| (it["pointer"].as_str().unwrap(), it["code"].as_str().unwrap())).collect()
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_on(tempfile::tempdir().unwrap(), |_| {}).await
    }

    /// The same on this directory, with other options.
    pub async fn start_on(data: TempDir, change: impl FnOnce(&mut EngineOptions)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut options = EngineOptions {
            public_url: Some(url.clone()),
            egress_allow: vec!["127.0.0.0/8".parse().unwrap()],
            admin_key: Some(Redacted(ADMIN.to_owned())),
            ..EngineOptions::new(data.path())
        };
        change(&mut options);
        let engine = Arc::new(Engine::open(options).await.unwrap());
        let service = api::Service::over(Arc::clone(&engine));
        let answer = move |request| service.clone().answer(request);
        let threads = engine.threads();
        tokio::spawn(async move {
            let limits = ServiceLimits::default();
            serve_connections(listener, answer, &limits, threads, std::future::pending()).await;
        });
        Self { url, client: Client::builder(TokioExecutor::new()).build_http(), engine, data }
    }

    /// Where the same calls are answered by the router alone.
    pub async fn by_router(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = api::Service::over(Arc::clone(&self.engine)).router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// Ends the engine, and gives its directory.
    pub async fn end(self) -> TempDir {
        self.engine.shutdown(PATIENCE).await;
        self.data
    }

    /// A call with these headers. The engine may be busy at any time where the disk stalls, and who is told so tries
    /// again.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let body = body.into();
        loop {
            let answer = self.send_once(method, path, headers, body.clone()).await;
            if (answer.status, &answer.json["code"]) != (503, &Value::from("busy")) {
                return answer;
            }
            let after = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            tokio::time::sleep(Duration::from_secs(after)).await;
        }
    }

    async fn send_once(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::new(body)).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: head.status.as_u16(), headers: head.headers, text, json }
    }

    /// A call with this key.
    pub async fn with_key(&self, key: &str, method: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(method, path, &[("authorization", &format!("Bearer {key}"))], body).await
    }

    /// A call for the default tenant.
    pub async fn call(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        self.with_key(ADMIN, method, path, body).await
    }

    /// A new key of this tenant.
    pub async fn tenant_key(&self, tenant: &str) -> String {
        let made = self.call("POST", "/v1/keys", format!(r#"{{"tenant":"{tenant}"}}"#)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json["key"].as_str().unwrap().to_owned()
    }

    /// Calls until `is` is true of the answer.
    pub async fn until(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = String::new();
        let wait = async {
            loop {
                let answer = self.call("GET", path, "").await;
                if is(&answer.json) {
                    return answer.json;
                }
                last = answer.text;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("{path} does not become what it should: {last}"))
    }

    /// Everything that a tenant can read, to compare before and after.
    pub async fn everything(&self) -> String {
        let mut all = String::new();
        for path in ["/v1/webhooks", "/v1/events", "/v1/stats", "/v1/event-types", "/v1/keys"] {
            all.push_str(&self.call("GET", path, "").await.text);
        }
        all
    }
}
