//! What every receiver on the page must do.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use vai_webhooks_engine::{Engine, EngineOptions, NewEvent, NewWebhook, TenantName};

use crate::patience::patiently;
use crate::post::{Post, body, now_secs};
use crate::program::{Program, Running};

const SECRET: &str = "whsec_dGhpcnR5LXR3byBieXRlcyBvZiBhIHRlc3Qgc2VjcmV0";
const SECRETS: &str =
    "whsec_QW5vdGhlciB0aGlydHktdHdvIGJ5dGVzIG9mIGEgdGVz, whsec_dGhpcnR5LXR3byBieXRlcyBvZiBhIHRlc3Qgc2VjcmV0";
/// How long anything may take.
pub const WAIT_MAX: Duration = Duration::from_secs(300);

/// All of them, in turn.
pub async fn keeps(program: Program) {
    let mut running = program.start(SECRETS).await;
    takes_what_an_engine_sends(&mut running).await;
    refuses_what_is_not_right(&mut running).await;
    takes_an_event_once_at_the_same_moment(&mut running).await;
    // Once the second is handled, the first was written down as handled.
    for id in ["evt_before", "evt_last"] {
        assert_eq!(good(id).send(running.port).await, 200);
        running.until(id).await;
    }
    running.kill().await;
    half_a_line(program.path());
    for round in 0..2 {
        let mut running = program.start(SECRETS).await;
        for id in ["evt_before", "evt_last", "evt_same"] {
            assert_eq!(good(id).send(running.port).await, 200);
        }
        let marker = format!("evt_after_{round}");
        assert_eq!(good(&marker).send(running.port).await, 200);
        let lines = running.until(&marker).await;
        let allowed = [
            format!("{marker} message.sent"),
            "evt_last message.sent".to_owned(),
            "evt_after_0 message.sent".to_owned(),
        ];
        assert!(lines.iter().all(|line| allowed.contains(line)), "handled again after a crash: {lines:?}");
        running.kill().await;
    }
}

fn good(id: &str) -> Post {
    Post::signed(SECRET, id, now_secs(), body(id))
}

async fn takes_what_an_engine_sends(running: &mut Running) {
    let directory = tempfile::tempdir().unwrap();
    let mut options = EngineOptions::new(directory.path());
    options.egress_allow = vec!["127.0.0.0/8".parse().unwrap()];
    let engine = Engine::open(options).await.unwrap();
    let name = "default".parse::<TenantName>().unwrap();
    let tenant = patiently(|| engine.tenant(&name)).await.unwrap();
    let url = format!("http://127.0.0.1:{}/webhooks/vai", running.port);
    let webhook = NewWebhook { secret: Some(SECRET.to_owned()), ..NewWebhook::new(url, ["*"]) };
    // It is registered only if the receiver takes a signed webhook.test.
    let registered = patiently(|| engine.register(tenant, webhook.clone(), None)).await.unwrap();
    let test = running.line().await;
    assert!(test.ends_with(" webhook.test"), "{test}");
    let mut sent = HashSet::new();
    for (event_type, data) in [
        ("conversation.started", r#"{"sessionId":"s-1","agentId":"a-1"}"#),
        ("message.received", r#"{"sessionId":"s-1","message":{"text":"Bună, 😀 \u0000"}}"#),
        ("message.sent", r#"{"sessionId":"s-1","response":{"text":"Hi"},"confidence":0.90}"#),
        ("order.made", "null"),
    ] {
        let trigger = || engine.trigger(tenant, NewEvent::new(event_type, data));
        let accepted = patiently(trigger).await.unwrap();
        sent.insert(format!("{} {event_type}", accepted.id));
    }
    let mut seen = HashSet::new();
    while seen.len() < sent.len() {
        assert!(seen.insert(running.line().await), "handled twice");
    }
    assert_eq!(seen, sent);
    // The engine sends one again, as after an answer that was lost. A program prints before it answers: an event whose
    // first answer is not recorded yet is still on its way, and is not sent twice.
    let id = sent.iter().next().unwrap().split(' ').next().unwrap().parse().unwrap();
    let taken = async |times: usize| {
        let begun = Instant::now();
        loop {
            let attempts = engine.attempts(tenant, &registered.webhook.id, None, 100).await.unwrap().data;
            assert!(attempts.iter().all(|attempt| attempt.exchanged.status == Some(200)), "{attempts:?}");
            if attempts.iter().filter(|attempt| attempt.event_id == id).count() == times {
                return;
            }
            assert!(begun.elapsed() < WAIT_MAX, "the event was not taken {times} times: {attempts:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    taken(1).await;
    patiently(|| engine.resend(tenant, &id, None, None)).await.unwrap();
    taken(2).await;
    // Had it been handled again, its line would stand before the next one's.
    let next = patiently(|| engine.trigger(tenant, NewEvent::new("a.b", "{}"))).await.unwrap();
    assert_eq!(running.line().await, format!("{} a.b", next.id));
    engine.shutdown(WAIT_MAX).await;
}

async fn refuses_what_is_not_right(running: &mut Running) {
    let now = now_secs();
    let unsigned = Post { signature: String::new(), ..good("evt_bad") };
    let other_body = Post {
        body: body("evt_bad").iter().map(|byte| if *byte == b'1' { b'2' } else { *byte }).collect(),
        ..good("evt_bad")
    };
    let other_id = Post { id: "evt_other".to_owned(), ..good("evt_bad") };
    let other_secret =
        Post::signed("whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA==", "evt_bad", now, body("evt_bad"));
    let later = Post { timestamp_secs: now + 10, ..good("evt_bad") };
    let mixed =
        Post { signature: format!("v1a,AAAA v1,AAAA {}", good("evt_mixed").signature), ..good("evt_mixed") };
    let of = |bytes: &[u8]| Post::signed(SECRET, "evt_bad", now, bytes.to_vec());
    let large = [body("evt_bad"), vec![b' '; 2_000_000]].concat();
    let invalid_utf8 = [&body("evt_bad")[..60], &[0xff], &body("evt_bad")[60..]].concat();
    for (name, post, status) in [
        ("unsigned", unsigned, 401),
        ("another body", other_body, 401),
        ("another id", other_id, 401),
        ("another secret", other_secret, 401),
        ("another time", later, 401),
        ("too old", Post::signed(SECRET, "evt_bad", now - 400, body("evt_bad")), 401),
        ("from the future", Post::signed(SECRET, "evt_bad", now + 400, body("evt_bad")), 401),
        ("not JSON", of(b"{"), 400),
        ("no event", of(b"{}"), 400),
        ("no object", of(b"null"), 400),
        ("a list", of(b"[1]"), 400),
        ("the event of another id", Post::signed(SECRET, "evt_bad", now, body("evt_other")), 400),
        ("too large", of(&large), 413),
        ("another path", Post { path: "/another", ..good("evt_bad") }, 404),
        ("one good signature among others", mixed, 200),
    ] {
        assert_eq!(post.send(running.port).await, status, "{name}");
    }
    // The official packages read text, and find no signature of this one.
    assert!(matches!(of(&invalid_utf8).send(running.port).await, 400 | 401));
    // Nothing of it was handled but the last.
    assert_eq!(running.line().await, "evt_mixed message.sent");
}

async fn takes_an_event_once_at_the_same_moment(running: &mut Running) {
    let post = good("evt_same");
    let sent: Vec<_> = (0..8)
        .map(|_| {
            let (post, port) = (post.clone(), running.port);
            tokio::spawn(async move { post.send(port).await })
        })
        .collect();
    for answer in sent {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(good("evt_marker").send(running.port).await, 200);
    assert_eq!(running.until("evt_marker").await, ["evt_same message.sent", "evt_marker message.sent"]);
}

/// What a crash in the middle of a write leaves in an inbox that is a file.
fn half_a_line(directory: &Path) {
    use std::io::Write as _;
    let inbox = directory.join("inbox.ndjson");
    if inbox.exists() {
        let mut file = std::fs::OpenOptions::new().append(true).open(inbox).unwrap();
        file.write_all(br#"{"event":{"id":"evt_half","ev"#).unwrap();
    }
}
