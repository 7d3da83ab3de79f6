//! What the head of an answer over HTTP/1.1 says: where its body ends, and whether its connection is good for another
//! request (RFC 9112, sections 6 and 9).
//!
//! Invariant: what is ambiguous is an error (two lengths, a length that is none), or costs the connection. Read `chunks.rs`
//! next.

use super::chunks::Chunks;

/// The longest `Retry-After` that is looked at, in bytes.
const RETRY_AFTER_BYTES_MAX: usize = 100;

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    Head,
    /// So many bytes of a body.
    Sized(u64),
    Chunks(Chunks),
    /// A body that ends with its connection.
    ToTheEnd,
    Nothing,
}

/// What a head says that matters here.
pub(super) struct Head {
    pub(super) retry_after: Option<String>,
    /// Whether the connection is good for another request when the body is over.
    pub(super) reusable: bool,
    pub(super) next: Next,
}

impl Head {
    pub(super) fn read(response: &httparse::Response<'_, '_>) -> Result<Self, &'static str> {
        let status = response.code.unwrap_or_default();
        if status < 100 {
            return Err("a status that is none");
        }
        let (mut reusable, mut closes) = (response.version == Some(1), false);
        let (mut retry_after, mut length, mut coded, mut chunked) = (None, None, false, false);
        for header in response.headers.iter() {
            let named = |name: &str| header.name.eq_ignore_ascii_case(name);
            let tokens = || header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            if named("content-length") {
                let this = decimal(header.value).ok_or("a Content-Length that is no number")?;
                if length.is_some_and(|other| other != this) {
                    return Err("two lengths");
                }
                length = Some(this);
            } else if named("transfer-encoding") {
                coded = true;
                chunked = tokens().next_back().is_some_and(|it| it.eq_ignore_ascii_case(b"chunked"));
            } else if named("connection") {
                let says = |word: &[u8]| tokens().any(|it| it.eq_ignore_ascii_case(word));
                closes |= says(b"close");
                reusable |= says(b"keep-alive");
            } else if named("retry-after") && retry_after.is_none() {
                retry_after = text_of_retry_after(header.value);
            }
        }
        let next = match length {
            _ if matches!(status, 101 | 204 | 304) => Next::Nothing,
            _ if coded && response.version != Some(1) => {
                return Err("an encoding that HTTP/1.0 does not have");
            }
            _ if chunked => Next::Chunks(Chunks::new()),
            Some(0) if !coded => Next::Nothing,
            Some(length) if !coded => Next::Sized(length),
            _ => Next::ToTheEnd,
        };
        // Two ways to say where it ends may be read in two ways (RFC 9112, section 6.3).
        let ambiguous = coded && length.is_some();
        reusable &= !closes && !ambiguous && !matches!(next, Next::ToTheEnd) && status != 101;
        Ok(Self { retry_after, reusable, next })
    }
}

fn decimal(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| all)?.parse().ok()
}

/// A `Retry-After` as it was written, where it is text and not too long.
pub(super) fn text_of_retry_after(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok().filter(|it| it.len() <= RETRY_AFTER_BYTES_MAX)?;
    text.bytes().all(|byte| (b' '..0x7f).contains(&byte)).then(|| text.to_owned())
}
