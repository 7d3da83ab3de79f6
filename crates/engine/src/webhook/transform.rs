//! A webhook's transformation, as it is given and as it is kept.
//!
//! `"dataTransform"` is the code, or `{"code","onError"}`, or `{"version","onError"}` to go back to an earlier
//! one, or `null` for none. Read `../transform/mod.rs` next.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::FieldProblem;
use crate::fields::{Field as _, Fields};
use crate::transform::CODE_BYTES_MAX;

/// What is done with a delivery whose transformation fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnError {
    /// It waits until the script is mended: data that was not transformed does not leave.
    #[default]
    Fail,
    /// The event goes out as it was accepted.
    SendOriginal,
}

impl OnError {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::SendOriginal => "sendOriginal",
        }
    }
}

/// A transformation that a webhook has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transform {
    /// JavaScript.
    #[serde(with = "text")]
    pub code: Arc<str>,
    /// What is done where it fails.
    pub on_error: OnError,
    /// Its number among this webhook's, from 1; the same code set again has the same one.
    pub version: u32,
}

/// A transformation as it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformInput {
    /// The script.
    pub script: ScriptInput,
    /// What is done where it fails; `None`: [`OnError::Fail`].
    pub on_error: Option<OnError>,
}

/// A script by its code, or an earlier one by its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptInput {
    /// JavaScript.
    Code(String),
    /// A version that the webhook had.
    Version(u32),
}

/// Reads `dataTransform`: `None` where it is absent, `Some(None)` where it is `null`.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<Option<TransformInput>> {
    let raw = fields.raw("dataTransform")?;
    if raw == "null" {
        return Some(None);
    }
    if let Some(code) = String::read(raw) {
        check_size(&code, "/dataTransform", fields);
        return Some(Some(TransformInput { script: ScriptInput::Code(code), on_error: None }));
    }
    let mut inner = match Fields::of(raw, "/dataTransform") {
        Ok(inner) => inner,
        Err(problem) => {
            let detail = "must be a script as a string, an object with it as code, or null";
            fields.problems.push(FieldProblem { detail: detail.to_owned(), ..problem });
            return None;
        }
    };
    let code = inner.optional::<String>("code");
    let version = inner.optional::<u64>("version").map(|it| u32::try_from(it).unwrap_or(u32::MAX));
    let on_error = match inner.optional::<String>("onError").as_deref() {
        None => None,
        Some("fail") => Some(OnError::Fail),
        Some("sendOriginal") => Some(OnError::SendOriginal),
        Some(_) => {
            inner.problem("onError", "unknown_value", "must be \"fail\" or \"sendOriginal\"");
            None
        }
    };
    let script = match (code, version) {
        (Some(code), None) => {
            check_size(&code, "/dataTransform/code", &mut inner);
            Some(ScriptInput::Code(code))
        }
        (None, Some(version)) => Some(ScriptInput::Version(version)),
        (None, None) => {
            inner.problem("code", "missing", "is missing; it must be a script, as a string");
            None
        }
        (Some(_), Some(_)) => {
            inner.problem("version", "conflicts", "stands in place of code; give the one or the other");
            None
        }
    };
    let problems = inner.finish("code, version and onError");
    let good = problems.is_empty();
    fields.problems.extend(problems);
    script.filter(|_| good).map(|script| Some(TransformInput { script, on_error }))
}

fn check_size(code: &str, pointer: &str, fields: &mut Fields<'_>) {
    if code.len() > CODE_BYTES_MAX {
        let detail = format!("takes {} bytes; the most are {CODE_BYTES_MAX}", code.len());
        fields.problems.push(FieldProblem::at(pointer, "too_long", detail));
    }
}

/// A shared text in JSON.
mod text {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}
