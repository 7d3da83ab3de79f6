//! Answers as bytes: where they end, what is kept of them, and what is none.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { read: 40, kept: 10 };

/// What comes of these parts, and of the end of the connection behind them where the answer is not over before.
fn read(parts: &[&[u8]]) -> Result<(Answer, bool), Failure> {
    let mut reading = Reading::new(LIMITS);
    let mut over = false;
    for part in parts {
        // What comes when it is over is seen when the connection is used again.
        if !over && !part.is_empty() {
            over = reading.take(part)?;
        }
    }
    if !over {
        reading.end(None)?;
    }
    Ok(reading.done())
}

fn read_text(text: &str) -> Result<(Answer, bool), Failure> {
    read(&[text.as_bytes()])
}

#[test]
fn a_body_ends_where_its_head_says() {
    for (text, status, body, reusable) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true),
        ("HTTP/1.1 200 OK\r\ncontent-length:2\r\nContent-Length: 2 \r\n\r\nok", 200, "ok", true),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", true),
        ("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", 204, "", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok", true),
        ("HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500, "", true),
        // Good for no other request.
        ("HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", 200, "ok", false),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            200,
            "ok",
            false,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 299 Stray", 200, "ok", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n ", 200, "", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", 200, "ok", true),
        ("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nmore", 101, "", false),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            200,
            "ok",
            false,
        ),
    ] {
        let (answer, again) = read_text(text).unwrap();
        assert_eq!((answer.status, &answer.body[..], again), (status, body.as_bytes(), reusable), "{text}");
        assert!(!answer.body_cut);
    }
}

#[test]
fn what_can_be_read_in_two_ways_or_is_no_http_is_a_protocol_failure() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(HEAD_BYTES_MAX));
    for (text, status) in [
        ("\x16\x03\x01 hello\r\n\r\n", None),
        ("HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", None),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok", None),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nok", Some(200)),
        (&endless, None),
    ] {
        let failure = read_text(text).unwrap_err();
        assert_eq!((failure.kind, failure.status), (FailureKind::Protocol, status), "{failure:?}");
    }
}

#[test]
fn an_end_before_the_answers_is_closed_with_what_was_known() {
    for (text, status) in [
        ("", None),
        ("HTTP/1.1 200 OK\r\nContent-", None),
        ("HTTP/1.1 100 Continue\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", Some(200)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", Some(200)),
    ] {
        let failure = read_text(text).unwrap_err();
        assert_eq!((failure.kind, failure.status), (FailureKind::Closed, status), "{text}: {failure:?}");
    }
}

#[test]
fn beyond_the_limits_nothing_is_kept_and_then_nothing_is_read() {
    for (length, kept, cut, reusable) in
        [(10, 10, false, true), (11, 10, true, true), (40, 10, true, true), (41, 10, true, false)]
    {
        let body = "a".repeat(length);
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        let (answer, again) = read_text(&text).unwrap();
        assert_eq!((answer.body.len(), answer.body_cut, again), (kept, cut, reusable), "{length}");
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_looked_at_once() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "a".repeat(60_000));
    let parts: Vec<&[u8]> = head.as_bytes().chunks(1).collect();
    assert_eq!(read(&parts).unwrap().0.status, 200);
}

#[test]
fn empty_lines_before_an_answer_are_not_kept() {
    let mut reading = Reading::new(LIMITS);
    for part in [&b"\r\n\r\n"[..], b"\r", b"\n\r\n"] {
        assert_eq!(reading.take(part), Ok(false));
        assert_eq!(reading.head, b"");
    }
    assert_eq!(reading.take(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Ok(true));
}

proptest! {
    #[test]
    fn an_answer_is_the_same_however_it_is_cut_up(
        text in prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\n\nto the end",
            "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n8\r\n, world!\r\n0\r\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nthis is more than what is read of any answer here",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!",
        ]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(&parts), read(&[bytes]));
    }
}
