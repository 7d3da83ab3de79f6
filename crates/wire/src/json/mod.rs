//! A look at JSON before it is believed: complete, not too deep, and readable in one way only.
//!
//! Parsers differ in what they do with a name that stands twice in an object, and some fall over on deep
//! nesting. What is checked here reads the same everywhere. One pass, no recursion. Source of the
//! grammar: RFC 8259. Read `scan.rs` next.

mod members;
mod scan;
mod string;

use std::fmt;

pub use members::{Member, members};
use scan::Scanner;

/// Bounds of what is taken.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The deepest nesting of objects and arrays.
    pub depth_max: usize,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// Not UTF-8.
    Utf8,
    /// Not JSON: what was expected.
    Syntax(&'static str),
    /// Nested too deep.
    TooDeep,
    /// A name stands twice in one object.
    DuplicateKey,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// The line, from 1.
    pub line: usize,
    /// The byte in the line, from 1.
    pub column: usize,
    /// The JSON pointer (RFC 6901) of the value it is in, shortened where it is long.
    pub pointer: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ProblemKind::Utf8 => write!(f, "it is not UTF-8")?,
            ProblemKind::Syntax(expected) => write!(f, "{expected} was expected")?,
            ProblemKind::TooDeep => write!(f, "it is nested too deep")?,
            ProblemKind::DuplicateKey => write!(f, "a name stands twice in one object")?,
        }
        write!(f, " (line {}, column {}", self.line, self.column)?;
        if self.pointer.is_empty() { f.write_str(")") } else { write!(f, ", in {})", self.pointer) }
    }
}

/// Checks that `text` is one JSON value in UTF-8, within `limits`, without a name that stands twice in
/// its object, and gives it back as text.
pub fn check(text: &[u8], limits: Limits) -> Result<&str, Problem> {
    let checked = utf8(text)?;
    let mut scanner = Scanner::new(checked, limits.depth_max);
    match scanner.run() {
        Ok(()) => Ok(checked),
        Err(kind) => Err(problem(text, scanner.at(), kind, scanner.pointer())),
    }
}

/// JSON that was checked, with its members: what they are is read once, however often they are looked at.
#[derive(Debug, Clone)]
pub struct Checked<'a> {
    text: &'a str,
    /// In the order of their ends: those of an object stand before the member that it is the value of.
    members: Vec<(usize, Member<'a>)>,
}

/// Checks `text` as [`check`] does, and keeps the members of objects that stand in fewer than `levels` objects and arrays.
pub fn checked(text: &[u8], limits: Limits, levels: usize) -> Result<Checked<'_>, Problem> {
    let checked = utf8(text)?;
    let mut scanner = Scanner::new(checked, limits.depth_max).keeping_members(levels);
    if let Err(kind) = scanner.run() {
        return Err(problem(text, scanner.at(), kind, scanner.pointer()));
    }
    Ok(Checked { text: checked, members: scanner.into_members() })
}

impl<'a> Checked<'a> {
    /// The whole text, without blanks around it.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text.trim_ascii()
    }

    /// The members that were kept of an object, which is the whole text or a member's value in it, in their order; `None`
    /// where it is no object.
    pub fn members_of<'s>(&'s self, object: &'s str) -> Option<impl Iterator<Item = &'s Member<'a>> + Clone> {
        let range = object.as_bytes().as_ptr_range();
        let inside = move |(_, (_, value)): &&(usize, Member<'a>)| {
            range.start < value.as_ptr() && value.as_ptr() < range.end
        };
        // The last one inside is its own, and stands in it directly.
        let level = self.members.iter().rfind(inside).map_or(0, |(level, _)| *level);
        let own = self.members.iter().filter(inside).filter(move |(at, _)| *at == level);
        object.starts_with('{').then(|| own.map(|(_, member)| member))
    }
}

fn utf8(text: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(text)
        .map_err(|error| problem(text, error.valid_up_to(), ProblemKind::Utf8, String::new()))
}

fn problem(text: &[u8], at: usize, kind: ProblemKind, pointer: String) -> Problem {
    let before = &text[..at.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
    Problem { kind, line, column, pointer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(text: &str) -> Option<ProblemKind> {
        check(text.as_bytes(), Limits { depth_max: 128 }).err().map(|problem| problem.kind)
    }

    #[test]
    fn good_json_is_good() {
        for good in [
            "0",
            "-0.5e+10",
            "true",
            " null ",
            "\"\"",
            r#""\u00e9\n\ud83d\ude00\"""#,
            "[]",
            "[1,[2],{}]",
            r#"{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}"#,
            "{ }",
            "[ ]",
            "\"ă\"",
            "1e5",
            "10",
            "[1 , 2]",
        ] {
            assert_eq!(kind(good), None, "{good}");
        }
    }

    #[test]
    fn broken_json_is_a_syntax_problem() {
        for bad in [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "nul",
            "truex",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "1 2",
            "[1}",
            "{\"a\":1]",
            "'a'",
            "NaN",
            "{1:2}",
            "[1 2]",
            "\u{feff}1",
            "/**/1",
            "\"a\tb\"",
        ] {
            assert!(matches!(kind(bad), Some(ProblemKind::Syntax(_))), "{bad:?}: {:?}", kind(bad));
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_found_however_it_is_spelled() {
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"[{"x":{"k":1,"b":2,"k":3}}]"#,
            r#"{"\ud83d\ude00":1,"😀":1}"#,
            r#"{"":1,"":2}"#,
            r#"{"\/":1,"/":2}"#,
        ] {
            assert_eq!(kind(bad), Some(ProblemKind::DuplicateKey), "{bad}");
        }
        let names: Vec<String> = (0..1_000).map(|n| format!("\"k{n}\":0")).collect();
        assert_eq!(kind(&format!("{{{}}}", names.join(","))), None);
        assert_eq!(kind(&format!("{{{},\"k7\":1}}", names.join(","))), Some(ProblemKind::DuplicateKey));
    }

    #[test]
    fn depth_has_a_bound_and_no_depth_takes_the_stack() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(kind(&nested(128)), None);
        assert_eq!(kind(&nested(129)), Some(ProblemKind::TooDeep));
        assert_eq!(kind(&"[".repeat(1_000_000)), Some(ProblemKind::TooDeep));
    }

    #[test]
    fn a_problem_says_where_it_is() {
        let text = "{\"a\": [1,\n  {\"b/c\": x}]}";
        let problem = check(text.as_bytes(), Limits { depth_max: 9 }).unwrap_err();
        assert_eq!((problem.line, problem.column, problem.pointer.as_str()), (2, 11, "/a/1/b~1c"));
        assert_eq!(problem.to_string(), "a value was expected (line 2, column 11, in /a/1/b~1c)");
        assert_eq!(check(b"\"\xff\"", Limits { depth_max: 9 }).unwrap_err().kind, ProblemKind::Utf8);
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json_on_what_is_json(text in r#"([\[\]{}",:0-9a\\eE.+\-tru nl]|\\\\u[dD][89ac-f][0-9]{2}){0,24}"#) {
            let ours = kind(&text);
            // A generic reader keeps the last of two equal names.
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            let is_json = !matches!(ours, Some(ProblemKind::Syntax(_)));
            // Numbers past a double's range are JSON, but not for serde_json.
            prop_assume!(theirs || !text.contains(['e', 'E']));
            prop_assert_eq!(is_json, theirs, "{} {:?}", text, ours);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _result = check(&bytes, Limits { depth_max: 8 });
        }
    }
}
