//! The bench that a case is put on: an engine that may reach this machine, and one webhook.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use vai_webhooks_engine::{Attempt, Engine, EngineOptions, NewWebhook, TenantId};

use crate::patience::patiently;

/// The longest deadline that a webhook may have: a good receiver keeps it on a busy machine too.
const AMPLE_MS: u32 = 30_000;
/// A deadline that is meant to pass, with time for what comes before.
pub const SHORT_MS: u32 = 3_000;
/// No attempt may take longer than its deadline by more than what a busy machine and a disk that stalls add.
const LATE: Duration = Duration::from_secs(60);

/// An engine.
pub struct Bench {
    engine: Arc<Engine>,
    tenant: TenantId,
    _data: TempDir,
}

impl Bench {
    /// An engine that may reach these ranges, and trusts these authorities too.
    pub async fn new(allow: &[&str], extra_roots: Vec<Vec<u8>>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let options = EngineOptions {
            egress_allow: allow.iter().map(|range| range.parse().unwrap()).collect(),
            extra_roots,
            ..EngineOptions::new(data.path())
        };
        let engine = Arc::new(Engine::open(options).await.unwrap());
        let name = "default".parse().unwrap();
        let tenant = patiently(|| engine.tenant(&name)).await.unwrap();
        Self { engine, tenant, _data: data }
    }

    /// Sends one `webhook.test` to this URL; gives the attempt as it is read back from the record.
    pub async fn attempt(&self, url: &str) -> Attempt {
        self.attempt_within(AMPLE_MS, url).await
    }

    /// The same with this deadline.
    pub async fn attempt_within(&self, timeout_ms: u32, url: &str) -> Attempt {
        let mut webhook = NewWebhook::new(url, ["never"]);
        webhook.verify = false;
        webhook.config.timeout_ms = timeout_ms;
        let register = || self.engine.register(self.tenant, webhook.clone(), None);
        let id = patiently(register).await.unwrap().webhook.id;
        let began = Instant::now();
        let result = patiently(|| self.engine.test(self.tenant, &id)).await.unwrap();
        let took = began.elapsed();
        assert!(took < Duration::from_millis(timeout_ms.into()) + LATE, "it took {took:?}");
        let mut recorded = self.engine.attempts(self.tenant, &id, None, 10).await.unwrap().data;
        assert_eq!(recorded.len(), 1);
        let recorded = recorded.remove(0);
        assert_eq!(
            (&recorded.id, &recorded.exchanged.detail),
            (&result.attempt_id, &result.exchanged.detail)
        );
        recorded
    }
}

/// A receiver that does with each connection what `serve` says, after the request was read.
pub async fn receiver<F, R>(serve: F) -> String
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            tokio::spawn(serve(stream));
        }
    });
    url
}

/// Reads one request whole.
async fn read_request(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4_096];
        let count = stream.read(&mut part).await.unwrap_or_default();
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 { return } else { continue }
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        if count == 0 || body.len() >= length.parse().unwrap_or_default() {
            return;
        }
    }
}

/// Writes, and does not mind that the other side is gone.
pub async fn write(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) -> bool {
    stream.write_all(bytes.as_ref()).await.is_ok()
}
