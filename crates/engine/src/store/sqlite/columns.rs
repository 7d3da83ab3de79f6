//! Columns that are more than a number or a text: ids, forms.
//!
//! Read `attempts.rs` next.

use rusqlite::Row;
use rusqlite::types::Type;
use vai_webhooks_wire::{EventId, WebhookId};

use crate::key::{EventKey, Realm, WebhookNo};
use crate::webhook::Form;

/// The part of a dedupe name before a producer's own id.
pub(crate) const BY_ID: &str = "id:";

/// The id of an event: the producer's own where it gave one, else made from the key.
pub(super) fn id_of(key: EventKey, dedupe: Option<&str>, realm: Realm) -> EventId {
    dedupe
        .and_then(|name| name.strip_prefix(BY_ID))
        .and_then(|id| id.parse().ok())
        .unwrap_or_else(|| key.id(realm))
}

/// Set in a webhook's number where a form follows it.
const WITH_FORM: u32 = 1 << 31;

/// Webhooks as the `targets` of an event, each with its delivery's form where that has one.
pub(super) fn targets(all: impl Iterator<Item = (WebhookNo, Option<Form>)>) -> Vec<u8> {
    let mut column = Vec::new();
    for (webhook, form) in all {
        let mark = form.map_or(0, |_| WITH_FORM);
        column.extend((webhook.0 | mark).to_le_bytes());
        column.extend(form.map(|form| form.number().to_le_bytes()).into_iter().flatten());
    }
    column
}

/// The webhooks in the `targets` of an event, with their deliveries' forms.
pub(super) fn targets_of(column: Option<&[u8]>) -> impl Iterator<Item = (WebhookNo, Option<Form>)> {
    let mut numbers = column.unwrap_or_default().as_chunks::<4>().0.iter().map(|it| u32::from_le_bytes(*it));
    std::iter::from_fn(move || {
        let number = numbers.next()?;
        let form = if number & WITH_FORM == 0 { None } else { numbers.next().and_then(Form::of_number) };
        Some((WebhookNo(number & !WITH_FORM), form))
    })
}

/// A webhook's id in a row.
pub(super) fn webhook_id(row: &Row<'_>, column: usize) -> rusqlite::Result<WebhookId> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error| damaged(column, error))
}

/// What makes a delivery's bytes, in its row.
pub(super) fn form(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Form>> {
    let number: Option<u32> = row.get(column)?;
    number.map(|it| Form::of_number(it).ok_or_else(|| damaged(column, "no format"))).transpose()
}

pub(super) fn damaged(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::Format;

    #[test]
    fn targets_are_read_back_with_their_forms_and_those_of_older_stores_have_none() {
        let form = |format, script| Some(Form { format, script });
        let all = [
            (WebhookNo(1), None),
            (WebhookNo(7), form(Format::Vai, 3)),
            (WebhookNo(u32::MAX >> 1), form(Format::Thin, 0)),
            (WebhookNo(8), None),
        ];
        let column = targets(all.into_iter());
        assert_eq!(targets_of(Some(&column)).collect::<Vec<_>>(), all);
        assert_eq!(
            targets_of(Some(&[5, 0, 0, 0, 6, 0, 0, 0])).map(|(no, _)| no.0).collect::<Vec<_>>(),
            [5, 6]
        );
        assert_eq!(targets_of(None).count(), 0);
    }
}
