//! `verify`: checks a signature by hand, without a server.
//!
//! It does what a receiver does, with the same code, and then says more than a receiver may: how old the
//! request is, and whether only a line break at the end of the body stands between it and a match. Read
//! `tests.rs` next.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use vai_webhooks_wire::{Scheme, Secret, UnixMs, Verified, Verifier, VerifyError, VerifyingKey};

use super::hidden::Hidden;
use super::input;
use super::screen::{Screen, Tone, toned};
use super::when::{parse_instant, shown};

#[expect(missing_docs, reason = "clap shows a doc comment here instead of the command's own")]
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  vai-webhooks verify --body @body.json --no-tolerance \\
      --header 'webhook-id: evt_1' --header 'webhook-timestamp: 1767225600' \\
      --header 'webhook-signature: v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw='
  vai-webhooks verify --body - --header 'X-VAI-Signature: 71661f36…' < body.json

The body must be the bytes that came, to the last one: use @FILE or - where there is doubt.
Exits 1 where nothing verifies.")]
pub struct VerifyArgs {
    /// The webhook's secret; better in the environment; may be given several times
    #[arg(long = "secret", value_name = "SECRET", env = "VAI_WEBHOOK_SECRET", hide_env_values = true)]
    pub secrets: Vec<Hidden>,
    /// The webhook's Ed25519 key (whpk_…), for v1a signatures; may be given several times
    #[arg(long = "verifying-key", value_name = "KEY")]
    pub verifying_keys: Vec<String>,
    /// The body that came: text, @FILE, or - for standard input
    #[arg(long)]
    pub body: String,
    /// A header that came, as 'Name: value'; may be given several times
    #[arg(long = "header", value_name = "HEADER", required = true)]
    pub headers: Vec<Hidden>,
    /// Check as if it were this time: 2026-01-31T12:00:00Z, or Unix time in seconds
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub at: Option<UnixMs>,
    /// Take a request of any age
    #[arg(long, conflicts_with = "at")]
    pub no_tolerance: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Exits 0 where the signature is good, and 1 where it is not.
pub(super) fn run(args: &VerifyArgs, out: &mut Screen<'_>) -> anyhow::Result<ExitCode> {
    let body = input::bytes(&args.body).context("--body")?;
    let headers = input::headers(&args.headers)?;
    let verifier = verifier(args)?;
    let now = args.at.unwrap_or_else(UnixMs::now);
    let result = check(&verifier, &headers, &body, now);
    if args.json {
        out.json(&as_json(&result))?;
    } else {
        match &result {
            Ok(verified) => out.line(&[toned(Tone::Good, "verified"), praise(verified, now).into()])?,
            Err(error) => {
                out.line(&[
                    toned(Tone::Bad, "not verified"),
                    format!(": {error} ({})", error.code()).into(),
                ])?;
                for note in notes(*error, &verifier, &headers, &body, now) {
                    out.line(&["  ".into(), note.into()])?;
                }
            }
        }
    }
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verifier(args: &VerifyArgs) -> anyhow::Result<Verifier> {
    // An empty VAI_WEBHOOK_SECRET is as good as none.
    let secrets: Vec<&Hidden> = args.secrets.iter().filter(|Hidden(text)| !text.is_empty()).collect();
    if secrets.is_empty() && args.verifying_keys.is_empty() {
        bail!("give the webhook's secret with --secret or VAI_WEBHOOK_SECRET");
    }
    let mut verifier = Verifier::new();
    for Hidden(text) in secrets {
        verifier = verifier.secret(Secret::parse(text)?);
    }
    for text in &args.verifying_keys {
        verifier = verifier.verifying_key(text.parse::<VerifyingKey>()?);
    }
    Ok(if args.no_tolerance { verifier.tolerance(Duration::MAX) } else { verifier })
}

type Headers = [(String, String)];

fn check(verifier: &Verifier, headers: &Headers, body: &[u8], now: UnixMs) -> Result<Verified, VerifyError> {
    verifier.verify(|name| value(headers, name).map(str::as_bytes), body, now)
}

fn value<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn as_json(result: &Result<Verified, VerifyError>) -> String {
    let value = match result {
        Ok(Verified { scheme, id, timestamp_secs }) => {
            json!({"verified": true, "scheme": scheme.name(), "id": id, "timestampSecs": timestamp_secs})
        }
        Err(error) => json!({"verified": false, "code": error.code(), "detail": error.to_string()}),
    };
    value.to_string()
}

/// ` by v1: evt_1, signed at 2026-01-01 00:00:00 UTC, 12 s ago`.
fn praise(verified: &Verified, now: UnixMs) -> String {
    let Verified { scheme, id, timestamp_secs } = verified;
    match (scheme, id, timestamp_secs) {
        (Scheme::Legacy, ..) | (_, None, _) | (_, _, None) => {
            format!(" by {}: the body alone; nothing signed says when it was sent", scheme.name())
        }
        (Scheme::V1 | Scheme::V1a, Some(id), Some(secs)) => {
            let at = shown(UnixMs(secs.saturating_mul(1_000)));
            format!(" by {}: {id}, signed at {at} UTC, {}", scheme.name(), age(*secs, now))
        }
    }
}

fn age(secs: i64, now: UnixMs) -> String {
    match now.as_secs().saturating_sub(secs) {
        ago @ 0.. => format!("{ago} s ago"),
        ahead => format!("{} s ahead", ahead.unsigned_abs()),
    }
}

/// What helps whoever wonders why.
fn notes(
    error: VerifyError,
    verifier: &Verifier,
    headers: &Headers,
    body: &[u8],
    now: UnixMs,
) -> Vec<String> {
    match error {
        VerifyError::TooOld | VerifyError::TooNew => {
            let secs = value(headers, "webhook-timestamp").and_then(|text| text.parse().ok());
            let at = secs.map(|secs| format!("it was signed {}; ", age(secs, now))).unwrap_or_default();
            vec![format!("{at}the signature itself is good: --no-tolerance takes it, --at checks as of then")]
        }
        VerifyError::Mismatch => {
            let mut notes = Vec::new();
            let shorter = body.strip_suffix(b"\n").map(|body| body.strip_suffix(b"\r").unwrap_or(body));
            if shorter.is_some_and(|body| check(verifier, headers, body, now).is_ok()) {
                notes.push("it does verify without the line break at the end of the body".to_owned());
            }
            let legacy =
                value(headers, "x-vai-signature").filter(|_| value(headers, "webhook-signature").is_some());
            if let Some(legacy) = legacy {
                let alone = [("x-vai-signature".to_owned(), legacy.to_owned())];
                let good = check(verifier, &alone, body, now).is_ok();
                let word = if good { "matches" } else { "does not match either" };
                notes.push(format!("X-VAI-Signature {word}; where webhook-signature is there, it decides"));
            }
            notes
        }
        _ => Vec::new(),
    }
}
