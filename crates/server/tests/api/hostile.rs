//! Scripts that mean harm, as webhooks of a running server: other webhooks and other tenants notice nothing.

use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::server::Server;

/// What a script does, and what its deliveries say.
const HOSTILE: &[(&str, &str)] = &[
    ("() => { for (;;); }", "time limit of 50 ms"),
    ("function transform() { return transform() + 1 }", "call stack"),
    ("() => { const all = []; for (;;) all.push('x'.repeat(100000) + all.length) }", "16 MiB of memory"),
    ("() => 'x'.repeat(2000000)", "the most are"),
    ("() => new Array(1e9).fill(0)", "length is too large"),
    ("() => { Object.prototype.polluted = 1; return 1 }", "TypeError"),
    ("() => eval('1')", "eval is not available"),
    ("() => new Function('return process')()", "Function is not available"),
    ("() => /^(a+)+$/.test('a'.repeat(60) + 'b')", "time limit of 50 ms"),
    ("() => ({ get a() { throw new Error('in a getter') } })", "in a getter"),
    ("() => ({ toJSON() { throw new Error('in toJSON') } })", "in toJSON"),
    ("() => new Proxy({}, {})", "Proxy is not available"),
    ("() => new Promise(() => {})", "never settled"),
    ("async () => { for (;;) await 1 }", "time limit of 50 ms"),
    ("() => { let a = []; for (let n = 0; n < 200; n++) a = [a]; return a }", "no good JSON"),
    ("(e, c) => { c.setHeader('X-A', 'a\\r\\nX-Injected: b'); return 1 }", "header X-A"),
    ("() => { for (;;) console.log('x'.repeat(1e5)) }", "time limit of 50 ms"),
    ("() => { throw { get message() { throw 1 } } }", "threw"),
];

#[tokio::test]
async fn hostile_scripts_are_held_with_a_reason_while_other_webhooks_get_every_event() {
    let (server, endpoint, bad) = (Server::start().await, Endpoint::start().await, Endpoint::start().await);
    let register = async |id: &str, url: &str, transform: Value| {
        let body =
            json!({"id": id, "url": url, "events": ["*"], "verify": false, "dataTransform": transform});
        let made = server.call("POST", "/v1/webhooks", body.to_string()).await;
        assert_eq!(made.status, 201, "{id}: {}", made.text);
    };
    for (at, (code, _)) in HOSTILE.iter().enumerate() {
        register(&format!("bad-{at}"), &bad.url, json!(code)).await;
    }
    register("plain", &endpoint.url, Value::Null).await;
    register("scripted", &endpoint.url, json!("e => [e.id]")).await;
    for n in 0..5 {
        let event = json!({"event": "a.b", "id": format!("e-{n}"), "data": 1});
        assert_eq!(server.call("POST", "/v1/events", event.to_string()).await.status, 202);
    }
    let got = endpoint.wait_for(10).await;
    for n in 0..5 {
        let own = format!("[\"e-{n}\"]");
        assert_eq!(got.iter().filter(|(_, body)| body == own.as_bytes()).count(), 1, "{own}");
    }
    for n in 0..5 {
        let is_settled = |all: &Value| {
            let all = all["data"].as_array().unwrap();
            all.len() == HOSTILE.len() + 2
                && all.iter().all(|it| it["held"] == true || it["state"] == "delivered")
        };
        let all = server.until(&format!("/v1/events/e-{n}/deliveries?limit=100"), is_settled).await;
        for it in all["data"].as_array().unwrap() {
            let Some(at) = it["webhookId"].as_str().unwrap().strip_prefix("bad-") else { continue };
            let (code, reason) = HOSTILE[at.parse::<usize>().unwrap()];
            assert!(it["held"] == true && it["reason"].as_str().unwrap().contains(reason), "{code}: {it}");
        }
    }
    assert_eq!(bad.count(), 0);
}

/// Tries to keep something for the next event and for whoever runs next, in every way that comes to mind; returns what
/// it found.
const LEAKY: &str = r#"
let count = 0;
const seen = [], matcher = /o/g, cache = new Map(), weak = new WeakMap();
class Kept { static all = [] }
function* ids() { let n = 0; for (;;) yield n++ }
const id = ids();
function transform(event, context) {
  const secret = event.data.secret;
  for (const change of [
    () => { Object.prototype.leak = secret }, () => { Array.prototype.leak = secret }, () => { globalThis.leak = secret },
    () => { Function.prototype.call = () => secret }, () => { JSON.leak = secret }, () => { Math.random = () => secret },
    () => { context.leak = secret }, () => { event.leak = secret }, () => { event.constructor.leak = secret },
    () => { console.leak = secret }, () => { Symbol.leak = secret }, () => { RegExp.prototype.leak = secret },
    () => { Object.getPrototypeOf(id).leak = secret }, () => { Object.getPrototypeOf(async () => 1).leak = secret },
    () => { Error.prepareStackTrace = () => secret }, () => { Error.stackTraceLimit = 1 }, () => { Promise.prototype.then = null },
    () => { [].values().__proto__.next = () => ({ value: secret }) }, () => { String.prototype.split = () => [secret] },
    () => { Object.defineProperty(Date, "now", { value: () => secret }) }, () => { context.setHeader.leak = secret },
    () => { (0, function () { this.leak = secret })() }, () => { new Function("leak = 1") }, () => { RegExp.leak = secret },
  ]) { try { change() } catch { } }
  /(.*)/.exec(secret);
  seen.push(secret); Kept.all.push(secret); cache.set("secret", secret); weak.set(transform, secret); transform.kept ??= [];
  transform.kept.push(secret);
  const found = [count++, seen, Kept.all, [...cache.values()], id.next().value, matcher.test("foo") && matcher.lastIndex, transform.kept];
  const names = [Object, Array, Function, JSON, Math, console, Symbol, RegExp, Date, Promise, context, event, globalThis]
    .flatMap((it) => [...Object.keys(it), ...Object.keys(it.prototype ?? {})]).filter((name) => name === "leak");
  return { found, names, leak: typeof leak, legacy: RegExp.$1 ?? null, random: typeof Math.random(), now: typeof Date.now(), parts: "a b".split(" ") };
}"#;

#[tokio::test]
async fn nothing_is_left_from_one_event_to_the_next_nor_from_one_tenant_to_another() {
    let server = Server::start().await;
    let mut tenants = Vec::new();
    for name in ["ours", "theirs"] {
        let (key, endpoint) = (server.tenant_key(name).await, Endpoint::start().await);
        let body = json!({"id": "same-id", "url": endpoint.url, "events": ["*"], "verify": false, "dataTransform": LEAKY});
        let made = server.with_key(&key, "POST", "/v1/webhooks", body.to_string()).await;
        assert_eq!(made.status, 201, "{}", made.text);
        tenants.push((name, key, endpoint));
    }
    const EVENTS: usize = 40;
    for n in 0..EVENTS {
        for (name, key, _) in &tenants {
            let event = json!({"event": "a.b", "data": {"secret": format!("{name}-{n}")}});
            assert_eq!(server.with_key(key, "POST", "/v1/events", event.to_string()).await.status, 202);
        }
    }
    for (name, _, endpoint) in &tenants {
        let mut secrets = Vec::new();
        for (_, body) in endpoint.wait_for(EVENTS).await {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let secret = body["found"][1][0].clone();
            let expected = json!({"found": [0, [secret], [secret], [secret], 0, 2, [secret]], "names": [], "leak": "undefined",
                "legacy": null, "random": "number", "now": "number", "parts": ["a", "b"]});
            assert_eq!(body, expected);
            secrets.push(secret.as_str().unwrap().to_owned());
        }
        secrets.sort();
        let mut own: Vec<String> = (0..EVENTS).map(|n| format!("{name}-{n}")).collect();
        own.sort();
        assert_eq!(secrets, own);
    }
}
