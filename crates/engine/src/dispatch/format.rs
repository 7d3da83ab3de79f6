//! From an event, or what a script made of it, to the body in the webhook's format.
//!
//! Sources: the CloudEvents 1.0.2 specification, its JSON format and its HTTP protocol binding; the payload of the
//! Standard Webhooks specification. The event's own body was built and checked by us, and is taken apart here by its
//! own rules. Invariant: the data's bytes are copied, never written again. Read `render.rs` next.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use vai_webhooks_wire::UnixMs;
use vai_webhooks_wire::envelope::Envelope;

use crate::parts::Parts;
use crate::store::Sendable;
use crate::transform::Shaped;
use crate::webhook::live::Live;
use crate::webhook::{Form, Format};

/// The content type of most bodies.
pub(crate) const JSON: &str = "application/json";
/// The content type of an event in CloudEvents' JSON format.
const CLOUDEVENTS_JSON: &str = "application/cloudevents+json";

/// What is sent where it is not the event as it was accepted.
pub(crate) struct Outgoing {
    /// The body, and what a script set.
    pub(crate) shaped: Shaped,
    pub(crate) content_type: &'static str,
    /// Headers of the format, which stand before all others of their names.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Outgoing {
    fn json(shaped: Shaped) -> Self {
        Self { shaped, content_type: JSON, headers: Vec::new() }
    }
}

/// The event in a format, with the data that a script made of it, where one did. An error says why it cannot be
/// written now.
pub(crate) fn write(
    parts: &Parts,
    live: &Live,
    format: Format,
    event: &Sendable,
    scripted: Option<Shaped>,
) -> Result<Outgoing, String> {
    // What a script makes is the whole body in these two.
    let scripted = match scripted {
        Some(shaped) if matches!(format, Format::Vai | Format::Raw) => return Ok(Outgoing::json(shaped)),
        scripted => scripted,
    };
    let envelope: Envelope<'_> =
        serde_json::from_slice(&event.body).map_err(|error| format!("the event is damaged: {error}"))?;
    let mut shaped = scripted.unwrap_or_else(|| Shaped {
        body: Bytes::copy_from_slice(envelope.data.get().as_bytes()),
        headers: Vec::new(),
        path: None,
        query: None,
    });
    let (id, event_type, time) = (event.id.as_str(), &*event.event_type, envelope.timestamp);
    let is = || Attributes { id, event_type, time, source: source(parts, live) };
    let data = std::str::from_utf8(&shaped.body)
        .map_err(|error| format!("the transformation's result is no text: {error}"))?;
    let body = match format {
        Format::Vai | Format::Raw => return Ok(Outgoing::json(shaped)),
        Format::CloudeventsBinary => {
            return Ok(Outgoing { shaped, content_type: JSON, headers: is().headers() });
        }
        Format::Standard => format!(r#"{{"type":"{event_type}","timestamp":"{time}","data":{data}}}"#),
        Format::Cloudevents => is().structured(data),
        Format::Thin => {
            let url = parts.links.make(live.stored.no, event.key);
            let url = url.ok_or("the format thin needs public_url, which this server has not been given")?;
            format!(r#"{{"id":"{id}","event":"{event_type}","timestamp":"{time}","url":"{url}"}}"#)
        }
    };
    shaped.body = body.into();
    let content_type = if format == Format::Cloudevents { CLOUDEVENTS_JSON } else { JSON };
    Ok(Outgoing { shaped, content_type, headers: Vec::new() })
}

/// A `webhook.test` in the webhook's format. `thin` has no part in it: nothing is kept yet that a link could lead to.
pub(crate) fn test(
    parts: &Parts,
    live: &Live,
    event: &Sendable,
) -> Result<(Option<Form>, Option<Outgoing>), String> {
    match live.stored.config.format {
        Format::Vai | Format::Thin => Ok((None, None)),
        format => {
            let outgoing = write(parts, live, format, event, None)?;
            Ok((Some(Form { format, script: 0 }), Some(outgoing)))
        }
    }
}

/// Who makes the event: the tenant. With the id it is unique.
fn source(parts: &Parts, live: &Live) -> String {
    // A name and a type have no character that JSON, a URI or a header would escape.
    let tenant = parts.key_ring.tenant_name(live.stored.tenant);
    format!("urn:vai-webhooks:{}", tenant.as_ref().map_or("unknown", |name| name.as_str()))
}

/// What CloudEvents calls context attributes. None of them needs escaping: ids, types and tenants' names are of
/// letters, digits, `_`, `-`, `.` and `:`.
struct Attributes<'a> {
    id: &'a str,
    event_type: &'a str,
    time: UnixMs,
    source: String,
}

impl Attributes<'_> {
    fn structured(&self, data: &str) -> String {
        let Self { id, event_type, time, source } = self;
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"{event_type}","time":"{time}","datacontenttype":"application/json","data":{data}}}"#
        )
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let time = self.time.to_string();
        [
            ("ce-specversion", "1.0"),
            ("ce-id", self.id),
            ("ce-source", &self.source),
            ("ce-type", self.event_type),
            ("ce-time", &time),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)))
        .collect()
    }
}
