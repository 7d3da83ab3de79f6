//! An event as a row.
//!
//! Invariant: as many cells as its table has columns, each of its column's kind or NULL. Read `views.rs` next.

use serde_json::Value;
use vai_webhooks_wire::{Envelope, UnixMs};

use super::{Kind, TABLES, Table};
use crate::event::Event;

/// A value for a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Integer(i64),
    Real(f64),
    Bool(bool),
    Time(UnixMs),
    Json(String),
}

/// A row, and the place of its table in [`TABLES`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) table: usize,
    pub(crate) cells: Vec<Cell>,
}

impl Row {
    /// Lays an event out; an error where its body is none, which was looked at before it was stored.
    pub(crate) fn of(event: &Event) -> Result<Self, String> {
        let envelope: Envelope<'_> = event.envelope().map_err(|error| error.to_string())?;
        let spelled = envelope.data.get();
        let data: Value =
            serde_json::from_str(spelled).map_err(|error| format!("its data cannot be read: {error}"))?;
        let table = Table::index_of(&event.event_type);
        let mut cells = vec![
            Cell::Text(event.id.clone()),
            Cell::Time(envelope.timestamp),
            Cell::Time(event.received_at),
            event.webhook_id.clone().map_or(Cell::Null, Cell::Text),
        ];
        cells.extend(TABLES[table].columns.iter().map(|column| match column.path {
            [] => Cell::Text(event.event_type.clone()),
            path => cell(column.kind, path.iter().try_fold(&data, |value, name| value.get(name))),
        }));
        cells.push(Cell::Json(spelled.to_owned()));
        Ok(Self { table, cells })
    }
}

fn cell(kind: Kind, value: Option<&Value>) -> Cell {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Cell::Null };
    let found = match kind {
        Kind::Text => Some(Cell::Text(value.as_str().map_or_else(|| value.to_string(), str::to_owned))),
        Kind::Integer => whole(value).map(Cell::Integer),
        Kind::Real => value.as_f64().map(Cell::Real),
        Kind::Bool => value.as_bool().map(Cell::Bool),
        Kind::Time => value.as_str().and_then(|text| text.parse().ok()).map(Cell::Time),
        Kind::Json => Some(Cell::Json(value.to_string())),
    };
    found.unwrap_or(Cell::Null)
}

/// `12` and `12.0` are both twelve.
fn whole(value: &Value) -> Option<i64> {
    /// Up to here every whole number is a double of its own.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within what a double holds exactly")]
    let of_real = |real: f64| (real.fract() == 0.0 && real.abs() <= EXACT_MAX).then_some(real as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(of_real))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn row(event_type: &str, data: &str) -> Row {
        let body = format!(
            r#"{{"id":"evt_1","event":"{event_type}","timestamp":"2026-01-01T00:00:00.000Z","data":{data}}}"#
        );
        let event = Event {
            id: "evt_1".to_owned(),
            event_type: event_type.to_owned(),
            webhook_id: None,
            scheme: "v1".to_owned(),
            received_at: UnixMs(1),
            body: Bytes::from(body),
        };
        let row = Row::of(&event).unwrap();
        assert_eq!(row.cells.len(), TABLES[row.table].all_columns().count());
        row
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn each_member_that_the_page_names_has_its_column() {
        let data = r#"{"sessionId":"s","duration":1.5,"messageCount":12.0,"summary":{"a":1},"satisfaction":1,"resolved":true}"#;
        let row = row("conversation.ended", data);
        assert_eq!(TABLES[row.table].name, "conversation_ended");
        let expected = [
            text("s"),
            Cell::Real(1.5),
            Cell::Integer(12),
            text(r#"{"a":1}"#),
            Cell::Real(1.0),
            Cell::Bool(true),
            Cell::Json(data.to_owned()),
        ];
        assert_eq!(row.cells[4..], expected);
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_null_and_no_event_is_refused() {
        let data =
            r#"{"sessionId":null,"duration":"long","messageCount":1.5,"satisfaction":[],"resolved":"yes"}"#;
        let cells = row("conversation.ended", data).cells;
        assert!(cells[4..10].iter().all(|cell| *cell == Cell::Null), "{cells:?}");
        for data in ["null", "7", "[]", r#""text""#] {
            assert_eq!(row("message.sent", data).cells[4], Cell::Null);
        }
    }

    #[test]
    fn other_types_share_a_table() {
        let row = row("order.made", r#"{"userId":"u"}"#);
        assert_eq!(TABLES[row.table].name, "other_events");
        assert_eq!(row.cells[4..8], [text("order.made"), Cell::Null, Cell::Null, text("u")]);
    }
}
