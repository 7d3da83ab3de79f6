//! Trying a transformation out: the same sandbox, the same limits, nothing stored and nothing sent.
//!
//! Read `../transform/mod.rs` next.

use std::time::Duration;

use bytes::Bytes;
use vai_webhooks_wire::EventId;

use super::Engine;
use crate::error::{EngineError, FieldProblem};
use crate::fields::Fields;
use crate::intake::{Draft, prepare};
use crate::tenant::TenantId;
use crate::transform::pool::{Owner, Script};
use crate::transform::{CODE_BYTES_MAX, Input, Made, ScriptError};

/// The webhook that a script sees when it is only tried out.
const NO_WEBHOOK: &str = "trial";

/// What came of trying a transformation out.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The event that it was run over, as it would be sent without it.
    pub event: Bytes,
    /// What it made of it.
    pub output: Result<TrialOutput, ScriptError>,
    /// What it printed.
    pub console: Vec<String>,
    /// The processor time of the run.
    pub took: Duration,
}

/// What a transformation made of an event.
#[derive(Debug, Clone)]
pub enum TrialOutput {
    /// What would be sent.
    Body {
        /// JSON.
        body: Bytes,
        /// Headers that the script set.
        headers: Vec<(String, String)>,
        /// In place of the URL's path.
        path: Option<String>,
        /// In place of the URL's query.
        query: Option<String>,
    },
    /// Nothing would be sent, and why, where the script said so.
    Dropped(Option<String>),
}

impl Engine {
    /// Runs a script over an event as posted: `{"code"}` with `"event"` (as it is posted to be accepted)
    /// or with `"eventId"`. A script that fails is a result, not an error.
    pub async fn try_transform_json(&self, tenant: TenantId, body: &[u8]) -> Result<Trial, EngineError> {
        self.check_open()?;
        let (code, subject) = read(body).map_err(EngineError::Invalid)?;
        let (id, event) = match subject {
            Subject::Known(id) => {
                let body = self.event(tenant, &id).await?.body;
                (id, body)
            }
            Subject::Given(json) => {
                let draft = Draft::from_json(json.as_bytes()).map_err(|problems| {
                    let within =
                        |it: FieldProblem| FieldProblem { pointer: format!("/event{}", it.pointer), ..it };
                    EngineError::Invalid(problems.into_iter().map(within).collect())
                })?;
                let prepared = prepare(&self.parts, tenant, &draft, None)?.event.event;
                (prepared.id.clone(), prepared.body.clone())
            }
        };
        let script = Script { owner: Owner::Trial(tenant), version: None, code: code.into() };
        let input = Input::new(id.as_str(), event.clone(), NO_WEBHOOK);
        let run = self.parts.scripts.run(script, input).await;
        let output = run.result.map(|made| match made {
            Made::Body(it) => {
                TrialOutput::Body { body: it.body, headers: it.headers, path: it.path, query: it.query }
            }
            Made::Dropped(reason) => TrialOutput::Dropped(reason),
        });
        Ok(Trial { event, output, console: run.console, took: run.took })
    }
}

enum Subject {
    Known(EventId),
    Given(String),
}

const KNOWN: &str = "code, and event or eventId";

fn read(body: &[u8]) -> Result<(String, Subject), Vec<FieldProblem>> {
    let mut fields = Fields::of_body(body).map_err(|it| vec![it])?;
    let code = fields.required::<String>("code").unwrap_or_default();
    if code.len() > CODE_BYTES_MAX {
        fields.problem(
            "code",
            "too_long",
            format!("takes {} bytes; the most are {CODE_BYTES_MAX}", code.len()),
        );
    }
    let given = fields.raw("event").filter(|raw| *raw != "null").map(str::to_owned);
    let id = fields.optional::<String>("eventId");
    let subject = match (given, id.map(|id| id.parse::<EventId>())) {
        (Some(json), None) => Some(Subject::Given(json)),
        (None, Some(Ok(id))) => Some(Subject::Known(id)),
        (_, Some(Err(error))) => {
            fields.problem("eventId", "invalid_id", error.to_string());
            None
        }
        (Some(_), Some(Ok(_))) => {
            fields.problem("eventId", "conflicts", "stands in place of event; give the one or the other");
            None
        }
        (None, None) => {
            fields.problem("event", "missing", "is missing; give an event as it is posted, or an eventId");
            None
        }
    };
    let problems = fields.finish(KNOWN);
    match subject {
        Some(subject) if problems.is_empty() => Ok((code, subject)),
        _ => Err(problems),
    }
}
