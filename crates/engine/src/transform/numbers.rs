//! Whole numbers that a JavaScript number cannot hold, on their way in and out.
//!
//! It exists so that an id of 19 digits is not silently rounded. On the way in they are written as text
//! behind a mark that occurs nowhere else in the event; `prelude.js` makes BigInts of them. On the way
//! out BigInts come as text behind [`BIG`] and are written as the numbers they are.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What marks begin with.
const SIGN: char = '\u{e000}';
/// What a BigInt is written behind on the way out, as `prelude.js` has it; texts that begin with the sign get one more.
const BIG: &str = "\u{e000}big:";
/// The largest whole number that a JavaScript number holds with all its neighbours.
const SAFE_MAX: u64 = (1 << 53) - 1;
/// Numbers of fewer digits are safe without looking.
const DIGITS_SAFE: usize = 15;

/// The event with its large whole numbers marked, and the mark; `None` where it has none.
pub(super) fn marked(json: &str) -> Option<(String, String)> {
    let mut out = String::new();
    let mut mark = String::new();
    let mut copied = 0;
    for (start, end) in large(json) {
        if mark.is_empty() {
            let read = unescaped(json);
            mark = (0_u32..).map(|n| format!("{SIGN}{n}:")).find(|mark| !read.contains(mark.as_str()))?;
        }
        out.push_str(&json[copied..start]);
        // A text takes everything.
        let _always = write!(out, "\"{mark}{}\"", &json[start..end]);
        copied = end;
    }
    if mark.is_empty() {
        return None;
    }
    out.push_str(&json[copied..]);
    Some((out, mark))
}

/// Where the large whole numbers of a JSON text stand.
fn large(json: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = json.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            match bytes[at] {
                b'"' => at = after_string(bytes, at),
                b'-' | b'0'..=b'9' => {
                    let start = at;
                    while at < bytes.len()
                        && matches!(bytes[at], b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
                    {
                        at += 1;
                    }
                    if is_large(&json[start..at]) {
                        return Some((start, at));
                    }
                }
                _ => at += 1,
            }
        }
        None
    })
}

fn after_string(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_large(number: &str) -> bool {
    let digits = number.trim_start_matches('-');
    digits.len() > DIGITS_SAFE
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && digits.parse::<u64>().map_or(true, |value| value > SAFE_MAX)
}

/// A JSON text with its escapes of characters read, so that what they spell is found.
fn unescaped(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u") {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let spelled = after.strip_prefix('u').and_then(|after| after.get(..4));
        match spelled.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                // Halves of pairs are no part of any mark.
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                rest = &after[5..];
            }
            None => {
                let next = after.chars().next();
                out.extend(next);
                rest = &after[next.map_or(0, char::len_utf8)..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The result with its BigInts as numbers.
pub(super) fn unmarked(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let end = after_string(rest.as_bytes(), start);
        out.push_str(&rest[..start]);
        let (string, after) = (&rest[start..end], &rest[end..]);
        // Names of members are as they were.
        let value = if after.starts_with(':') { "" } else { &string[1..string.len() - 1] };
        match (value.strip_prefix(BIG), value.strip_prefix(SIGN)) {
            (Some(digits), _) => out.push_str(digits),
            (None, Some(text)) => {
                out.push('"');
                out.push_str(text);
                out.push('"');
            }
            (None, None) => out.push_str(string),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_that_would_be_rounded_are_marked() {
        assert_eq!(
            marked(r#"{"a":9007199254740991,"b":1.50,"c":12345678901234567e3,"d":"12345678901234567890"}"#),
            None
        );
        let (text, mark) =
            marked(r#"[9007199254740992,-12345678901234567890,"\"99999999999999999\""]"#).unwrap();
        assert_eq!(
            text,
            format!(r#"["{mark}9007199254740992","{mark}-12345678901234567890","\"99999999999999999\""]"#)
        );
    }

    #[test]
    fn the_mark_occurs_nowhere_in_the_event_however_it_is_spelled() {
        for event in [
            "[\"\u{e000}0:1\",99999999999999999]",
            r#"["\ue000\u0030:1",99999999999999999]"#,
            r#"["\\\uE0000:1",99999999999999999]"#,
        ] {
            let (_, mark) = marked(event).unwrap();
            assert_eq!(mark, "\u{e000}1:", "{event}");
        }
        let (_, mark) = marked(r#"["\\ue0000:1",99999999999999999]"#).unwrap();
        assert_eq!(mark, "\u{e000}0:", "that is a backslash and a text");
    }

    #[test]
    fn only_what_was_a_bigint_becomes_a_number() {
        for (marked, plain) in [
            ("[\"\u{e000}big:-12\",1]", "[-12,1]"),
            ("[\"\u{e000}\u{e000}big:-12\"]", "[\"\u{e000}big:-12\"]"),
            ("{\"\u{e000}big:1\":\"\u{e000}big:1\"}", "{\"\u{e000}big:1\":1}"),
            ("[\"a\\\"\u{e000}big:5\"]", "[\"a\\\"\u{e000}big:5\"]"),
        ] {
            assert_eq!(unmarked(marked), plain);
        }
    }
}
