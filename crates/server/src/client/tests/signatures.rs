//! `verify`, with the vectors' values and with what `wire` signs.

use std::process::ExitCode;

use clap::Parser;
use vai_webhooks_wire::{Secret, UnixMs, sign};

use crate::client::{Screen, VerifyArgs, verify};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const ID: &str = "webhook-id: msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
const TIMESTAMP: &str = "webhook-timestamp: 1649367553";
const BODY: &str = r#"{"email":"test@example.com","username":"test_user"}"#;
const SIGNATURE: &str = "webhook-signature: v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    verify: VerifyArgs,
}

fn run(args: &[&str]) -> (anyhow::Result<ExitCode>, String) {
    let line = Line::parse_from(std::iter::once("verify").chain(args.iter().copied()));
    let mut out = Vec::new();
    let code = verify::run(&line.verify, &mut Screen::new(&mut out, false));
    (code, String::from_utf8(out).unwrap())
}

fn good(args: &[&str]) -> String {
    let (code, out) = run(args);
    assert_eq!(code.unwrap(), ExitCode::SUCCESS, "{out}");
    out
}

fn bad(args: &[&str]) -> String {
    let (code, out) = run(args);
    assert_eq!(code.unwrap(), ExitCode::FAILURE, "{out}");
    out
}

const fn v1<'a>(secret: &'a str, body: &'a str) -> [&'a str; 10] {
    ["--secret", secret, "--body", body, "--header", ID, "--header", TIMESTAMP, "--header", SIGNATURE]
}

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

#[test]
fn a_good_v1_signature_verifies_with_its_id_and_age() {
    let out = good(&with(&v1(SECRET, BODY), &["--at", "1649367563"]));
    let expected =
        "verified by v1: msg_27UH4WbU6Z5A5EzD8u03UvzRbpk, signed at 2022-04-07 21:39:13 UTC, 10 s ago\n";
    assert_eq!(out, expected);
    let out = good(&with(&v1(SECRET, BODY), &["--at", "2022-04-07T21:39:13Z", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["verified"], &json["scheme"]), (&true.into(), &"v1".into()));
}

#[test]
fn an_old_one_is_told_from_a_false_one() {
    let old = bad(&v1(SECRET, BODY));
    assert!(old.contains("timestamp_too_old") && old.contains("the signature itself is good"), "{old}");
    assert!(good(&with(&v1(SECRET, BODY), &["--no-tolerance"])).starts_with("verified by v1"));
    let early = bad(&with(&v1(SECRET, BODY), &["--at", "1649360000"]));
    assert!(early.contains("timestamp_too_new") && early.contains("7553 s ahead"), "{early}");
}

#[test]
fn another_secret_or_body_does_not_verify() {
    for args in [v1("whsec_AAAAAAAA", BODY), v1(SECRET, "{}")] {
        let out = bad(&with(&args, &["--no-tolerance"]));
        assert_eq!(out.lines().count(), 1, "{out}");
        assert!(out.starts_with("not verified: ") && out.contains("(signature_mismatch)"), "{out}");
        let json: serde_json::Value =
            serde_json::from_str(&bad(&with(&args, &["--no-tolerance", "--json"]))).unwrap();
        assert_eq!((&json["verified"], &json["code"]), (&false.into(), &"signature_mismatch".into()));
    }
}

#[test]
fn a_line_break_too_many_is_found() {
    let body = format!("{BODY}\r\n");
    let out = bad(&with(&v1(SECRET, &body), &["--no-tolerance"]));
    assert!(out.contains("without the line break"), "{out}");
}

#[test]
fn a_body_is_read_from_a_file_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("body"), BODY).unwrap();
    let body = format!("@{}/body", dir.path().display());
    good(&with(&v1(SECRET, &body), &["--no-tolerance"]));
}

#[test]
fn a_legacy_signature_verifies_and_is_told_to_be_weaker() {
    let body = r#"{"event":"webhook.test","timestamp":"2026-01-01T00:00:00.000Z","data":{"test":true}}"#;
    let header = "X-VAI-Signature: 71661f360f29e3408a468b79ca2f99d35e44809f88434a807187162022ada787";
    let out = good(&["--secret", "your-webhook-secret", "--body", body, "--header", header]);
    assert!(out.starts_with("verified by legacy: the body alone"), "{out}");
    let short = bad(&["--secret", "your-webhook-secret", "--body", body, "--header", "x-vai-signature: 71"]);
    assert!(short.contains("malformed_legacy_signature"), "{short}");
}

#[test]
fn of_both_signatures_the_standard_one_decides_and_the_other_is_told() {
    let secret = Secret::parse(SECRET).unwrap();
    let legacy = format!("X-VAI-Signature: {}", sign::legacy(&secret, BODY.as_bytes()));
    let forged = "webhook-signature: v1,AAAA";
    let args =
        ["--secret", SECRET, "--body", BODY, "--header", ID, "--header", TIMESTAMP, "--header", forged];
    let out = bad(&with(&args, &["--header", &legacy]));
    assert!(out.contains("X-VAI-Signature matches; where webhook-signature is there, it decides"), "{out}");
}

#[test]
fn what_wire_signs_now_verifies_now() {
    let secret = Secret::from_random([7; 32]);
    let secs = UnixMs::now().as_secs();
    let timestamp = format!("webhook-timestamp: {secs}");
    let signature = format!("webhook-signature: {}", sign::v1(&secret, "evt_1", secs, b"{}"));
    let headers = ["--header", "webhook-id: evt_1", "--header", &timestamp, "--header", &signature];
    // A secret that is being rotated out may stand beside the new one.
    good(&with(&headers, &["--body", "{}", "--secret", SECRET, "--secret", secret.expose()]));
}

#[test]
fn an_ed25519_signature_verifies_with_the_public_key() {
    let header = "webhook-signature: v1a,\
        hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    let args = [
        ["--verifying-key", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="],
        ["--body", r#"{"test": 2432232314}"#],
        ["--header", "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek"],
        ["--header", "webhook-timestamp: 1614265330"],
        ["--header", header],
    ];
    assert!(good(&with(args.as_flattened(), &["--no-tolerance"])).starts_with("verified by v1a"));
}

#[test]
fn a_secret_that_is_none_is_told_without_it() {
    let (code, _) = run(&v1("whsec_hunter2!", BODY));
    assert!(!format!("{:#}", code.unwrap_err()).contains("hunter2"));
}
