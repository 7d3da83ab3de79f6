//! Problems: what every answer that is not 2xx says. Source: RFC 9457.
//!
//! `code` is stable, for programs; `detail` is for people; `errors` names every field that is at fault.
//! Read `auth.rs` next.

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use vai_webhooks_engine::{EngineError, FieldProblem};

use super::shapes::Exchange;

/// What went wrong, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The status in words.
    pub(crate) title: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// A stable name of the problem.
    pub(crate) code: &'static str,
    /// What was wrong, and what to do.
    pub(crate) detail: String,
    /// Every field that is at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldError>,
    /// What came of the test event, where a registration failed for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<Box<Exchange>>,
    #[serde(skip)]
    pub(crate) retry_after_secs: Option<u32>,
}

/// One field that is at fault.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// JSON pointer (RFC 6901) into what was sent.
    pub(crate) pointer: String,
    /// A stable name of the problem.
    pub(crate) code: &'static str,
    /// What was wrong.
    pub(crate) detail: String,
}

impl From<FieldProblem> for FieldError {
    fn from(problem: FieldProblem) -> Self {
        Self { pointer: problem.pointer, code: problem.code, detail: problem.detail }
    }
}

/// How long a caller is asked to wait where the engine cannot take the call now.
const RETRY_AFTER_SECS: u32 = 2;
/// The same where the disk is full but for its reserve: somebody has to make room.
const RETRY_AFTER_DISK_SECS: u32 = 30;
/// The same where the tenant's own webhooks have to take what they have first.
const RETRY_AFTER_BACKLOG_SECS: u32 = 10;

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            attempt: None,
            retry_after_secs: None,
        }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    pub(crate) fn field(pointer: &str, code: &'static str, detail: impl Into<String>) -> Self {
        EngineError::Invalid(vec![FieldProblem { pointer: pointer.to_owned(), code, detail: detail.into() }])
            .into()
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        match error {
            EngineError::Invalid(problems) => Self {
                errors: problems.into_iter().map(FieldError::from).collect(),
                ..Self::new(StatusCode::BAD_REQUEST, "invalid_input", detail)
            },
            EngineError::Violates(problems) => Self {
                errors: problems.into_iter().map(FieldError::from).collect(),
                ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "schema_violation", detail)
            },
            EngineError::Breaking(problems) => Self {
                errors: problems.into_iter().map(FieldError::from).collect(),
                ..Self::new(StatusCode::CONFLICT, "breaking_change", detail)
            },
            EngineError::NotFound(what) => Self::not_found(what),
            EngineError::Conflict { code, .. } => Self::new(StatusCode::CONFLICT, code, detail),
            EngineError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail),
            EngineError::Unreachable(exchanged) => Self {
                attempt: Some(Box::new(Exchange::of(&exchanged))),
                ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "endpoint_unreachable", detail)
            },
            EngineError::Busy => unavailable("busy", detail),
            EngineError::DiskReserve { .. } => {
                Self { retry_after_secs: Some(RETRY_AFTER_DISK_SECS), ..unavailable("disk_reserve", detail) }
            }
            EngineError::Backlog { .. } => Self {
                retry_after_secs: Some(RETRY_AFTER_BACKLOG_SECS),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "backlog_full", detail)
            },
            EngineError::LinkExpired => Self::new(StatusCode::GONE, "link_expired", detail),
            EngineError::ShuttingDown => unavailable("shutting_down", detail),
            // What failed inside is in the log; it is of no use to a caller.
            EngineError::Store(error) => {
                tracing::error!(%error, "a call failed in the store");
                unavailable("store_failed", "the store failed; nothing was changed".to_owned())
            }
        }
    }
}

fn unavailable(code: &'static str, detail: String) -> Problem {
    Problem {
        retry_after_secs: Some(RETRY_AFTER_SECS),
        ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Answers calls to paths that there are not.
pub(crate) async fn unknown_path(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    let detail = format!("there is nothing at {path}; the calls are listed at /openapi.json");
    Problem::new(StatusCode::NOT_FOUND, "unknown_path", detail)
}

/// Answers calls with methods that a path does not have.
pub(crate) async fn wrong_method(method: Method) -> Problem {
    let detail = format!("{method} is not for this path; the Allow header names what is");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
}
