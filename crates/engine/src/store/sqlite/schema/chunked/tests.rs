//! What an older store held is there after it.

use super::super::super::{attempts, ledger as kept, schema};
use super::*;
use crate::key::millis_later;
use crate::store::StatsOf;

/// A store of version 6: two attempts and two events in tables, one of each in the log alone, and one of each in both,
/// since a fold was under way.
const BEFORE: &str = "
INSERT INTO attempts_of (webhook, key, event, number) VALUES (3, 10, 9, 1), (3, 20, 9, 2), (4, 15, 9, 1);
INSERT INTO events_of (tenant, key) VALUES (7, 9), (7, 19);
INSERT INTO stats (webhook, sent, failed, cancelled, pending, attempts) VALUES (3, 1, 0, 0, 0, 2);
INSERT INTO meta (name, value) VALUES ('ledger_folded_upto', 1), ('ledger_folded_done', 3);
";

#[test]
fn tables_and_log_of_an_older_store_are_brought_into_chunks() {
    let mut connection = Connection::open_in_memory().unwrap();
    for migration in &schema::MIGRATIONS[..6] {
        connection.execute_batch(migration).unwrap();
    }
    connection.execute_batch(BEFORE).unwrap();
    // Webhook 3, which is folded; then tenant 7 with event 29, which is not; as zigzag varints.
    let counts = [2_u8, 0, 0, 0, 2, 0, 0];
    let of_webhook = [&[6], &counts[..], &[2, 40, 22, 4]].concat();
    let of_tenant = [0x8e_u8, 0x80, 0x80, 0x80, 0x20, 2, 58];
    let folded = [&of_webhook[..], &of_tenant].concat();
    // And webhook 3 again, in a later row, with attempt 30 of event 29.
    let later = [&[6], &counts[..], &[2, 60, 2, 2]].concat();
    for (no, entries) in [(1, folded), (2, later)] {
        connection
            .execute("INSERT INTO ledger_log (no, entries) VALUES (?1, ?2)", params![no, entries])
            .unwrap();
    }

    schema::migrate(&mut connection, 6, &crate::rng::SystemRng).unwrap();
    let of = |webhook| {
        let found = attempts::recorded(&connection, WebhookNo(webhook), AttemptKey(i64::MAX), 10).unwrap();
        found.into_iter().map(|it| (it.key.0, it.event.0, it.number, it.whole)).collect::<Vec<_>>()
    };
    assert_eq!(of(3), [(30, 29, 1, None), (20, 9, 2, None), (10, 9, 1, None)]);
    assert_eq!(of(4), [(15, 9, 1, None)]);
    let events = kept::newest(&connection, Of::Tenant(TenantId(7)), millis_later(0, 1), 10).unwrap();
    assert_eq!(events.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [29, 19, 9]);
    let stats = stats::read(&connection, StatsOf::Webhook(WebhookNo(3))).unwrap();
    assert_eq!((stats.sent, stats.attempts), (2, 3));
    let left: i64 = connection.query_row("SELECT count(*) FROM ledger_log", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn what_any_older_version_held_is_found_by_webhook_and_by_tenant() {
    for from in 1..=6 {
        let mut connection = Connection::open_in_memory().unwrap();
        for migration in &schema::MIGRATIONS[..from] {
            connection.execute_batch(migration).unwrap();
        }
        connection
            .execute_batch(
                "INSERT INTO events (key, tenant, type, timestamp_ms, body) VALUES (9, 7, 'a', 0, x''), (19, 7, 'a', 0, x'');
                 INSERT INTO attempts (event, webhook, number, key, started_ms, took_us, answer_cut)
                     VALUES (9, 3, 1, 10, 0, 0, 0), (19, 3, 1, 20, 0, 0, 0);",
            )
            .unwrap();
        // From this one on by writers, before that by an index.
        if from >= 4 {
            connection
                .execute_batch(
                    "INSERT INTO attempts_of SELECT webhook, key, event, number FROM attempts;
                     INSERT INTO events_of SELECT tenant, key FROM events;",
                )
                .unwrap();
        }
        schema::migrate(&mut connection, i32::try_from(from).unwrap(), &crate::rng::SystemRng).unwrap();
        let found = attempts::recorded(&connection, WebhookNo(3), AttemptKey(i64::MAX), 10).unwrap();
        let found = found.into_iter().map(|it| (it.key.0, it.event.0, it.number)).collect::<Vec<_>>();
        assert_eq!(found, [(20, 19, 1), (10, 9, 1)], "from {from}");
        let events = kept::newest(&connection, Of::Tenant(TenantId(7)), i64::MAX, 10).unwrap();
        assert_eq!(events.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [19, 9], "from {from}");
    }
}
