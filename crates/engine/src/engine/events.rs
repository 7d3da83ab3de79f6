//! Calls on events: accept, read, send again.
//!
//! Read `webhooks.rs` next.

use std::sync::Arc;

use vai_webhooks_wire::{EventId, UnixMs, WebhookId};

use super::Engine;
use super::webhooks::call_dedupe;
use crate::attempt::Attempt;
use crate::error::EngineError;
use crate::event::{Accepted, Delivery, Event, EventSummary, NewEvent};
use crate::intake::admission::{Shed, check_backlog};
use crate::intake::{Draft, Prepared, prepare};
use crate::key::{AttemptKey, EventKey};
use crate::store::sqlite::columns::BY_ID;
use crate::store::{AcceptEvent, Acceptance, Sendable, Stats, StatsOf};
use crate::tenant::TenantId;
use crate::webhook::WebhookStatus;

/// One page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The entries.
    pub data: Vec<T>,
    /// What to ask for the next page with; `None` where this is the last.
    pub next: Option<String>,
}

/// Events of a batch that are read at a stretch, before other calls have their turn.
const STRETCH: usize = 32;

/// The most entries of one page.
pub const PAGE_MAX: usize = 250;
/// Marks a cursor as one of ours.
const CURSOR_PREFIX: &str = "c";

impl<T> Page<T> {
    /// A page of `limit` from one entry more than that, where there is one.
    pub(super) fn of(mut data: Vec<T>, limit: usize, position: impl Fn(&T) -> i64) -> Self {
        let more = data.len() > limit;
        data.truncate(limit);
        let last = data.last().filter(|_| more);
        Self { next: last.map(|entry| format!("{CURSOR_PREFIX}{:016x}", position(entry))), data }
    }
}

/// The position in a cursor.
pub(super) fn position(cursor: Option<&str>) -> Result<Option<i64>, EngineError> {
    let Some(text) = cursor else { return Ok(None) };
    let digits = text.strip_prefix(CURSOR_PREFIX).filter(|digits| digits.len() == 16);
    match digits.and_then(|digits| i64::from_str_radix(digits, 16).ok()) {
        Some(position) => Ok(Some(position)),
        None => {
            let detail = "is no cursor; use the `next` of the page before, or none for the first page";
            Err(EngineError::invalid("/cursor", "invalid_cursor", detail))
        }
    }
}

pub(super) fn page_size(limit: usize) -> Result<usize, EngineError> {
    if (1..=PAGE_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(EngineError::invalid("/limit", "out_of_range", format!("is {limit}; must be 1 to {PAGE_MAX}")))
}

impl Engine {
    /// Accepts one event: answered when it is on disk, with the deliveries that it leads to.
    pub async fn trigger(&self, tenant: TenantId, event: NewEvent) -> Result<Accepted, EngineError> {
        let draft = Draft::from_event(&event).map_err(EngineError::Invalid)?;
        self.accept_one(tenant, draft, None).await
    }

    /// Accepts one event as posted: `{"event","data"}` with optional `id`, `timestamp`, `deliverAt` and
    /// `channels`. The same `idempotency_key` with the same event gives the same event again.
    pub async fn trigger_json(
        &self,
        tenant: TenantId,
        body: &[u8],
        idempotency_key: Option<&str>,
    ) -> Result<Accepted, EngineError> {
        let draft =
            Draft::from_json(body).map_err(|problems| self.refused(EngineError::Invalid(problems)))?;
        self.accept_one(tenant, draft, idempotency_key).await
    }

    /// Accepts many events with one write. Each has its own result; those that are bad do not hold up
    /// the others. Entry `n` is known by `<idempotency_key>#<n>`.
    pub async fn trigger_batch_json(
        &self,
        tenant: TenantId,
        entries: &[&[u8]],
        idempotency_key: Option<&str>,
    ) -> Result<Vec<Result<Accepted, EngineError>>, EngineError> {
        self.check_open()?;
        let mut results = Vec::with_capacity(entries.len());
        let mut good = Vec::with_capacity(entries.len());
        let mut mismatches = Vec::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            if at % STRETCH == STRETCH - 1 {
                tokio::task::yield_now().await;
            }
            let key = idempotency_key.map(|key| format!("{key}#{at}"));
            let prepared = Draft::from_json(entry)
                .map_err(EngineError::Invalid)
                .and_then(|draft| prepare(&self.parts, tenant, &draft, key.as_deref()));
            match prepared {
                Ok(Prepared { event, data }) => {
                    let check = self.parts.catalog.check(tenant, &event.event.event_type);
                    if check.is_some() {
                        tokio::task::yield_now().await;
                    }
                    let mismatch = self.mismatch(check, data).await;
                    let stopped = self.stopped(&event, mismatch.as_ref()).await;
                    if stopped.is_none() {
                        good.push(event);
                        mismatches.push(mismatch);
                    }
                    results.push(stopped);
                }
                Err(error) => results.push(Some(Err(self.refused(error)))),
            }
        }
        let mut kept = self.keep(good).await?;
        kept.iter_mut().zip(mismatches).for_each(|(answer, mismatch)| self.warned(answer, mismatch));
        let mut kept = kept.into_iter();
        let result = |slot: Option<_>| slot.or_else(|| kept.next()).unwrap_or(Err(EngineError::ShuttingDown));
        Ok(results.into_iter().map(result).collect())
    }

    async fn accept_one(
        &self,
        tenant: TenantId,
        draft: Draft<'_>,
        idempotency_key: Option<&str>,
    ) -> Result<Accepted, EngineError> {
        self.check_open()?;
        let Prepared { event, data } =
            prepare(&self.parts, tenant, &draft, idempotency_key).map_err(|error| self.refused(error))?;
        // What was read of it takes room, which must not grow with what waits.
        drop(draft);
        let check = self.parts.catalog.check(tenant, &event.event.event_type);
        let mismatch = self.mismatch(check, data).await;
        if let Some(stopped) = self.stopped(&event, mismatch.as_ref()).await {
            return stopped;
        }
        let (sent, by_id) = (Arc::clone(&event.event), is_known_by_id(&event));
        let kept = self.written(vec![event]).await?;
        let answer = kept.first().map(|kept| self.accepted(&sent.id, by_id, kept));
        let mut answer = answer.unwrap_or(Err(EngineError::ShuttingDown));
        self.warned(&mut answer, mismatch);
        answer
    }

    async fn keep(
        &self,
        events: Vec<AcceptEvent>,
    ) -> Result<Vec<Result<Accepted, EngineError>>, EngineError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let known: Vec<_> =
            events.iter().map(|event| (Arc::clone(&event.event), is_known_by_id(event))).collect();
        let kept = self.written(events).await?;
        let answer = |((sent, by_id), kept): (_, &_)| {
            let sent: Arc<Sendable> = sent;
            self.accepted(&sent.id, by_id, kept)
        };
        Ok(known.into_iter().zip(&kept).map(answer).collect())
    }

    /// Writes events, unless there is no room for them.
    async fn written(&self, events: Vec<AcceptEvent>) -> Result<Vec<Acceptance>, EngineError> {
        let (tenant, count) = (events.first().map(|event| event.tenant), events.len());
        let has_room = tenant
            .map_or(Ok(()), |tenant| check_backlog(&self.parts.registry, tenant, self.parts.backlog_max));
        let kept = match has_room {
            Ok(()) => self.parts.store.accept(events).await.map_err(EngineError::from),
            Err(full) => Err(full),
        };
        kept.map_err(|error| self.shed(error, count))
    }

    pub(super) fn accepted(
        &self,
        id: &EventId,
        by_id: bool,
        kept: &Acceptance,
    ) -> Result<Accepted, EngineError> {
        let counters = &self.parts.counters;
        match kept {
            Acceptance::New => {
                counters.events_accepted.add(1);
                Ok(Accepted { id: id.clone(), duplicate: false, violations: Vec::new() })
            }
            Acceptance::Same(key) => {
                counters.events_repeated.add(1);
                let id = if by_id { id.clone() } else { key.id(self.parts.realm) };
                Ok(Accepted { id, duplicate: true, violations: Vec::new() })
            }
            Acceptance::Differs if by_id => Err(self.refused(EngineError::conflict(
                "content_differs",
                format!("an event with the id {id} and other content was accepted before; give this one an id of its own"),
            ))),
            Acceptance::Late => Err(self.shed(EngineError::Busy, 1)),
            Acceptance::Differs => Err(self.refused(EngineError::conflict(
                "idempotency_key_reused",
                "this Idempotency-Key was used for another event; use a new key for each event",
            ))),
        }
    }

    fn shed(&self, error: EngineError, events: usize) -> EngineError {
        if let Some(reason) = Shed::of(&error) {
            self.parts.counters.shed(reason, events);
        }
        error
    }

    pub(super) fn refused(&self, error: EngineError) -> EngineError {
        self.parts.counters.events_refused.add(1);
        error
    }

    /// A tenant's events, newest first.
    pub async fn events(
        &self,
        tenant: TenantId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<EventSummary>, EngineError> {
        let (limit, before) = (page_size(limit)?, position(cursor)?.map(EventKey));
        // One more than asked for tells whether there is a next page; its position is the key, which an
        // id of the producer's own does not tell, so that it is read with the entry.
        let found = self.parts.store.events(tenant, before, limit + 1).await?;
        Ok(Page::of(found, limit, |event| event.position.0))
    }

    /// One event.
    pub async fn event(&self, tenant: TenantId, id: &EventId) -> Result<Event, EngineError> {
        let key = self.event_key(tenant, id).await?;
        self.parts.store.event(tenant, key).await?.ok_or(EngineError::NotFound("event"))
    }

    /// What became of an event at each webhook.
    pub async fn deliveries(&self, tenant: TenantId, id: &EventId) -> Result<Vec<Delivery>, EngineError> {
        let event = self.event(tenant, id).await?;
        let all = self.parts.store.deliveries(event.summary.position).await?;
        Ok(all.into_iter().map(|(_, delivery)| delivery).collect())
    }

    /// The attempts at a webhook, newest first.
    pub async fn attempts(
        &self,
        tenant: TenantId,
        webhook: &WebhookId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Attempt>, EngineError> {
        let (limit, before) = (page_size(limit)?, position(cursor)?.map(AttemptKey));
        let no = self.live(tenant, webhook)?.stored.no;
        let found = self.parts.store.attempts(no, before, limit + 1).await?;
        let key = |attempt: &Attempt| attempt.id.parts().and_then(|(key, _)| i64::try_from(key).ok());
        Ok(Page::of(found, limit, |attempt| key(attempt).unwrap_or_default()))
    }

    /// Sends an event again, now: to one webhook, whether it had it before or not; or to all that had it
    /// and are still there; or, where none had it, to those that would take it now. Answers to which. The same
    /// `idempotency` key with the same posted bytes sends it once.
    pub async fn resend(
        &self,
        tenant: TenantId,
        id: &EventId,
        webhook: Option<&WebhookId>,
        idempotency: Option<(&str, &[u8])>,
    ) -> Result<Vec<WebhookId>, EngineError> {
        self.check_open()?;
        let call = format!("resend:{id}");
        let dedupe = idempotency.map(|(key, posted)| call_dedupe(&call, key, posted)).transpose()?;
        if let Some(dedupe) = &dedupe {
            self.repeated(tenant, dedupe).await?;
        }
        let event = self.event(tenant, id).await?;
        let targets = match webhook {
            Some(webhook) => vec![self.live(tenant, webhook)?],
            None => {
                let had = self.parts.store.deliveries(event.summary.position).await?;
                match had.is_empty() {
                    true => self.parts.registry.targets(tenant, &event.summary.event_type, &[]).targets,
                    false => had.into_iter().filter_map(|(no, _)| self.parts.registry.by_no(no)).collect(),
                }
            }
        };
        if targets.is_empty() {
            let detail = "no webhook that is still there had this event, and none takes it now; name one";
            return Err(EngineError::conflict("nowhere_to_send", detail));
        }
        if let Some(disabled) = targets.iter().find(|live| live.stored.status == WebhookStatus::Disabled) {
            let detail = format!("webhook {} is disabled; resume it first", disabled.stored.id);
            return Err(EngineError::conflict("webhook_disabled", detail));
        }
        let numbers = targets.iter().map(|live| live.stored.no).collect();
        let call = dedupe.map(|dedupe| (tenant, dedupe));
        self.parts.store.reopen(event.summary.position, numbers, self.parts.clock.now(), call).await?;
        Ok(targets.iter().map(|live| live.stored.id.clone()).collect())
    }

    /// The counts of all of a tenant's webhooks, deleted ones among them.
    pub async fn stats(&self, tenant: TenantId) -> Result<Stats, EngineError> {
        Ok(self.parts.store.stats(StatsOf::Tenant(tenant)).await?)
    }

    /// The counts of everybody's webhooks, and since when the oldest due delivery waits.
    pub async fn totals(&self) -> Result<(Stats, Option<UnixMs>), EngineError> {
        let stats = self.parts.store.stats(StatsOf::All).await?;
        Ok((stats, self.parts.store.oldest_due(self.parts.clock.now()).await?))
    }

    async fn event_key(&self, tenant: TenantId, id: &EventId) -> Result<EventKey, EngineError> {
        if let Some(key) = EventKey::of(id, self.parts.realm) {
            return Ok(key);
        }
        let found = self.parts.store.event_key(tenant, id.clone()).await?;
        found.ok_or(EngineError::NotFound("event"))
    }
}

/// Whether a repeat of an event is known by the producer's own id, in place of an idempotency key.
pub(super) fn is_known_by_id(event: &AcceptEvent) -> bool {
    event.dedupe.as_ref().is_some_and(|dedupe| dedupe.name.starts_with(BY_ID))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_on_and_anything_else_is_none() {
        let page = Page::of(vec![9_i64, 8, 7], 2, |entry| *entry);
        assert_eq!(page.data, [9, 8]);
        assert_eq!(position(page.next.as_deref()).unwrap(), Some(8));
        assert_eq!(Page::of(vec![9_i64, 8], 2, |entry| *entry).next, None);
        for bad in ["", "8", "c8", "cxxxxxxxxxxxxxxxx", "c00000000000000080", "cffffffffffffffff"] {
            assert!(position(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
