//! What has no row gets one only while it is pending.

use bytes::Bytes;

use super::super::prompt::Prompt;
use super::super::statements::Statements;
use super::super::{schema, stats};
use super::*;
use crate::attempt::Exchanged;
use crate::catalog::CatalogChange;
use crate::key::AttemptKey;
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

fn delivered(event: EventKey) -> Settlement {
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

#[test]
fn what_was_delivered_while_its_row_waited_for_the_disk_gets_none() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection, 0, &crate::rng::SystemRng).unwrap();
    let mut group = Group::new(Arc::new(Nobody), Prompt::after(0), Statements::prepare(&connection).unwrap());
    let (over, pending) = (EventKey(1 << 30), EventKey(2 << 30));
    for event in [over, pending] {
        connection
            .execute(
                "INSERT INTO events (key, tenant, type, timestamp_ms, body) VALUES (?1, 1, 'a', 0, x'')",
                [event.0],
            )
            .unwrap();
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
