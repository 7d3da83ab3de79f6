//! Makes and signs requests; signing is the wire crate's.

use std::time::{SystemTime, UNIX_EPOCH};

use vai_webhooks_receiver::AccessKey;
use vai_webhooks_wire::{Secret, SigningKey, VerifyingKey, sign};

/// The secret that most tests sign with.
pub const SECRET: &str = "whsec_dGhpcnR5LXR3byBieXRlcyBvZiBhIHRlc3Qgc2VjcmV0";
/// A second one, without a prefix, that the tests' receivers take as well.
pub const OTHER_SECRET: &str = "your-webhook-secret";
/// Both, as `VAI_WEBHOOK_SECRET` holds them.
pub const SECRETS: &str = "whsec_dGhpcnR5LXR3byBieXRlcyBvZiBhIHRlc3Qgc2VjcmV0, your-webhook-secret";
/// The key to a receiver's own routes.
pub const KEY: &str = "a-key-for-the-tests";
/// The seed of the Ed25519 key.
const KEY_SEED: [u8; 32] = [7; 32];

/// A `POST /webhooks/vai` in the making.
#[derive(Debug, Clone)]
pub struct Post {
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Post {
    /// Unsigned.
    pub fn new(body: &str) -> Self {
        Self::raw(body.as_bytes())
    }

    /// Unsigned, with a body that need not be text.
    pub fn raw(body: &[u8]) -> Self {
        let content_type = ("Content-Type".to_owned(), b"application/json".to_vec());
        Self { headers: vec![content_type], body: body.to_vec() }
    }

    /// Signed in the legacy way, which needs nothing but the body.
    pub fn signed(body: &str) -> Self {
        Self::new(body).legacy(SECRET)
    }

    pub fn legacy(self, secret: &str) -> Self {
        let signature = sign::legacy(&parse(secret), &self.body);
        self.set("X-VAI-Signature", &signature)
    }

    pub fn v1(self, secret: &str, id: &str, timestamp_secs: i64) -> Self {
        let signature = sign::v1(&parse(secret), id, timestamp_secs, &self.body);
        self.standard(id, timestamp_secs, &signature)
    }

    pub fn v1a(self, id: &str, timestamp_secs: i64) -> Self {
        let signature = sign::v1a(&signing_key(), id, timestamp_secs, &self.body);
        self.standard(id, timestamp_secs, &signature)
    }

    fn standard(self, id: &str, timestamp_secs: i64, signature: &str) -> Self {
        self.set("webhook-id", id)
            .set("webhook-timestamp", &timestamp_secs.to_string())
            .set("webhook-signature", signature)
    }

    pub fn add(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub fn set(self, name: &str, value: &str) -> Self {
        self.without(name).add(name, value)
    }

    pub fn set_raw(mut self, name: &str, value: &[u8]) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_vec()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| found != name);
        self
    }

    /// Changes a header that is there.
    pub fn edit(self, name: &str, change: impl Fn(&str) -> String) -> Self {
        let (_, old) = self.headers.iter().find(|(found, _)| found == name).expect("the header is there");
        let new = change(std::str::from_utf8(old).expect("text"));
        self.set(name, &new)
    }

    /// Keeps the headers and puts another body under them.
    pub fn with_body(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self
    }

    /// The head, with `framing` (one header line or several) for the body that follows.
    pub fn head(&self, framing: &str) -> Vec<u8> {
        let mut head = format!("POST /webhooks/vai HTTP/1.1\r\nHost: receiver\r\n{framing}\r\n").into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// The whole request.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(&format!("Content-Length: {}", self.body.len()));
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An event as our engine sends it, of about 200 bytes.
pub fn body(id: &str, event_type: &str) -> String {
    format!(
        r#"{{"id":"{id}","event":"{event_type}","timestamp":"2026-08-01T00:00:00.000Z","data":{{"sessionId":"s1","response":{{"text":"hello","type":"text","metadata":{{}}}},"agentId":"a1","confidence":0.90}}}}"#
    )
}

/// An event as the seed's sender makes it.
pub fn body_without_id(event_type: &str, session: u32) -> String {
    format!(
        r#"{{"event":"{event_type}","timestamp":"2026-08-01T00:00:00.000Z","data":{{"sessionId":"s{session}"}}}}"#
    )
}

/// An event of exactly this many bytes.
pub fn body_of(bytes: usize) -> String {
    let frame = |text: &str| {
        format!(
            r#"{{"id":"evt_big","event":"message.sent","timestamp":"2026-08-01T00:00:00.000Z","data":"{text}"}}"#
        )
    };
    frame(&"x".repeat(bytes - frame("").len()))
}

/// Unix time in seconds.
pub fn now_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the year 292 billion")
}

/// [`SECRET`], parsed.
pub fn secret() -> Secret {
    parse(SECRET)
}

/// [`KEY`], parsed.
pub fn key() -> AccessKey {
    AccessKey::parse(KEY).expect("a good key")
}

/// The public half of the tests' Ed25519 key.
pub fn verifying_key() -> VerifyingKey {
    signing_key().verifying_key()
}

fn parse(secret: &str) -> Secret {
    Secret::parse(secret).expect("a good secret")
}

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&KEY_SEED)
}
