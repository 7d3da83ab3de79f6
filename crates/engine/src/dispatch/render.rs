//! From a delivery to the request that is sent: headers and signatures over the stored bytes.
//!
//! Source of every header: the contract's table. Invariant: the bytes that are signed are the bytes that
//! are sent; the body was built once, when the event was accepted, or by the webhook's transformation. Read `attempt.rs` next.

use std::fmt::Display;

use bytes::BytesMut;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use vai_webhooks_wire::{UnixMs, sign};

use super::format::{JSON, Outgoing};
use super::transport::Request;
use crate::rng::Rng;
use crate::store::Sendable;
use crate::transform::Shaped;
use crate::webhook::check_header;
use crate::webhook::live::Live;

/// What the requests say they come from. Fixed by the seed.
const AGENT: &str = "VAI-Portal-Webhook/1.0";
/// How many headers of ours there are, with the transport's `Host`.
const HEADERS: usize = 12;
/// What their values take, without the event's id and type, in bytes: enough for two secrets.
const TEXTS_BYTES: usize = 320;

/// The request of attempt `number` at `now`: with the event's own body, or what was made of it.
pub(crate) fn request(
    live: &Live,
    event: &Sendable,
    outgoing: Option<&Outgoing>,
    number: u32,
    now: UnixMs,
    rng: &dyn Rng,
) -> Request {
    let (first, second) = live.secrets(now);
    let timestamp_secs = now.as_secs();
    let (id, body) = (event.id.as_str(), outgoing.map_or(&event.body, |outgoing| &outgoing.shaped.body));
    let mut texts = Texts::with_capacity(TEXTS_BYTES + id.len() + event.event_type.len());
    let mut headers = HeaderMap::with_capacity(HEADERS + live.headers.len());
    let content_type = outgoing.map_or(JSON, |outgoing| outgoing.content_type);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let mut set = |name: &'static str, value: HeaderValue| {
        headers.insert(HeaderName::from_static(name), value);
    };
    set("x-vai-event", texts.value(&event.event_type));
    set("x-vai-webhook-id", live.id_header.clone());
    set("x-vai-timestamp", texts.value(now.0));
    set("x-vai-signature", texts.value(sign::legacy(first, body)));
    set("x-vai-attempt", texts.value(number));
    set("webhook-id", texts.value(id));
    set("webhook-timestamp", texts.value(timestamp_secs));
    texts.push(sign::v1(first, id, timestamp_secs, body));
    if let Some(second) = second {
        texts.push(' ');
        texts.push(sign::v1(second, id, timestamp_secs, body));
    }
    if let Some(key) = &live.signing_key {
        texts.push(' ');
        texts.push(sign::v1a(key, id, timestamp_secs, body));
    }
    set("webhook-signature", texts.take());
    traceparent(rng, &mut texts);
    set("traceparent", texts.take());
    for (name, value) in &live.headers {
        headers.insert(name, value.clone());
    }
    let mut uri = live.uri.clone();
    if let Some(Outgoing { shaped, headers: of_format, .. }) = outgoing {
        for (name, value) in &shaped.headers {
            // They were checked when the script set them.
            if let Ok((name, value)) = check_header(name, value) {
                headers.insert(name, value);
            }
        }
        for (name, value) in of_format {
            headers.insert(name, value.clone());
        }
        uri = moved(uri, shaped);
    }
    Request { uri, headers, body: body.clone(), timeout: live.timeout }
}

/// The address with the path and query that a transformation set. Its host stays: nothing else is replaced.
fn moved(uri: Uri, shaped: &Shaped) -> Uri {
    if shaped.path.is_none() && shaped.query.is_none() {
        return uri;
    }
    let path = shaped.path.as_deref().unwrap_or(uri.path());
    let query = shaped.query.as_deref().or(uri.query()).filter(|query| !query.is_empty());
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    match target.parse() {
        Ok(target) => {
            parts.path_and_query = Some(target);
            Uri::from_parts(parts).unwrap_or(uri)
        }
        Err(_) => uri,
    }
}

/// The values of a request's headers, one behind the other in one allocation. All are ids, types, numbers and
/// encodings of a checked alphabet.
struct Texts(BytesMut);

impl Texts {
    fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    fn push(&mut self, text: impl Display) {
        use std::fmt::Write as _;
        // A buffer takes every text.
        let _always = write!(self.0, "{text}");
    }

    /// What was pushed since the last value.
    fn take(&mut self) -> HeaderValue {
        let text = self.0.split().freeze();
        HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    fn value(&mut self, text: impl Display) -> HeaderValue {
        self.push(text);
        self.take()
    }
}

/// A W3C trace context with a span of its own, sampled: `00-<trace>-<span>-01`.
fn traceparent(rng: &dyn Rng, texts: &mut Texts) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut random = [0_u8; 24];
    rng.fill(&mut random);
    // All zeros would be invalid in either part.
    random[0] |= 1;
    random[16] |= 1;
    texts.0.extend_from_slice(b"00-");
    for (at, byte) in random.iter().enumerate() {
        if at == 16 {
            texts.0.extend_from_slice(b"-");
        }
        texts.0.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    texts.0.extend_from_slice(b"-01");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{EventKey, WebhookNo};
    use crate::store::StoredWebhook;
    use crate::tenant::TenantId;
    use crate::webhook::{WebhookConfig, WebhookStatus};
    use bytes::Bytes;
    use vai_webhooks_wire::{Secret, Verifier};

    struct Fixed;

    impl Rng for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    const NOW: UnixMs = UnixMs(1_767_225_600_123);

    fn live(previous: Option<(&str, UnixMs)>) -> Live {
        let mut config = WebhookConfig::new("https://example.com/h", ["*"]);
        config.headers = vec![("X-Key".to_owned(), "k".to_owned())];
        let stored = StoredWebhook {
            no: WebhookNo(1),
            tenant: TenantId(1),
            id: "crm".parse().unwrap(),
            status: WebhookStatus::Active,
            config,
            secret: "new secret".to_owned(),
            previous_secret: previous.map(|(secret, until)| (secret.to_owned(), until)),
            signing_key: None,
            created_at: NOW,
            updated_at: NOW,
        };
        Live::compile(stored).ok().unwrap()
    }

    fn rendered(live: &Live) -> Request {
        rendered_as(live, None)
    }

    fn rendered_as(live: &Live, shaped: Option<Shaped>) -> Request {
        let event = Sendable {
            key: EventKey(1),
            id: "order-1".parse().unwrap(),
            event_type: "order.made".into(),
            body: Bytes::from_static(br#"{"id":"order-1"}"#),
        };
        let outgoing = shaped.map(|shaped| Outgoing { shaped, content_type: JSON, headers: Vec::new() });
        request(live, &event, outgoing.as_ref(), 3, NOW, &Fixed)
    }

    fn accepts(request: &Request, secret: &str) -> bool {
        let verifier = Verifier::new().secret(Secret::parse(secret).unwrap());
        let header = |name: &str| request.headers.get(name).map(HeaderValue::as_bytes);
        verifier.verify(header, &request.body, NOW).is_ok()
    }

    #[test]
    fn the_request_is_the_contracts() {
        let request = rendered(&live(None));
        let header = |name: &str| request.headers.get(name).unwrap().to_str().unwrap();
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("user-agent"), "VAI-Portal-Webhook/1.0");
        assert_eq!(header("x-vai-event"), "order.made");
        assert_eq!(header("x-vai-webhook-id"), "crm");
        assert_eq!(header("x-vai-timestamp"), "1767225600123");
        assert_eq!(header("x-vai-attempt"), "3");
        assert_eq!(header("webhook-id"), "order-1");
        assert_eq!(header("webhook-timestamp"), "1767225600");
        assert_eq!(header("x-key"), "k");
        let expected = "00-01000000000000000000000000000000-0100000000000000-01";
        assert_eq!(header("traceparent"), expected);
        assert!(accepts(&request, "new secret"));
        assert!(!accepts(&request, "another secret"));
    }

    #[test]
    fn what_a_transformation_made_is_what_is_signed_and_sent_and_its_host_stays() {
        let shaped = |path: Option<&str>, query: Option<&str>| Shaped {
            body: Bytes::from_static(b"[1]"),
            headers: vec![("X-Key".to_owned(), "of the script".to_owned())],
            path: path.map(str::to_owned),
            query: query.map(str::to_owned),
        };
        let live = live(None);
        let request = rendered_as(&live, Some(shaped(Some("//evil.example/x"), Some("a=1"))));
        assert_eq!(request.body, Bytes::from_static(b"[1]"));
        assert!(accepts(&request, "new secret"));
        assert_eq!(request.headers["x-key"], "of the script");
        assert_eq!(request.uri.host(), Some("example.com"));
        assert_eq!(request.uri.path_and_query().unwrap(), "//evil.example/x?a=1");
        let query_alone = rendered_as(&live, Some(shaped(None, Some("a=1"))));
        assert_eq!(query_alone.uri, "https://example.com/h?a=1");
    }

    #[test]
    fn while_a_secret_is_rotated_both_sign_and_the_legacy_signature_stays_with_the_old_one() {
        let legacy = |request: &Request| request.headers["x-vai-signature"].to_str().unwrap().to_owned();
        let of = |secret: &str| sign::legacy(&Secret::parse(secret).unwrap(), br#"{"id":"order-1"}"#);
        let during = rendered(&live(Some(("old secret", UnixMs(NOW.0 + 1)))));
        assert!(accepts(&during, "new secret") && accepts(&during, "old secret"));
        assert_eq!(legacy(&during), of("old secret"));
        let after = rendered(&live(Some(("old secret", NOW))));
        assert!(accepts(&after, "new secret") && !accepts(&after, "old secret"));
        assert_eq!(legacy(&after), of("new secret"));
    }
}
