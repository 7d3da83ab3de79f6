//! From the event to the body that this webhook gets: its transformation and its format, in the delivery's own form.
//!
//! A script has no clock, randomness or input of its own, so running the same version again gives the same
//! bytes: they are made anew for each attempt and never stored. Invariant: where a script fails, nothing is
//! sent in its place, unless the webhook's owner chose that; then the original is fixed on disk before it is
//! sent, where another run could end otherwise. Read `render.rs` next.

use super::format::{self, Outgoing};
use super::transport::FailureKind;
use crate::attempt::Exchanged;
use crate::parts::Parts;
use crate::store::Ready;
use crate::transform::pool::{Owner, Script};
use crate::transform::{Input, Made, ScriptError, ScriptErrorKind, Shaped};
use crate::webhook::live::Live;
use crate::webhook::{Form, Format, OnError};

/// Why nothing is sent.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The script failed, and would again: the delivery is held.
    Failed(String),
    /// The script could not be run now.
    Later(String),
    /// The script dropped the delivery.
    Dropped(String),
}

impl Unsent {
    /// As it stands in the delivery log.
    pub(super) fn exchanged(&self) -> Exchanged {
        match self {
            Self::Failed(why) | Self::Later(why) => {
                Exchanged::unsent(Some(FailureKind::Transform), why.clone())
            }
            Self::Dropped(why) => Exchanged::unsent(None, why.clone()),
        }
    }
}

/// What there is to send; `None`: the event as it was accepted.
pub(super) async fn shape(
    parts: &Parts,
    live: &Live,
    ready: &Ready,
    form: Form,
) -> Result<Option<Outgoing>, Unsent> {
    let scripted = scripted(parts, live, ready, form.script).await?;
    if form.format == Format::Vai && scripted.is_none() {
        return Ok(None);
    }
    format::write(parts, live, form.format, &ready.event, scripted).map(Some).map_err(Unsent::Later)
}

/// What the script of this version made of it; `None` where none did, or its failure does not matter.
async fn scripted(parts: &Parts, live: &Live, ready: &Ready, version: u32) -> Result<Option<Shaped>, Unsent> {
    if version == 0 {
        return Ok(None);
    }
    match run(parts, live, ready, version).await {
        Ok(Made::Body(shaped)) => Ok(Some(shaped)),
        Ok(Made::Dropped(reason)) => {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            Err(Unsent::Dropped(format!("dropped by version {version} of the transformation{reason}")))
        }
        Err(error) => failed(parts, live, ready, version, &error).await,
    }
}

async fn run(parts: &Parts, live: &Live, ready: &Ready, version: u32) -> Result<Made, ScriptError> {
    let no = live.stored.no;
    let code = match live.stored.config.transform.as_ref().filter(|it| it.version == version) {
        Some(current) => current.code.clone(),
        None => match parts.store.script(no, version).await {
            Ok(Some(code)) => code.into(),
            Ok(None) => return Err(unavailable("this version is not in the store")),
            Err(error) => return Err(unavailable(&error.to_string())),
        },
    };
    let script = Script { owner: Owner::Webhook(live.stored.tenant, no), version: Some(version), code };
    let event = &ready.event;
    let input = Input::new(event.id.as_str(), event.body.clone(), live.stored.id.as_str());
    parts.scripts.run(script, input).await.result
}

fn unavailable(message: &str) -> ScriptError {
    ScriptError { kind: ScriptErrorKind::Unavailable, message: message.to_owned(), line: None, column: None }
}

async fn failed(
    parts: &Parts,
    live: &Live,
    ready: &Ready,
    version: u32,
    error: &ScriptError,
) -> Result<Option<Shaped>, Unsent> {
    let detail = format!("version {version} of the transformation: {error}");
    if error.kind == ScriptErrorKind::Unavailable {
        return Err(Unsent::Later(detail));
    }
    let on_error = live.stored.config.transform.as_ref().map_or(OnError::Fail, |it| it.on_error);
    match (on_error, error.kind) {
        (OnError::Fail, _) => Err(Unsent::Failed(detail)),
        // It fails at every attempt, so every attempt sends the same.
        (OnError::SendOriginal, ScriptErrorKind::Code) => Ok(None),
        // It might not run into its limit the next time, or did not the last time.
        (OnError::SendOriginal, _) if ready.attempts > 0 => Err(Unsent::Later(detail)),
        (OnError::SendOriginal, _) => match parts.store.pin_original(ready.event.key, live.stored.no).await {
            Ok(()) => Ok(None),
            Err(error) => Err(Unsent::Later(error.to_string())),
        },
    }
}
