//! What the ledger promises.

mod model;

use proptest::prelude::*;

use super::super::{attempts, schema, stats};
use super::entry::Logged;
use super::*;
use crate::key::AttemptKey;
use crate::store::StatsOf;

const TENANT: TenantId = TenantId(7);

fn store() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection, 0, &crate::rng::SystemRng).unwrap();
    connection
}

fn sent(connection: &Connection, of: StatsOf) -> u64 {
    stats::read(connection, of).unwrap().sent
}

/// A commit that counts one delivery, made at one attempt, for each of these webhooks.
fn commit(
    connection: &mut Connection,
    ledger: &mut Ledger,
    number: i64,
    webhooks: impl Iterator<Item = u32>,
) {
    let transaction = connection.transaction().unwrap();
    for webhook in webhooks {
        let webhook = WebhookNo(webhook);
        ledger.counts(webhook).sent += 1;
        let key = AttemptKey(number);
        ledger
            .attempt(webhook, key, |bytes| attempts::record::put_which(key, EventKey(number - 1), 1, bytes));
    }
    ledger.event(TENANT, EventKey(number));
    ledger.write(&transaction).unwrap();
    transaction.commit().unwrap();
    ledger.take().for_each(drop);
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// The newest attempts at a webhook, by their keys.
fn newest(connection: &Connection, webhook: u32, limit: usize) -> Vec<i64> {
    let found = attempts::recorded(connection, WebhookNo(webhook), AttemptKey(i64::MAX), limit);
    found.unwrap().into_iter().map(|attempt| attempt.key.0).collect()
}

#[test]
fn what_is_known_is_exact_after_every_commit_of_a_fold_and_after_a_crash_in_it() {
    const WEBHOOKS: u32 = 5_000;
    let (mut connection, mut ledger) = (store(), Ledger::default());
    let mut commits = 0;
    let (mut began, mut ended) = (false, false);
    while !ended {
        commits += 1;
        commit(&mut connection, &mut ledger, commits, 1..=WEBHOOKS);
        let exact = |connection: &Connection| {
            let each = u64::try_from(commits).unwrap();
            assert_eq!(sent(connection, StatsOf::All), each * u64::from(WEBHOOKS));
            for webhook in [1, 17, WEBHOOKS] {
                assert_eq!(sent(connection, StatsOf::Webhook(WebhookNo(webhook))), each);
                assert_eq!(newest(connection, webhook, 3), (1..=commits).rev().take(3).collect::<Vec<_>>());
            }
        };
        exact(&connection);
        ended = began && ledger.fold.is_none();
        began |= ledger.fold.is_some();
        if commits % 20 == 0 {
            // What a crash leaves, opened again.
            let mut copy = Connection::open_in_memory().unwrap();
            rusqlite::backup::Backup::new(&connection, &mut copy).unwrap().step(-1).unwrap();
            fold_all(&mut copy).unwrap();
            assert_eq!(count(&copy, "ledger_log"), 0);
            exact(&copy);
        }
    }
    assert!(count(&connection, "ledger_log") < commits, "what is folded is deleted");
}

#[test]
fn the_log_stays_bounded_and_a_few_webhooks_need_none() {
    let (mut connection, mut ledger) = (store(), Ledger::default());
    (1..=100).for_each(|number| commit(&mut connection, &mut ledger, number, 1..=8));
    assert_eq!(count(&connection, "ledger_log"), 0);
    for round in 0..3_000 {
        let webhooks = (round..round + 100).map(|it| it % 20_000);
        commit(&mut connection, &mut ledger, i64::from(round) + 1_000, webhooks);
    }
    let bound = i64::try_from(2 * LOGGED_MAX / (100 * 64) + 3 * FOLD_COMMITS_MAX).unwrap();
    assert!(count(&connection, "ledger_log") < bound, "{} rows", count(&connection, "ledger_log"));
    assert_eq!(sent(&connection, StatsOf::All), 100 * 8 + 3_000 * 100);
}

proptest! {
    #[test]
    fn what_is_logged_is_read_back(
        webhook: u32,
        tenant in 1_i64..1 << 40,
        counts: [i64; 5],
        times in proptest::array::uniform2(1_i64..),
        attempts: Vec<(i64, Vec<u8>)>,
        events: Vec<i64>,
    ) {
        let [sent, failed, cancelled, pending, attempted] = counts;
        let [last_sent_ms, last_failed_ms] = times.map(Some);
        let counts =
            Delta { sent, failed, cancelled, pending, attempts: attempted, last_sent_ms, last_failed_ms };
        let (mut of_webhook, mut of_tenant) = (Entry { counts, ..Entry::default() }, Entry::default());
        for (key, content) in &attempts {
            of_webhook.records.push(*key, |bytes| bytes.extend(content));
        }
        events.iter().for_each(|key| of_tenant.records.push(*key, |_| ()));
        let (webhook, tenant) = (Of::Webhook(WebhookNo(webhook)), Of::Tenant(TenantId(tenant)));
        prop_assert!(webhook.number() < tenant.number());
        let mut bytes = Vec::new();
        of_webhook.encode(webhook, &mut bytes);
        of_tenant.encode(tenant, &mut bytes);
        let mut rest = &bytes[..];
        let read = Logged::decode(&mut rest).unwrap();
        prop_assert_eq!((read.of, read.counts), (webhook, counts));
        let found: Vec<_> = records::records(read.records).map(|(key, content)| (key, content.to_vec())).collect();
        prop_assert_eq!(found, attempts);
        let read = Logged::decode(&mut rest).unwrap();
        prop_assert_eq!((read.of, read.counts), (tenant, Delta::default()));
        prop_assert!(records::records(read.records).map(|(key, _)| key).eq(events));
        prop_assert_eq!(Logged::decode(&mut rest), None);
    }
}
