//! What is found in tables and log, against a plain list of all that was written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use proptest::sample::Index;

use super::super::super::attempts::record::{Recorded, Whole, is_whole, write};
use super::super::super::attempts::taken::taken;
use super::super::super::deliveries::tests::delivered;
use super::*;
use crate::attempt::Exchanged;
use crate::key::millis_later;
use crate::store::Settlement;
use vai_webhooks_wire::UnixMs;

/// Webhooks of a group that goes into the log, and enough of them that a fold takes several commits.
const MANY: u32 = 300;
/// From one group to the next, in milliseconds; attempts may be older or younger by five of them.
const STEP_MS: i64 = 3_000;

#[derive(Debug, Clone)]
struct Made {
    webhook: u32,
    /// After the group's beginning.
    ms: i64,
    /// After its event.
    later_ms: i64,
    number: u32,
    answer: usize,
}

fn made(webhooks: u32) -> impl Strategy<Value = Made> {
    let later_ms = prop_oneof![8 => 0_i64..50, 2 => 0_i64..12_000, 1 => Just(10_000), 1 => Just(10_001)];
    let number = prop_oneof![4 => Just(1_u32), 1 => 2_u32..4];
    let answer = prop_oneof![4 => Just(2_usize), 1 => 0_usize..300, 1 => Just(256), 1 => Just(257)];
    let all = (1..=webhooks, 0..5 * STEP_MS, later_ms, number, answer);
    all.prop_map(|(webhook, ms, later_ms, number, answer)| Made { webhook, ms, later_ms, number, answer })
}

/// What is written in one commit, and what comes with it.
#[derive(Debug, Clone)]
struct Step {
    made: Vec<Made>,
    /// Whether it is time for a fold.
    folds: bool,
    /// Whether a crash comes after it.
    crashes: bool,
    /// What is looked for after it: at which webhook, below which of its keys, how many.
    looks: Vec<(u32, Index, usize)>,
}

fn step() -> impl Strategy<Value = Step> {
    let made = prop_oneof![
        proptest::collection::vec(made(4), 1..40),
        proptest::collection::vec(made(MANY), 100..400)
    ];
    let looks = proptest::collection::vec((prop_oneof![1_u32..=4, 1..=MANY], any::<Index>(), 1_usize..12), 3);
    let all = (made, proptest::bool::weighted(0.3), proptest::bool::weighted(0.2), looks);
    all.prop_map(|(made, folds, crashes, looks)| Step { made, folds, crashes, looks })
}

/// Every key is another one.
fn settlement(made: &Made, begin_ms: i64, unique: i64) -> Settlement {
    let attempt = AttemptKey(millis_later(unique, begin_ms + made.ms));
    let addresses = [None, Some("127.0.0.1:80"), Some("[::1]:8443")];
    let address = addresses[usize::try_from(unique % 3).unwrap()];
    let plain = delivered(EventKey(millis_later(attempt.0, -made.later_ms)));
    let exchanged = Exchanged {
        took: Duration::from_micros(unique.unsigned_abs() * 17),
        address: address.map(|text| text.parse().unwrap()),
        status: Some(204),
        answer: vec![b'a'; made.answer].into(),
        answer_cut: unique % 2 == 0,
        ..plain.exchanged
    };
    Settlement {
        webhook: WebhookNo(made.webhook),
        attempt,
        number: made.number,
        started_at: UnixMs(attempt.at().0 - unique % 7),
        ended_at: attempt.at(),
        exchanged,
        ..plain
    }
}

/// All that was written.
#[derive(Default)]
struct Model {
    attempts: HashMap<u32, BTreeMap<i64, Recorded>>,
    events: BTreeSet<i64>,
}

impl Model {
    fn add(&mut self, settlement: &Settlement) {
        let Settlement { event, attempt: key, number, started_at, ref exchanged, .. } = *settlement;
        let soon = key.0 - event.0 <= millis_later(0, 10_000);
        let whole = number == 1 && soon && exchanged.answer.len() <= 256;
        let whole = whole.then(|| Whole { started_at, exchanged: exchanged.clone() });
        let of_webhook = self.attempts.entry(settlement.webhook.0).or_default();
        of_webhook.insert(key.0, Recorded { key, event, number, whole });
        self.events.insert(event.0);
    }

    fn newest(&self, webhook: u32, before: i64, limit: usize) -> Vec<Recorded> {
        let of_webhook = self.attempts.get(&webhook).into_iter();
        let below = of_webhook.flat_map(|all| all.range(..before).rev());
        below.map(|(_, recorded)| recorded.clone()).take(limit).collect()
    }

    /// That `connection` holds the same.
    fn check(&self, connection: &Connection, looks: &[(u32, Index, usize)]) {
        let mut asked = BTreeMap::new();
        for (webhook, index, limit) in looks {
            let keys: Vec<i64> = self.attempts.get(webhook).into_iter().flatten().map(|it| *it.0).collect();
            let middle = if keys.is_empty() { 0 } else { *index.get(&keys) };
            for before in [i64::MAX, middle, middle + 1] {
                let found = attempts::recorded(connection, WebhookNo(*webhook), AttemptKey(before), *limit);
                assert_eq!(found.unwrap(), self.newest(*webhook, before, *limit));
                let found = super::super::newest(connection, Of::Tenant(TENANT), before, *limit).unwrap();
                let events = self.events.range(..before).rev().take(*limit);
                assert!(found.iter().map(|(key, _)| key).eq(events));
            }
            // Every third one, and one that there never was.
            let all = self.attempts.get(webhook).into_iter().flat_map(|all| all.values());
            for recorded in all.skip(limit % 3).step_by(3) {
                let (event, webhook) = (recorded.event, WebhookNo(*webhook));
                asked.insert((event, webhook), recorded.whole.as_ref().map(|_| recorded.clone()));
                asked.insert((EventKey(event.0 ^ 1 << 21), webhook), None);
            }
        }
        let found = taken(connection, asked.keys().copied()).unwrap();
        let expected = asked.into_iter().filter_map(|(delivery, recorded)| Some((delivery, recorded?)));
        assert_eq!(found, expected.collect());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn all_that_was_written_is_found_in_tables_and_log(
        steps in proptest::collection::vec(step(), 1..14),
    ) {
        let (mut connection, mut ledger, mut model) = (store(), Ledger::default(), Model::default());
        let (mut unique, mut begin_ms) = (0, 60_000);
        for Step { made, folds, crashes, looks } in steps {
            begin_ms += STEP_MS;
            let transaction = connection.transaction().unwrap();
            for made in made {
                unique += 1;
                let settlement = settlement(&made, begin_ms, unique);
                let whole = is_whole(&settlement);
                ledger.attempt(settlement.webhook, settlement.attempt, |bytes| {
                    write(&settlement, whole, bytes);
                });
                ledger.event(TENANT, settlement.event);
                model.add(&settlement);
            }
            if folds {
                ledger.logged_bytes = LOGGED_MAX + 1;
            }
            ledger.write(&transaction).unwrap();
            transaction.commit().unwrap();
            ledger.take().for_each(drop);
            model.check(&connection, &looks);
            if crashes {
                fold_all(&mut connection).unwrap();
                ledger = Ledger::default();
                model.check(&connection, &looks);
            }
        }
        // Page by page, with one entry in each.
        for webhook in [1, 2, MANY] {
            let (mut before, mut pages) = (i64::MAX, Vec::new());
            while let Some(it) = attempts::recorded(&connection, WebhookNo(webhook), AttemptKey(before), 1).unwrap().pop() {
                before = it.key.0;
                pages.push(it);
            }
            assert_eq!(pages, model.newest(webhook, i64::MAX, usize::MAX));
        }
    }
}
