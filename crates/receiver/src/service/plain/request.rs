//! Whether what was read is a whole plain request, and which.
//!
//! Invariant: it is one only where everybody would read it alike: one length in digits, nothing that changes how a body
//! or the connection is to be understood (RFC 9112, sections 6, 7 and 9; RFC 9110, sections 7.6, 7.8 and 10.1.1). Read
//! `answer.rs` next.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

/// The most bytes that a plain request has, head and body.
const BYTES_MAX: usize = 64 * 1024;
/// The most header lines that it has.
const HEADERS_MAX: usize = 32;
/// The most digits of its length.
const LENGTH_DIGITS_MAX: usize = 5;
/// Headers that make a request something else than plain.
const UNUSUAL: [HeaderName; 6] = [CONNECTION, TRANSFER_ENCODING, EXPECT, UPGRADE, TE, TRAILER];

/// Why what was read is no whole plain request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotWhole {
    /// It is the beginning of one that has so many bytes in all.
    Part(usize),
    /// It is anything else.
    Other,
}

/// Takes a whole request from the beginning of `read`, which stays as it is where there is none. `headers` is an empty map
/// for the request.
pub(super) fn take(read: &mut BytesMut, headers: &mut HeaderMap) -> Result<Request<Bytes>, NotWhole> {
    let bytes = read.split().freeze();
    match plain(&bytes, headers) {
        Some(Plain { target, body }) if body.end <= bytes.len() => {
            read.extend_from_slice(bytes.get(body.end..).unwrap_or_default());
            let mut request = Request::new(bytes.slice(body));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = target;
            *request.headers_mut() = std::mem::take(headers);
            Ok(request)
        }
        other => {
            let why = other.map_or(NotWhole::Other, |plain| NotWhole::Part(plain.body.end));
            headers.clear();
            *read = BytesMut::from(&bytes[..]);
            Err(why)
        }
    }
}

/// Where a request goes, and where in it its body is.
struct Plain {
    target: Uri,
    body: std::ops::Range<usize>,
}

/// The request that these bytes begin with, if it is plain. Its body may not be there yet.
fn plain(bytes: &Bytes, headers: &mut HeaderMap) -> Option<Plain> {
    let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut lines);
    let Ok(httparse::Status::Complete(head_len)) = head.parse(bytes) else { return None };
    let target = head.path.filter(|path| path.starts_with('/'))?;
    if head.method != Some("POST") || head.version != Some(1) {
        return None;
    }
    let mut length = None;
    for line in head.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        if UNUSUAL.contains(&name) {
            return None;
        }
        if name == CONTENT_LENGTH {
            match length {
                None => length = Some(decimal(line.value)?),
                Some(_) => return None,
            }
        }
        headers.append(name, HeaderValue::from_maybe_shared(bytes.slice_ref(line.value)).ok()?);
    }
    let end = head_len + length?;
    let target = Uri::from_maybe_shared(bytes.slice_ref(target.as_bytes())).ok()?;
    (end <= BYTES_MAX).then_some(Plain { target, body: head_len..end })
}

fn decimal(digits: &[u8]) -> Option<usize> {
    let all = (1..=LENGTH_DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| all)?.parse().ok()
}

#[cfg(test)]
mod tests;
