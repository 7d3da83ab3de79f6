//! From a delivery to the request that is sent: headers and signatures over the stored bytes.
//!
//! Source of every header: the contract's table. Invariant: the bytes that are signed are the bytes that
//! are sent; the body was built once, when the event was accepted, or by the webhook's transformation. Read `attempt.rs` next.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Uri};
use vai_webhooks_wire::sign;

use super::format::{JSON, Outgoing};
use super::headers::Headers;
use super::signing::Signatures;
use super::transport::Request;
use crate::rng::Rng;
use crate::store::Sendable;
use crate::transform::Shaped;
use crate::webhook::check_header;
use crate::webhook::live::Live;

/// What the requests say they come from. Fixed by the seed.
const AGENT: &str = "VAI-Portal-Webhook/1.0";
/// What the headers of one attempt take without the event's id and type, in bytes: enough for two secrets.
const OF_ATTEMPT_BYTES: usize = 600;

/// The request of attempt `number`: with the event's own body, or what was made of it, and its signatures.
pub(crate) fn request(
    live: &Live,
    event: &Sendable,
    outgoing: Option<&Outgoing>,
    number: u32,
    signatures: &Signatures,
    rng: &dyn Rng,
) -> Request {
    let (now, timestamp_secs) = (signatures.at, signatures.at.as_secs());
    let (id, body) = (event.id.as_str(), body(event, outgoing));
    let length = live.constant.lines().len() + OF_ATTEMPT_BYTES + 2 * id.len() + event.event_type.len();
    let mut headers = Headers::with_capacity(length);
    match outgoing {
        None => headers.append(&live.constant),
        Some(outgoing) => headers.append(&shaped(live, outgoing)),
    }
    let mut digits = itoa::Buffer::new();
    headers.push("x-vai-event", &event.event_type);
    headers.push("x-vai-timestamp", digits.format(now.0));
    headers.push_with("x-vai-signature", |text| sign::push_legacy(text, &signatures.legacy));
    headers.push("x-vai-attempt", digits.format(number));
    headers.push("webhook-id", id);
    headers.push("webhook-timestamp", digits.format(timestamp_secs));
    headers.push_with("webhook-signature", |text| {
        sign::push_v1(text, &signatures.v1);
        if let Some(second) = &signatures.second {
            text.push(' ');
            sign::push_v1(text, second);
        }
        if let Some(key) = &live.signing_key {
            text.push(' ');
            text.push_str(&sign::v1a(key, id, timestamp_secs, body));
        }
    });
    headers.push_with("traceparent", |text| push_trace(text, rng));
    let uri = match outgoing {
        None => live.uri.clone(),
        Some(outgoing) => moved(live.uri.clone(), &outgoing.shaped),
    };
    Request { uri, headers, body: body.clone(), timeout: live.timeout }
}

/// The bytes that are signed and sent: the event's own, or what was made of it.
pub(super) fn body<'b>(event: &'b Sendable, outgoing: Option<&'b Outgoing>) -> &'b Bytes {
    outgoing.map_or(&event.body, |outgoing| &outgoing.shaped.body)
}

/// The headers that are the same in each of a webhook's attempts: ours, and its owner's.
pub(crate) fn constant(id: &str, owners: &HeaderMap) -> Headers {
    let mut headers = Headers::default();
    headers.push(CONTENT_TYPE.as_str(), JSON);
    headers.push(USER_AGENT.as_str(), AGENT);
    headers.push("x-vai-webhook-id", id);
    headers.append(&Headers::from(owners));
    headers
}

/// The same where a script or a format has a say: theirs stand before the owner's.
fn shaped(live: &Live, outgoing: &Outgoing) -> Headers {
    let mut map = HeaderMap::new();
    map.insert(CONTENT_TYPE, HeaderValue::from_static(outgoing.content_type));
    for (name, value) in &live.headers {
        map.insert(name, value.clone());
    }
    for (name, value) in &outgoing.shaped.headers {
        // They were checked when the script set them.
        if let Ok((name, value)) = check_header(name, value) {
            map.insert(name, value);
        }
    }
    for (name, value) in &outgoing.headers {
        map.insert(name, value.clone());
    }
    let mut headers = Headers::from(&map);
    headers.push(USER_AGENT.as_str(), AGENT);
    headers.push("x-vai-webhook-id", live.stored.id.as_str());
    headers
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

/// A W3C trace context with a span of its own, sampled: `00-<trace>-<span>-01`.
fn push_trace(text: &mut String, rng: &dyn Rng) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut random = [0_u8; 24];
    rng.fill(&mut random);
    // All zeros would be invalid in either part.
    random[0] |= 1;
    random[16] |= 1;
    let digits = random.map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    let (trace, span) = digits.as_flattened().split_at(32);
    text.push_str("00-");
    for (part, end) in [(trace, "-"), (span, "-01")] {
        // Digits are text.
        text.push_str(std::str::from_utf8(part).unwrap_or_default());
        text.push_str(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::signing;
    use crate::key::{EventKey, WebhookNo};
    use crate::store::StoredWebhook;
    use crate::tenant::TenantId;
    use crate::webhook::{WebhookConfig, WebhookStatus};
    use vai_webhooks_wire::{Secret, UnixMs, Verifier};

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
        let signatures = signing::sign(live, &event, outgoing.as_ref(), NOW);
        request(live, &event, outgoing.as_ref(), 3, &signatures, &Fixed)
    }

    fn accepts(request: &Request, secret: &str) -> bool {
        let verifier = Verifier::new().secret(Secret::parse(secret).unwrap());
        let header = |name: &str| request.headers.get(name).map(str::as_bytes);
        verifier.verify(header, &request.body, NOW).is_ok()
    }

    #[test]
    fn the_request_is_the_contracts() {
        let request = rendered(&live(None));
        let header = |name: &str| request.headers.get(name).unwrap();
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
        assert_eq!(request.headers.get("x-key"), Some("of the script"));
        assert_eq!(request.headers.iter().filter(|(name, _)| *name == "x-key").count(), 1);
        assert_eq!(request.uri.host(), Some("example.com"));
        assert_eq!(request.uri.path_and_query().unwrap(), "//evil.example/x?a=1");
        let query_alone = rendered_as(&live, Some(shaped(None, Some("a=1"))));
        assert_eq!(query_alone.uri, "https://example.com/h?a=1");
    }

    #[test]
    fn while_a_secret_is_rotated_both_sign_and_the_legacy_signature_stays_with_the_old_one() {
        let legacy = |request: &Request| request.headers.get("x-vai-signature").unwrap().to_owned();
        let of = |secret: &str| sign::legacy(&Secret::parse(secret).unwrap(), br#"{"id":"order-1"}"#);
        let during = rendered(&live(Some(("old secret", UnixMs(NOW.0 + 1)))));
        assert!(accepts(&during, "new secret") && accepts(&during, "old secret"));
        assert_eq!(legacy(&during), of("old secret"));
        let after = rendered(&live(Some(("old secret", NOW))));
        assert!(accepts(&after, "new secret") && !accepts(&after, "old secret"));
        assert_eq!(legacy(&after), of("new secret"));
    }
}
