//! Property: what a script returns is what is signed and sent, byte for byte.
//!
//! Said by a model of `JSON.stringify` that knows nothing of the sandbox: keys that are whole numbers come first, whole
//! numbers keep every digit, everything else stays as it is.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use vai_webhooks_wire::{Secret, UnixMs, Verifier, sign};

use crate::endpoint::Endpoint;
use crate::server::Server;

/// What an event may hold and a script may return.
#[derive(Debug, Clone)]
enum Tree {
    Null,
    Bool(bool),
    /// Of any size.
    Whole(i128),
    Quarters(i32),
    Text(String),
    List(Vec<Tree>),
    Members(Vec<(String, Tree)>),
}

impl Tree {
    /// As a producer writes it: every character that may be is an escape, if so wished.
    fn posted(&self, escaped: bool, out: &mut String) {
        match self {
            Self::Text(text) if escaped => escape_all(text, out),
            Self::List(all) => parts(out, '[', ']', all, |it, out| it.posted(escaped, out)),
            Self::Members(all) => parts(out, '{', '}', all, |(key, it), out| {
                if escaped {
                    escape_all(key, out)
                } else {
                    quote(key, out)
                }
                out.push(':');
                it.posted(escaped, out);
            }),
            _ => self.returned(out),
        }
    }

    /// As `JSON.stringify` writes it.
    fn returned(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(it) => out.push_str(&it.to_string()),
            Self::Whole(it) => out.push_str(&it.to_string()),
            Self::Quarters(it) => out.push_str(&(f64::from(*it) / 4.0).to_string()),
            Self::Text(text) => quote(text, out),
            Self::List(all) => parts(out, '[', ']', all, Self::returned),
            Self::Members(all) => {
                let index =
                    |key: &str| key.parse::<u32>().ok().filter(|it| it.to_string() == key && *it < u32::MAX);
                let mut sorted: Vec<&(String, Tree)> = all.iter().collect();
                sorted.sort_by_key(|(key, _)| index(key).map_or((1, 0), |it| (0, it)));
                parts(out, '{', '}', &sorted, |(key, it), out| {
                    quote(key, out);
                    out.push(':');
                    it.returned(out);
                });
            }
        }
    }
}

fn parts<T>(out: &mut String, open: char, close: char, all: &[T], each: impl Fn(&T, &mut String)) {
    out.push(open);
    for (at, it) in all.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        each(it, out);
    }
    out.push(close);
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn escape_all(text: &str, out: &mut String) {
    out.push('"');
    for unit in text.encode_utf16() {
        out.push_str(&format!("\\u{unit:04X}"));
    }
    out.push('"');
}

fn key() -> impl Strategy<Value = String> {
    const ODD: &[&str] = &[
        "__proto__",
        "constructor",
        "toJSON",
        "then",
        "length",
        "0",
        "10",
        "9",
        "01",
        "-1",
        "4294967294",
        "4294967295",
        "",
        "\u{e000}big:7",
        "valueOf",
        "\u{2028}",
    ];
    prop_oneof![prop::sample::select(ODD).prop_map(str::to_owned), "[a-zé😀\"\\\\]{1,4}"]
}

fn tree() -> impl Strategy<Value = Tree> {
    let whole = prop_oneof![
        any::<i8>().prop_map(i128::from),
        any::<i64>().prop_map(i128::from),
        any::<u64>().prop_map(i128::from),
        any::<i128>(),
        (-3_i128..4).prop_map(|it| it + (1 << 53))
    ];
    let text = prop_oneof![
        any::<String>(),
        "\u{e000}(0|1|big):-?[0-9]{0,20}",
        "[\\x00-\\x20\"\\\\/\u{7f}\u{2028}\u{feff}]{0,6}"
    ];
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        whole.prop_map(Tree::Whole),
        any::<i32>().prop_map(Tree::Quarters),
        text.prop_map(Tree::Text)
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let members = vec((key(), inner.clone()), 0..6).prop_map(|mut all| {
            let mut seen = std::collections::HashSet::new();
            all.retain(|(key, _)| seen.insert(key.clone()));
            all
        });
        prop_oneof![vec(inner, 0..6).prop_map(Tree::List), members.prop_map(Tree::Members)]
    })
}

#[test]
fn what_a_script_returns_is_what_is_signed_and_sent_byte_for_byte() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (server, endpoint, secret) = runtime.block_on(async {
        let (server, endpoint) = (Server::start().await, Endpoint::start().await);
        let webhook = json!({"url": endpoint.url, "events": ["*"], "verify": false, "dataTransform": "e => [e.data, 1]"});
        let made = server.call("POST", "/v1/webhooks", webhook.to_string()).await;
        assert_eq!(made.status, 201, "{}", made.text);
        (server, endpoint, Secret::parse(made.json["secret"].as_str().unwrap()).unwrap())
    });
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(tree(), any::<bool>()), |(tree, escaped)| {
        let mut event = r#"{"event":"a.b","data":"#.to_owned();
        tree.posted(escaped, &mut event);
        event.push('}');
        let mut expected = "[".to_owned();
        tree.returned(&mut expected);
        expected.push_str(",1]");
        let (headers, body) = runtime.block_on(async {
            let before = endpoint.count();
            let answer = server.call("POST", "/v1/events", event).await;
            assert_eq!(answer.status, 202, "{}", answer.text);
            endpoint.wait_for(before + 1).await.pop().unwrap()
        });
        prop_assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
        prop_assert_eq!(headers["x-vai-signature"].to_str().unwrap(), sign::legacy(&secret, &body));
        let now: i64 = headers["x-vai-timestamp"].to_str().unwrap().parse().unwrap();
        let header = |name: &str| headers.get(name).map(axum::http::HeaderValue::as_bytes);
        prop_assert!(Verifier::new().secret(secret.clone()).verify(header, &body, UnixMs(now)).is_ok());
        Ok(())
    });
    outcome.unwrap();
}
