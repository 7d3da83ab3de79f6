//! What went wrong, in the words of a delivery log.
//!
//! hyper's own texts say little; the innermost cause says what happened. Read `../transport.rs` again.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::dispatch::transport::{Failure, FailureKind};

/// A failure without a status.
pub(super) fn failure(kind: FailureKind, detail: impl Into<String>) -> Failure {
    Failure { kind, detail: detail.into(), status: None }
}

/// What did not happen in time.
pub(super) fn late(what: &str, timeout: Duration) -> String {
    format!("{what} within {} ms", timeout.as_millis())
}

/// There was no head of an answer.
pub(super) fn ended(error: &hyper::Error) -> Failure {
    let kind = match error {
        error if error.is_parse() || error.is_parse_too_large() => FailureKind::Protocol,
        error if broken_http2(error) => FailureKind::Protocol,
        _ => FailureKind::Closed,
    };
    let what = match kind {
        FailureKind::Protocol => "what came back is no HTTP answer",
        _ => "the connection ended before the answer",
    };
    failure(kind, format!("{what}: {}", last_source(error)))
}

/// The body of an answer did not come whole.
pub(super) fn broke_off(error: &hyper::Error) -> Failure {
    failure(body_kind(error), format!("the answer broke off: {}", last_source(error)))
}

/// Whether a body broke off or was broken: hyper says so by the kind of the I/O error inside.
fn body_kind(error: &hyper::Error) -> FailureKind {
    if broken_http2(error) {
        return FailureKind::Protocol;
    }
    match source_of_type::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => FailureKind::Protocol,
        _ => FailureKind::Closed,
    }
}

/// Whether it was this side that gave up on what came over HTTP/2.
fn broken_http2(error: &(dyn Error + 'static)) -> bool {
    source_of_type::<h2::Error>(error).is_some_and(h2::Error::is_library)
}

/// The first of the causes that is of this type.
fn source_of_type<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn last_source(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
