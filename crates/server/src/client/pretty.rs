//! JSON text, indented for people.
//!
//! It works on the text and never on values, so that numbers, escapes and the order of keys stay as the
//! server spelled them. Text that is no JSON comes out as it went in. Read `screen.rs` again.

use serde::de::IgnoredAny;

const STEP: &str = "  ";

/// `text`, each member and element on a line of its own.
pub(super) fn indent(text: &str) -> String {
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                out.push(c);
                string(&mut rest, &mut out);
            }
            '{' | '[' => {
                while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                out.push(c);
                if let Some(close) = rest.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(depth, &mut out);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(depth, &mut out);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(depth, &mut out);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// Copies a string up to its closing quote.
fn string(rest: &mut impl Iterator<Item = char>, out: &mut String) {
    while let Some(c) = rest.next() {
        out.push(c);
        match c {
            '\\' => out.extend(rest.next()),
            '"' => return,
            _ => {}
        }
    }
}

fn new_line(depth: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(STEP, depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_on_lines_of_their_own() {
        let text = r#"{"b":[1, {"c":null}],"a":{ }, "e":[]}"#;
        let expected =
            "{\n  \"b\": [\n    1,\n    {\n      \"c\": null\n    }\n  ],\n  \"a\": {},\n  \"e\": []\n}";
        assert_eq!(indent(text), expected);
    }

    #[test]
    fn spelling_stays() {
        let text = r#"{"z":1.50,"a":1e400,"s":"\u0041 {\"x\": [1,2]} \\"}"#;
        let indented = indent(text);
        assert!(indented.contains("1.50") && indented.contains("1e400"));
        assert!(indented.contains(r#""\u0041 {\"x\": [1,2]} \\""#), "{indented}");
    }

    #[test]
    fn what_is_no_json_is_left_alone() {
        for text in ["", "<html>", "{\"a\":", "{} {}"] {
            assert_eq!(indent(text), text);
        }
    }
}
