//! The key to the routes about the receiver itself.
//!
//! It exists because what they show is not for senders. Invariants: a key is compared by its digest, so that the time it
//! takes says nothing; it is never shown but where it is made. Read `mod.rs` for what it opens.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use super::problem;
use crate::receiver::Shared;

/// The shortest key that is taken, in bytes.
const KEY_BYTES_MIN: usize = 16;

/// A key, kept as its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey([u8; 32]);

/// A text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key must have at least {KEY_BYTES_MIN} printable characters, without blanks")]
pub struct AccessKeyError;

impl AccessKey {
    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self, AccessKeyError> {
        let good = text.len() >= KEY_BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(Self::of(text)) } else { Err(AccessKeyError) }
    }

    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(…)")
    }
}

/// Lets a request through that has the key.
pub(super) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Some(key) = &shared.key else {
        return problem(StatusCode::FORBIDDEN, "This receiver has no key for its own routes: give it one");
    };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.split_once(' '));
    match given {
        Some((scheme, text))
            if scheme.eq_ignore_ascii_case("bearer") && AccessKey::of(text.trim()) == *key =>
        {
            next.run(request).await
        }
        _ => {
            let mut answer =
                problem(StatusCode::UNAUTHORIZED, "Send the receiver's key as Authorization: Bearer <key>");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            answer
        }
    }
}
