//! What has no row gets one only while it is pending.

use std::sync::Arc;

use bytes::Bytes;

use super::super::fates::fates;
use super::super::prompt::{Prompt, recover};
use super::super::statements::Statements;
use super::super::{events, schema, stats};
use super::*;
use crate::attempt::Exchanged;
use crate::catalog::CatalogChange;
use crate::key::{AttemptKey, Realm};
use crate::store::{AcceptEvent, Committed, Hooks, Route, StatsOf, StoreError, StoredWebhook};
use crate::tenant::TenantId;

const WEBHOOK: WebhookNo = WebhookNo(1);

/// Nobody listens to these commits.
struct Nobody;

impl Hooks for Nobody {
    fn route(&self, _: &AcceptEvent) -> Route {
        Route { targets: Vec::new(), nowhere: None }
    }
    fn is_crowded(&self, _: TenantId) -> bool {
        false
    }
    fn webhook_changed(&self, _: StoredWebhook) {}
    fn catalog_changed(&self, _: CatalogChange) {}
    fn pending_changed(&self, _: WebhookNo, _: i64) {}
    fn committed(&self, _: Committed) {}
    fn failed(&self, _: &StoreError) {}
}

/// A first attempt that was taken.
pub(in super::super) fn delivered(event: EventKey) -> Settlement {
    let exchanged = Exchanged {
        took: std::time::Duration::ZERO,
        address: None,
        status: Some(200),
        failure: None,
        detail: None,
        answer: Bytes::new(),
        answer_cut: false,
    };
    Settlement {
        event,
        webhook: WEBHOOK,
        attempt: AttemptKey(event.0 + 1),
        number: 1,
        started_at: UnixMs(1),
        ended_at: UnixMs(2),
        exchanged,
        state: DeliveryState::Delivered,
        due: None,
        disables: false,
        note: None,
        form: None,
    }
}

/// The same with an answer that is too large for the ledger.
fn large(event: EventKey) -> Settlement {
    let mut settlement = delivered(event);
    settlement.exchanged.answer = vec![b'a'; 300].into();
    settlement
}

fn store() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection, 0, &crate::rng::SystemRng).unwrap();
    connection
}

fn group(connection: &Connection) -> Group<'_> {
    Group::new(Arc::new(Nobody), Prompt::after(0), Statements::prepare(connection).unwrap())
}

/// An event that went to the one webhook.
fn insert_event(connection: &Connection, event: EventKey) {
    let targets = columns::targets(std::iter::once((WEBHOOK, None)));
    let insert =
        "INSERT INTO events (key, tenant, type, timestamp_ms, targets, body) VALUES (?1, 1, 'a', 0, ?2, x'')";
    connection.prepare_cached(insert).unwrap().execute(params![event.0, targets]).unwrap();
}

#[test]
fn what_was_delivered_while_its_row_waited_for_the_disk_gets_none() {
    let connection = store();
    let mut group = group(&connection);
    let (over, pending) = (EventKey(1 << 30), EventKey(2 << 30));
    for event in [over, pending] {
        insert_event(&connection, event);
        group.prompt.add(event, WEBHOOK);
        group.ledger.counts(WEBHOOK).pending += 1;
    }
    // A commit stalls: results wait for the next one, and so does what has been in memory for long by then.
    settle(&connection, &mut group, &delivered(over)).unwrap();
    for event in [over, pending] {
        park(&connection, &mut group, Parked { event, webhook: WEBHOOK, due: UnixMs(1) }).unwrap();
    }
    group.ledger.write(&connection).unwrap();
    assert_eq!(row_state(&connection, over, WEBHOOK).unwrap(), None);
    assert_eq!(row_state(&connection, pending, WEBHOOK).unwrap(), Some(DeliveryState::Pending));
    let counts = stats::read(&connection, StatsOf::Webhook(WEBHOOK)).unwrap();
    assert_eq!((counts.sent, counts.pending), (1, 1));
    assert_eq!(group.prompt.oldest(), None, "each is accounted for once");
}

#[test]
fn after_a_crash_what_was_not_settled_gets_a_row_however_much_was_settled_since_the_mark() {
    const EVENTS: i64 = 9_000;
    let mut connection = store();
    let mut group = group(&connection);
    let mut open = Vec::new();
    // The clock stands still, and the mark with it: all keys are within a millisecond.
    for number in 0..EVENTS {
        let event = EventKey((1 << 40) + 2 * number);
        insert_event(&connection, event);
        group.prompt.add(event, WEBHOOK);
        match number % 1_000 {
            998 => settle(&connection, &mut group, &large(event)).unwrap(),
            999 => open.push(event),
            _ => settle(&connection, &mut group, &delivered(event)).unwrap(),
        }
    }
    group.ledger.write(&connection).unwrap();
    group.prompt.write(&connection).unwrap();
    drop(group);
    assert_eq!(recover(&mut connection).unwrap(), 9);
    for event in open {
        assert_eq!(row_state(&connection, event, WEBHOOK).unwrap(), Some(DeliveryState::Pending));
    }
    assert_eq!(recover(&mut connection).unwrap(), 0);
}

#[test]
fn a_delivery_that_is_sent_again_while_its_first_attempt_is_on_its_way_to_the_disk_is_known_to_be_tried() {
    let connection = store();
    let mut group = group(&connection);
    let (taken, open) = (EventKey(1 << 30), EventKey(2 << 30));
    for event in [taken, open] {
        insert_event(&connection, event);
        group.prompt.add(event, WEBHOOK);
    }
    settle(&connection, &mut group, &delivered(taken)).unwrap();
    for event in [taken, open] {
        reopen(&connection, &mut group, event, WEBHOOK, UnixMs(3)).unwrap();
    }
    settle(&connection, &mut group, &delivered(open)).unwrap();
    group.ledger.write(&connection).unwrap();
    let fates = |event| fates(&connection, std::iter::once((event, None))).unwrap().pop().unwrap();
    let shown = |event| fates(event).into_iter().map(|fate| (fate.state, fate.attempts)).collect::<Vec<_>>();
    assert_eq!(shown(taken), [(DeliveryState::Pending, 1)]);
    assert_eq!(shown(open), [(DeliveryState::Delivered, 1)]);
}

#[test]
fn a_page_with_more_deliveries_than_are_looked_at_together_is_counted_whole() {
    const WEBHOOKS: u32 = 1_500;
    let connection = store();
    let mut group = group(&connection);
    let events: Vec<EventKey> = (1..=7).map(|number| EventKey(number << 30)).collect();
    let targets = columns::targets((1..=WEBHOOKS).map(|webhook| (WebhookNo(webhook), None)));
    for event in &events {
        insert_event(&connection, *event);
        let set = "UPDATE events SET targets = ?2 WHERE key = ?1";
        connection.execute(set, params![event.0, targets]).unwrap();
        group.ledger.event(TenantId(1), *event);
        for webhook in (1..=WEBHOOKS).map(WebhookNo) {
            group.prompt.add(*event, webhook);
            if webhook.0 % 3 == 0 {
                settle(&connection, &mut group, &Settlement { webhook, ..delivered(*event) }).unwrap();
            }
        }
    }
    group.ledger.write(&connection).unwrap();
    let page = events::list(&connection, TenantId(1), None, 10, Realm(1)).unwrap();
    let keys: Vec<_> = page.iter().rev().map(|summary| summary.position).collect();
    assert_eq!(keys, events);
    for summary in page {
        assert_eq!((summary.deliveries.delivered, summary.deliveries.pending), (500, 1_000));
    }
}
