//! An answer, as the bytes that are sent.
//!
//! Invariant: its lines are those that hyper writes for the same answer, so that nobody can tell who wrote it; but for a
//! body of unknown length, which hyper sends in chunks. Read `../connection.rs` next.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use jiff::fmt::strtime;

/// The most room that is kept from one answer to the next, in bytes.
const KEPT_BYTES_MAX: usize = 4 * 1024;
/// How an HTTP date is written (RFC 9110, section 5.6.7).
const DATE_FORMAT: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// Writes the answers of one connection.
#[derive(Default)]
pub(super) struct Answers {
    bytes: Vec<u8>,
    last: bool,
    date: Date,
}

/// Why an answer cannot be written: its body broke off, or has another length than it said.
#[derive(Debug)]
pub(super) struct Broken;

impl Answers {
    /// Spells an answer; `last` where no request is answered on this connection after it. Gives its map of headers back,
    /// empty, and its body where nobody knows how long that is: it ends with the connection (RFC 9112, section 6.3).
    pub(super) async fn spell(
        &mut self,
        response: Response,
        last: bool,
    ) -> Result<(HeaderMap, Option<Body>), Broken> {
        let (mut parts, mut body) = response.into_parts();
        let has_body = !matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        // Ours to say: the body is sent as it is.
        parts.headers.remove(TRANSFER_ENCODING);
        let length = body.size_hint().exact().filter(|_| has_body);
        let endless = has_body && length.is_none();
        self.last = last || endless || says_close(&parts.headers);
        let out = &mut self.bytes;
        out.clear();
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(parts.status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(parts.status.canonical_reason().unwrap_or("<none>").as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in &parts.headers {
            line(out, name.as_str(), value.as_bytes());
        }
        if let Some(length) = length.filter(|_| !parts.headers.contains_key(CONTENT_LENGTH)) {
            write!(out, "content-length: {length}\r\n").map_err(|_| Broken)?;
        }
        if self.last && !says_close(&parts.headers) {
            line(out, "connection", b"close");
        }
        if !parts.headers.contains_key(DATE) {
            line(out, "date", self.date.now(SystemTime::now()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        parts.headers.clear();
        let Some(length) = length else { return Ok((parts.headers, endless.then_some(body))) };
        let head = out.len();
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame.map_err(|_| Broken)?.into_data() {
                out.extend_from_slice(&piece);
            }
        }
        if (out.len() - head) as u64 == length { Ok((parts.headers, None)) } else { Err(Broken) }
    }

    /// What was spelled last.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives back the room of a large one, which would stay as long as the connection.
    pub(super) fn free(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
    }

    /// Whether no request is answered after it.
    pub(super) fn is_last(&self) -> bool {
        self.last
    }
}

fn says_close(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The date, which is written once a second.
#[derive(Default)]
struct Date {
    /// Seconds since 1970.
    at: u64,
    text: String,
}

impl Date {
    fn now(&mut self, now: SystemTime) -> &str {
        let at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if at != self.at || self.text.is_empty() {
            let time =
                i64::try_from(at).ok().and_then(|at| Timestamp::from_second(at).ok()).unwrap_or_default();
            self.text = strtime::format(DATE_FORMAT, time).unwrap_or_default();
            self.at = at;
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn spelled(response: Response, last: bool) -> (Answers, String) {
        let mut answers = Answers::default();
        let (headers, more) = answers.spell(response, last).await.unwrap();
        assert!(headers.is_empty() && more.is_none());
        let text = String::from_utf8(answers.bytes().to_vec()).unwrap();
        (answers, text)
    }

    #[tokio::test]
    async fn an_answer_has_its_length_and_a_date() {
        let (answers, text) = spelled(Response::new(Body::from("abc")), false).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let lines: Vec<&str> = head.lines().collect();
        assert_eq!(lines[..2], ["HTTP/1.1 200 OK", "content-length: 3"]);
        assert!(lines[2].starts_with("date: ") && lines[2].ends_with(" GMT"), "{head}");
        assert_eq!(body, "abc");
        assert!(!answers.is_last());
    }

    #[tokio::test]
    async fn the_last_answer_says_so_whoever_wants_it() {
        let (answers, text) = spelled(Response::default(), true).await;
        assert!(answers.is_last() && text.contains("\r\nconnection: close\r\n"));
        let mut closing = Response::default();
        closing.headers_mut().insert(CONNECTION, "x, Close".parse().unwrap());
        let (answers, text) = spelled(closing, false).await;
        assert!(answers.is_last() && text.matches("onnection:").count() == 1, "{text}");
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_ends_with_its_connection() {
        let pieces = futures_util::stream::iter(["ab", "c"].map(Ok::<_, std::io::Error>));
        let mut response = Response::new(Body::from_stream(pieces));
        response.headers_mut().insert(TRANSFER_ENCODING, "chunked".parse().unwrap());
        let mut answers = Answers::default();
        let (_, more) = answers.spell(response, false).await.unwrap();
        assert_eq!(&more.unwrap().collect().await.unwrap().to_bytes()[..], b"abc");
        let text = std::str::from_utf8(answers.bytes()).unwrap();
        assert!(answers.is_last() && text.contains("\r\nconnection: close\r\n"), "{text}");
        assert!(!text.contains("content-length") && !text.contains("transfer-encoding"), "{text}");
    }

    #[tokio::test]
    async fn the_room_of_a_large_answer_is_not_kept() {
        let large = vec![b'x'; 100 * KEPT_BYTES_MAX];
        let (mut answers, text) = spelled(Response::new(Body::from(large)), false).await;
        assert!(text.len() > 100 * KEPT_BYTES_MAX);
        answers.free();
        assert!(answers.bytes.capacity() <= KEPT_BYTES_MAX);
    }

    #[tokio::test]
    async fn an_answer_that_has_no_body_announces_none() {
        let mut none = Response::new(Body::empty());
        *none.status_mut() = StatusCode::NO_CONTENT;
        let (answers, text) = spelled(none, false).await;
        assert!(!answers.is_last() && !text.contains("content-length"), "{text}");
    }

    #[test]
    fn a_date_is_written_as_http_has_it() {
        let mut date = Date::default();
        // The example of RFC 9110, section 5.6.7.
        let at = UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(date.now(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.now(at + Duration::from_millis(999)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.now(at + Duration::from_secs(1)), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
