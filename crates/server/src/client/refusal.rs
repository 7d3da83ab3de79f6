//! What the server says when it says no: a problem (RFC 9457), in words.
//!
//! The detail, then each field that is at fault on a line of its own, then the way out where this client
//! knows one. Read `answers.rs` next.

use std::fmt;

use http::StatusCode;
use serde::Deserialize;

use super::answers::Exchange;

/// A problem as the server sent it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    problem: Problem,
}

#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
    attempt: Option<Exchange>,
}

#[derive(Debug, Deserialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

impl Refusal {
    /// Reads a problem; `None` where the text is none.
    pub(super) fn read(status: StatusCode, text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(|problem| Self { status, problem })
    }

    /// Whether it says that there is no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.problem.code == "not_found"
    }

    fn hint(&self) -> Option<&'static str> {
        match (self.status, self.problem.code.as_str()) {
            (StatusCode::UNAUTHORIZED, _) => Some(
                "give a key with --key, VAI_KEY or --key-file; a server keeps its first admin key \
                 in the file admin-key of its data directory",
            ),
            (_, "breaking_change") => Some("--force puts it all the same"),
            (_, "endpoint_unreachable") => Some("--no-verify registers it without asking the endpoint"),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { code, detail, errors, attempt } = &self.problem;
        // The server's detail repeats its fields in one line; here each has its own.
        if !errors.is_empty() && errors.iter().all(|error| detail.contains(&error.detail)) {
            let why = match code.as_str() {
                "breaking_change" => "it breaks consumers of the schema before it",
                "schema_violation" => "the data is not as the schema of its type has it",
                _ => "the server did not take it",
            };
            write!(f, "{why} ({code})")?;
        } else {
            f.write_str(&plain(detail))?;
        }
        for FieldError { pointer, detail } in errors {
            let place = if pointer.is_empty() { "the whole" } else { pointer };
            write!(f, "\n  {}: {}", plain(place), plain(detail))?;
        }
        if let Some(answer) =
            attempt.as_ref().map(|attempt| attempt.answer.trim()).filter(|it| !it.is_empty())
        {
            write!(f, "\n  it answered: {}", plain(answer))?;
        }
        match self.hint() {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The characters of an error that are shown at most, in each part of it.
const PART_CHARS_MAX: usize = 500;

fn plain(text: &str) -> String {
    text.chars().take(PART_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, text: &str) -> String {
        Refusal::read(StatusCode::from_u16(status).unwrap(), text).unwrap().to_string()
    }

    #[test]
    fn each_field_at_fault_stands_on_its_own_line() {
        let text = r#"{"code":"invalid_input","detail":"/url: is missing; /events: is empty","errors":[
            {"pointer":"/url","code":"missing","detail":"is missing"},
            {"pointer":"/events","code":"empty","detail":"is empty"}]}"#;
        let expected = "the server did not take it (invalid_input)\n  /url: is missing\n  /events: is empty";
        assert_eq!(said(400, text), expected);
    }

    #[test]
    fn without_fields_the_detail_is_told() {
        assert_eq!(
            said(404, r#"{"code":"not_found","detail":"there is no such webhook"}"#),
            "there is no such webhook"
        );
    }

    #[test]
    fn whoever_has_no_key_is_told_where_one_is() {
        let said = said(401, r#"{"code":"no_key","detail":"an API key is needed"}"#);
        assert!(said.starts_with("an API key is needed\n  hint: give a key with --key"), "{said}");
    }

    #[test]
    fn an_unreachable_endpoint_is_told_with_its_answer_and_the_way_out() {
        let text = r#"{"code":"endpoint_unreachable","detail":"status 404","attempt":
            {"delivered":false,"status":404,"durationMs":3,"answer":"no\u001b[2J route","answerCut":false}}"#;
        let hint = "hint: --no-verify registers it without asking the endpoint";
        assert_eq!(said(422, text), format!("status 404\n  it answered: no [2J route\n  {hint}"));
    }

    #[test]
    fn what_is_no_problem_is_none() {
        assert!(Refusal::read(StatusCode::BAD_GATEWAY, "<html>").is_none());
    }
}
