//! What is plain, and that hyper's side of it is not touched.

use proptest::prelude::*;

use super::*;

const GOOD: &str =
    "POST /v1/events?a=b HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nx-a: 1\r\nx-a: 2\r\n\r\nbody";

/// What is read, and what is left.
fn read(bytes: &[u8]) -> (Result<Request<Bytes>, NotWhole>, BytesMut, HeaderMap) {
    let (mut buffer, mut headers) = (BytesMut::from(bytes), HeaderMap::new());
    let taken = take(&mut buffer, &mut headers);
    (taken, buffer, headers)
}

#[test]
fn a_plain_request_is_taken_and_what_follows_stays() {
    let (taken, left, _) = read(format!("{GOOD}POST").as_bytes());
    let request = taken.unwrap();
    assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/v1/events"));
    assert_eq!(request.uri().query(), Some("a=b"));
    assert_eq!(request.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(request.headers().len(), 4);
    assert_eq!(&request.body()[..], b"body");
    assert_eq!(&left[..], b"POST");
}

#[test]
fn a_part_of_a_body_says_how_much_there_will_be() {
    let head = GOOD.len() - 4;
    for end in head..GOOD.len() {
        let (taken, left, headers) = read(&GOOD.as_bytes()[..end]);
        assert_eq!(taken.unwrap_err(), NotWhole::Part(GOOD.len()));
        assert_eq!((&left[..], headers.len()), (&GOOD.as_bytes()[..end], 0));
    }
}

#[test]
fn everything_else_is_left_as_it_was() {
    let line = |line: &str| GOOD.replace("x-a: 1\r\n", line);
    let other = [
        String::new(),
        "\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        GOOD[..20].to_owned(),
        GOOD[..GOOD.len() - 6].to_owned(),
        GOOD.replace("POST", "PUT"),
        GOOD.replace("POST", "post"),
        GOOD.replace("1.1", "1.0"),
        GOOD.replace("/v1", "http://a/v1"),
        GOOD.replace("/v1/events?a=b", "*"),
        GOOD.replace("/v1", "/v\u{7f}1"),
        GOOD.replace("content-length: 4\r\n", ""),
        GOOD.replace("content-length: 4", "content-length: +4"),
        GOOD.replace("content-length: 4", "content-length: 4, 4"),
        GOOD.replace("content-length: 4", "content-length:"),
        GOOD.replace("content-length: 4", "content-length: 65536"),
        GOOD.replace("content-length: 4", "content-length: 18446744073709551620"),
        line("content-length: 4\r\n"),
        line("Content-Length: 5\r\n"),
        line("transfer-encoding: chunked\r\n"),
        line("Connection: keep-alive\r\n"),
        line("expect: 100-continue\r\n"),
        line("upgrade: h2c\r\n"),
        line("te: trailers\r\n"),
        line("trailer: x-b\r\n"),
        line("x-a : 1\r\n"),
        line("x-a: 1\r\n  folded\r\n"),
        line("x-a: \u{1}\r\n"),
        line(&"x-b: 1\r\n".repeat(HEADERS_MAX)),
    ];
    for bytes in other {
        let (taken, left, headers) = read(bytes.as_bytes());
        assert!(matches!(taken, Err(NotWhole::Other)), "{bytes:?}: {taken:?}");
        assert_eq!((&left[..], headers.len()), (bytes.as_bytes(), 0));
    }
}

proptest! {
    /// Whatever comes, nothing of it is lost: it is taken as a request, or is all there still.
    #[test]
    fn nothing_is_lost(
        at in 0..GOOD.len(), cut in 0..GOOD.len(), byte: u8, body in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] = byte;
        bytes.truncate(cut);
        bytes.extend_from_slice(&body);
        let (taken, left, headers) = read(&bytes);
        match taken {
            Ok(request) => {
                let end = bytes.len() - left.len();
                prop_assert_eq!(&left[..], &bytes[end..]);
                prop_assert_eq!(&request.body()[..], &bytes[end - request.body().len()..end]);
            }
            Err(NotWhole::Part(whole)) => prop_assert!(whole > bytes.len() && left[..] == bytes[..]),
            Err(NotWhole::Other) => prop_assert_eq!(&left[..], &bytes[..]),
        }
        prop_assert!(headers.is_empty());
    }
}
