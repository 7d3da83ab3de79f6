//! What a person gives a command: text, `@file`, `-` for standard input; `'Name: value'` headers.
//!
//! Invariant: no more is read than a bound, and no error shows a value that may be secret. Read
//! `http.rs` next.

use std::fs::File;
use std::io::Read;

use anyhow::{Context as _, bail};
use vai_webhooks_wire::json;

use super::hidden::Hidden;

/// The most that is read from a file or standard input, in bytes.
const INPUT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The deepest nesting that is taken; the server's limit.
const DEPTH_MAX: usize = 128;

/// The bytes that `given` stands for: itself, what is in the file after `@`, or for `-` standard input.
pub(super) fn bytes(given: &str) -> anyhow::Result<Vec<u8>> {
    if given == "-" {
        return bounded(std::io::stdin().lock()).context("standard input");
    }
    match given.strip_prefix('@') {
        Some(path) => {
            File::open(path).map_err(anyhow::Error::from).and_then(bounded).context(path.to_owned())
        }
        None => Ok(given.as_bytes().to_vec()),
    }
}

fn bounded(from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        bail!("it holds more than {INPUT_BYTES_MAX} bytes");
    }
    Ok(bytes)
}

/// The JSON value that `given` stands for, as it is spelled.
pub(super) fn json_value(given: &str) -> anyhow::Result<String> {
    let bytes = bytes(given)?;
    if let Err(problem) = json::check(&bytes, json::Limits { depth_max: DEPTH_MAX }) {
        let hint = if given == "-" || given.starts_with('@') {
            ""
        } else {
            "; in a shell, put it in single quotes: '{\"sessionId\":\"s-1\"}'"
        };
        bail!("the data is no good JSON: {problem}{hint}");
    }
    let text = String::from_utf8(bytes).context("the data is not UTF-8")?;
    Ok(text.trim().to_owned())
}

/// The headers in `given`, each as `Name: value`. Errors tell which one by its number: a value may be
/// secret.
pub(super) fn headers(given: &[Hidden]) -> anyhow::Result<Vec<(String, String)>> {
    let mut headers: Vec<(String, String)> = Vec::with_capacity(given.len());
    for (at, Hidden(header)) in given.iter().enumerate() {
        let split = header.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
        let Some((name, value)) = split.filter(|(name, _)| !name.is_empty()) else {
            bail!("--header number {} is no 'Name: value'", at + 1);
        };
        if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            bail!("the header {name} is given twice");
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_names_and_values() {
        let given = ["X-Key: a:b", "x-empty:"].map(|text| Hidden(text.to_owned()));
        let expected = [("X-Key".to_owned(), "a:b".to_owned()), ("x-empty".to_owned(), String::new())];
        assert_eq!(headers(&given).unwrap(), expected);
    }

    #[test]
    fn a_wrong_header_is_told_without_its_value() {
        let error = headers(&[Hidden("Bearer hunter2".to_owned())]).unwrap_err().to_string();
        assert_eq!(error, "--header number 1 is no 'Name: value'");
        let twice = headers(&["a: hunter2", "A: hunter3"].map(|text| Hidden(text.to_owned())))
            .unwrap_err()
            .to_string();
        assert_eq!(twice, "the header A is given twice");
        assert!(headers(&[Hidden(": x".to_owned())]).is_err());
    }

    #[test]
    fn data_stays_as_it_is_spelled() {
        assert_eq!(json_value(" {\"a\": 1.50}\n").unwrap(), "{\"a\": 1.50}");
    }

    #[test]
    fn data_that_is_no_json_is_told_with_its_place_and_the_way_out() {
        let error = json_value("{sessionId:1}").unwrap_err().to_string();
        assert!(error.contains("line 1, column 2") && error.contains("single quotes"), "{error}");
        let twice = json_value(r#"{"a":1,"a":2}"#).unwrap_err().to_string();
        assert!(twice.contains("twice"), "{twice}");
    }

    #[test]
    fn a_file_is_read_up_to_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.json");
        std::fs::write(&path, "[1]\n").unwrap();
        let given = format!("@{}", path.display());
        assert_eq!(bytes(&given).unwrap(), b"[1]\n");
        std::fs::write(&path, vec![b' '; 8 * 1024 * 1024 + 1]).unwrap();
        assert!(format!("{:#}", bytes(&given).unwrap_err()).contains("more than"));
        let missing = format!("@{}/nothing", dir.path().display());
        assert!(format!("{:#}", bytes(&missing).unwrap_err()).contains("nothing"));
    }
}
