//! What became of an event: the event, and its deliveries with every attempt.
//!
//! Read `key.rs` next.

use std::io;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answers::{Delivery, Event, Page, state};
use super::http::{Api, CallError, encoded};
use super::pretty;
use super::screen::{Piece, Screen, cut, dim, strong, toned};
use super::when::{shown, shown_ms};

/// Lines of an event's data that are shown.
const DATA_LINES_MAX: usize = 24;

/// Characters of a failure's sentence that are shown: what a line of 80 has room for.
const DETAIL_CHARS_MAX: usize = 73;

/// An event and its deliveries.
pub(super) struct Fate {
    event: Event,
    deliveries: Vec<Delivery>,
    event_json: String,
    deliveries_json: String,
}

/// Asks for the event, then for its deliveries.
pub(super) async fn read(api: &Api, id: &str) -> Result<Fate, CallError> {
    #[derive(Deserialize)]
    struct Raw {
        data: Box<RawValue>,
    }
    let path = format!("/v1/events/{}", encoded(id));
    let event = api.get(&path).await?;
    let deliveries = api.get(&format!("{path}/deliveries")).await?;
    Ok(Fate {
        event: event.read()?,
        deliveries: deliveries.read::<Page<Delivery>>()?.data,
        deliveries_json: deliveries.read::<Raw>()?.data.get().to_owned(),
        event_json: event.text,
    })
}

impl Fate {
    /// Both answers in one object, as they came.
    pub(super) fn json(&self) -> String {
        format!("{{\"event\":{},\"deliveries\":{}}}", self.event_json, self.deliveries_json)
    }

    /// Whether nothing is to come any more.
    pub(super) fn is_final(&self) -> bool {
        self.deliveries.iter().all(|delivery| delivery.state != "pending")
    }

    /// Whether every webhook that it was for has it.
    pub(super) fn is_good(&self) -> bool {
        self.deliveries.iter().all(|delivery| delivery.state == "delivered")
    }

    /// Prints everything.
    pub(super) fn show(&self, out: &mut Screen<'_>) -> io::Result<()> {
        let event = &self.event;
        out.line(&[strong(event.id.as_str()), "  ".into(), event.event.as_str().into()])?;
        out.field("happened", format!("{} UTC", shown_ms(event.timestamp)).into())?;
        out.field("accepted", format!("{} UTC", shown_ms(event.accepted_at)).into())?;
        if let Some(at) = event.deliver_at {
            out.field("deliver at", format!("{} UTC", shown_ms(at)).into())?;
        }
        self.show_data(out)?;
        self.show_deliveries(out)
    }

    fn show_data(&self, out: &mut Screen<'_>) -> io::Result<()> {
        let Some(data) = &self.event.data else { return Ok(()) };
        let text = pretty::indent(data.get());
        for (at, line) in text.lines().take(DATA_LINES_MAX).enumerate() {
            out.field(if at == 0 { "data" } else { "" }, line.into())?;
        }
        match text.lines().count().saturating_sub(DATA_LINES_MAX) {
            0 => Ok(()),
            more => out.field("", dim(format!("… {more} lines more; --json shows all"))),
        }
    }

    /// Prints what became of it at each webhook.
    pub(super) fn show_deliveries(&self, out: &mut Screen<'_>) -> io::Result<()> {
        if self.deliveries.is_empty() {
            let why = self.event.nowhere.as_ref().map_or("it has no deliveries", |nowhere| nowhere.words());
            return out.line(&["went to no webhook: ".into(), why.into()]);
        }
        self.deliveries.iter().try_for_each(|delivery| show_delivery(delivery, out))
    }
}

fn show_delivery(delivery: &Delivery, out: &mut Screen<'_>) -> io::Result<()> {
    let next = match delivery.next_attempt_at {
        Some(at) if delivery.state == "pending" => dim(format!("  next attempt {} UTC", shown(at))),
        _ => Piece::from(""),
    };
    let webhook = strong(delivery.webhook_id.as_str());
    out.line(&["at ".into(), webhook, ": ".into(), state(&delivery.state), next])?;
    if let Some(reason) = delivery.reason.as_deref().filter(|_| delivery.next_attempt_at.is_none()) {
        let held = if delivery.state == "pending" { "held until it is mended: " } else { "" };
        out.line(&["       ".into(), dim(format!("{held}{reason}"))])?;
    }
    for attempt in &delivery.attempts {
        let exchange = &attempt.exchange;
        let number = format!("  {:>3}  ", attempt.number);
        let when = dim(format!("{}  ", shown_ms(attempt.started_at)));
        out.line(&[number.into(), when, toned(exchange.tone(), exchange.summary())])?;
        if let Some(detail) = &exchange.detail {
            out.line(&["       ".into(), dim(cut(detail, DETAIL_CHARS_MAX))])?;
        }
    }
    Ok(())
}
