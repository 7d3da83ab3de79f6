//! Events as messages to people: what the kinds `slack`, `teams` and `email` share.
//!
//! Several events that wait become one message, because people and vendors' rate limits alike want few. Invariant: no
//! value of an event gets into a message unescaped. Read `whole.rs`, then `slack.rs` next.

use serde::Deserialize;

use super::client::{Client, Target};
use super::escape::{Escape, Limited};
use super::fields::{Fields, ROOTS};
use super::hidden::Hidden;
use super::template::Template;
use super::{Settings, SettingsError, SinkError, Stored};

/// The settings of a chat's kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    /// The webhook's URL, which is a secret.
    url: Hidden,
    /// A template in the chat's own writing. Without one: the event type, and a line for each field.
    message: Option<String>,
}

/// Reads the settings of a chat's kind: who is told, and by which template.
pub(crate) fn channel(settings: Settings) -> Result<(Client, Option<Template>), SettingsError> {
    let members: Members = settings.read()?;
    let target = Target::parse("url", members.url.reveal())?;
    let template = template("message", members.message.as_deref())?;
    Ok((Client::new(target, None)?, template))
}

/// Reads the template of the setting `name`.
pub(crate) fn template(name: &str, text: Option<&str>) -> Result<Option<Template>, SettingsError> {
    text.map(|text| Template::parse(text, &ROOTS).map_err(|error| SettingsError::of(name, error))).transpose()
}

/// What is written for an event: the template, or its fields, a line each.
pub(crate) fn text(
    template: Option<&Template>,
    fields: &Fields<'_>,
    escape: Escape,
    chars_max: usize,
) -> String {
    let mut out = Limited::new(chars_max);
    match template {
        Some(template) => template.render(|path| fields.get(path), escape, &mut out),
        None => fields.lines(escape, &mut out),
    }
    out.finish()
}

/// The fields of each event of a batch, or the refusal of the first that has none.
pub(crate) fn read(batch: &[Stored]) -> Result<Vec<Fields<'_>>, SinkError> {
    batch.iter().enumerate().map(|(at, stored)| fields(at, stored)).collect()
}

fn fields(at: usize, stored: &Stored) -> Result<Fields<'_>, SinkError> {
    Fields::read(&stored.event).map_err(|detail| SinkError::Refused { at, detail })
}

/// What several events are called in one line: `3 events: a.b (2), c.d`.
pub(crate) fn title(batch: &[Stored]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for stored in batch {
        let event_type = stored.event.event_type.as_str();
        match counts.iter_mut().find(|(counted, _)| *counted == event_type) {
            Some((_, count)) => *count += 1,
            None => counts.push((event_type, 1)),
        }
    }
    if let [(event_type, 1)] = counts[..] {
        return event_type.to_owned();
    }
    let one = |(event_type, count): &(&str, usize)| match count {
        1 => (*event_type).to_owned(),
        count => format!("{event_type} ({count})"),
    };
    let kinds = counts.iter().map(one).collect::<Vec<_>>().join(", ");
    format!("{} events: {kinds}", batch.len())
}
