//! Reads a posted JSON object member by member, and collects everything that is wrong with it.
//!
//! It exists because a deserialiser stops at the first problem, and the promise is to name them all.
//! What is read stays raw where the caller wants it raw. Invariant: a member that nobody asked for is a
//! problem, never ignored. Read `webhook/input.rs` and `intake/parse.rs` next, which use it.

use std::borrow::Cow;

use vai_webhooks_wire::UnixMs;
use vai_webhooks_wire::json;

use crate::error::FieldProblem;

/// The members of one object, taken away one by one.
pub(crate) struct Fields<'a> {
    members: Vec<json::Member<'a>>,
    pointer: &'static str,
    pub(crate) problems: Vec<FieldProblem>,
}

/// The deepest nesting that is taken, in objects and arrays.
pub(crate) const DEPTH_MAX: usize = 128;

/// Checks that `part` is JSON that nobody can read in two ways; `depth_max` is what is left for it. Of objects in each
/// other, the members of so many `levels` are kept.
pub(crate) fn check_json(
    part: &[u8],
    depth_max: usize,
    levels: usize,
) -> Result<json::Checked<'_>, FieldProblem> {
    json::checked(part, json::Limits { depth_max }, levels).map_err(|it| no_json(&it))
}

fn no_json(problem: &json::Problem) -> FieldProblem {
    FieldProblem::at("", "invalid_json", format!("the body is no good JSON: {problem}"))
}

impl<'a> Fields<'a> {
    /// The members of a body, if that is JSON that nobody can read in two ways.
    pub(crate) fn of_body(body: &'a [u8]) -> Result<Self, FieldProblem> {
        Self::of_checked(&check_json(body, DEPTH_MAX, 1)?)
    }

    /// The same of a body that was checked, and its members kept.
    pub(crate) fn of_checked(body: &json::Checked<'a>) -> Result<Self, FieldProblem> {
        Self::at("", body.members_of(body.text()).map(|members| members.cloned().collect()))
    }

    /// The members of the object `text`, a part of a body that was checked, which stands at `pointer` in it.
    pub(crate) fn of(text: &'a str, pointer: &'static str) -> Result<Self, FieldProblem> {
        Self::at(pointer, json::members(text))
    }

    fn at(pointer: &'static str, members: Option<Vec<json::Member<'a>>>) -> Result<Self, FieldProblem> {
        match members {
            Some(members) => Ok(Self { members, pointer, problems: Vec::new() }),
            None => Err(FieldProblem::at(pointer, "wrong_type", "must be a JSON object")),
        }
    }

    /// A member as it was spelled; `None` where it is absent. `null` is a value here.
    pub(crate) fn raw(&mut self, name: &str) -> Option<&'a str> {
        let at = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.swap_remove(at).1)
    }

    /// A member of type `T`; absent and `null` are `None`, and so is a problem, which is noted.
    pub(crate) fn optional<T: Field>(&mut self, name: &str) -> Option<T> {
        let raw = self.raw(name).filter(|raw| *raw != "null")?;
        let value = T::read(raw);
        if value.is_none() {
            self.problem(name, "wrong_type", format!("must be {}", T::SHAPE));
        }
        value
    }

    /// As [`Fields::optional`], but its absence is a problem too.
    pub(crate) fn required<T: Field>(&mut self, name: &str) -> Option<T> {
        if !self.members.iter().any(|(member, raw)| member == name && *raw != "null") {
            self.raw(name);
            self.problem(name, "missing", format!("is missing; it must be {}", T::SHAPE));
            return None;
        }
        self.optional(name)
    }

    pub(crate) fn problem(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.problems.push(FieldProblem::at(format!("{}/{}", self.pointer, escaped(name)), code, detail));
    }

    /// All problems, with one for each member that was never taken.
    pub(crate) fn finish(mut self, known: &str) -> Vec<FieldProblem> {
        for (name, _) in std::mem::take(&mut self.members) {
            let shown: String = name.chars().take(100).collect();
            self.problem(&shown, "unknown_field", format!("is not known here; known are {known}"));
        }
        self.problems
    }
}

/// RFC 6901.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What a member can be read as.
pub(crate) trait Field: Sized {
    /// What it must be, to follow "must be".
    const SHAPE: &'static str;

    /// The value of this JSON; `None` where it has another shape.
    fn read(json: &str) -> Option<Self>;
}

macro_rules! field {
    ($type:ty, $shape:literal) => {
        impl Field for $type {
            const SHAPE: &'static str = $shape;

            fn read(json: &str) -> Option<Self> {
                serde_json::from_str(json).ok()
            }
        }
    };
}

impl Field for String {
    const SHAPE: &'static str = "a string";

    fn read(json: &str) -> Option<Self> {
        // What was checked and stands in quotes is a string, and without escapes it is what it says.
        match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(plain) if !plain.contains('\\') => Some(plain.to_owned()),
            _ => serde_json::from_str(json).ok(),
        }
    }
}

field!(bool, "true or false");
field!(u64, "a whole number, 0 or more");
field!(Vec<String>, "an array of strings");
field!(Vec<u64>, "an array of whole numbers, 0 or more");

impl Field for UnixMs {
    const SHAPE: &'static str = "a time as RFC 3339 has it, as \"2026-01-31T12:00:00.000Z\"";

    fn read(json: &str) -> Option<Self> {
        serde_json::from_str::<Cow<'_, str>>(json).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_raw_typed_or_as_problems() {
        let text = r#"{"a":"x","n":-1,"raw":{"k":  1},"odd/name":1,"nothing":null}"#;
        let mut fields = Fields::of(text, "/it").unwrap();
        assert_eq!(fields.required::<String>("a").as_deref(), Some("x"));
        assert_eq!(String::read(r#""\"\u0103""#).as_deref(), Some("\"ă"));
        assert_eq!(String::read("17"), None);
        assert_eq!(fields.optional::<u64>("n"), None);
        assert_eq!(fields.raw("raw").unwrap(), r#"{"k":  1}"#);
        assert_eq!(fields.optional::<bool>("nothing"), None);
        assert_eq!(fields.required::<bool>("absent"), None);
        let found: Vec<_> = fields.finish("a and b").into_iter().map(|it| (it.pointer, it.code)).collect();
        let expected =
            [("/it/n", "wrong_type"), ("/it/absent", "missing"), ("/it/odd~1name", "unknown_field")];
        assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    }

    #[test]
    fn what_is_no_object_says_so() {
        assert_eq!(Fields::of("[1]", "").err().unwrap().code, "wrong_type");
    }
}
