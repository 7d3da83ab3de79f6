//! What the queue promises.

use rusqlite::Connection;

use super::state::*;
use super::*;
use crate::store::StoreError;
use crate::store::sqlite::group::Group;

struct Nothing;

impl Write for Nothing {
    fn apply(&mut self, _connection: &Connection, _group: &mut Group) -> rusqlite::Result<()> {
        Ok(())
    }

    fn answer(self: Box<Self>, _result: Result<(), StoreError>) {}
}

const NOW: Duration = Duration::from_secs(100);

fn call(tenant: i64, rows: usize, bytes: usize) -> Waiting {
    let kind = Kind::Call { tenant: Some(TenantId(tenant)), rows, bytes };
    Waiting { write: Box::new(Nothing), kind, since: NOW }
}

fn result(rows: usize) -> Waiting {
    Waiting { write: Box::new(Nothing), kind: Kind::Result { rows }, since: NOW }
}

/// The kinds of the next group, as if the writer came much later.
fn group(queue: &Queue) -> Vec<Kind> {
    let mut group = Vec::new();
    queue.take(&mut group, 0, || NOW + Duration::from_secs(1), |_| false);
    group.into_iter().map(|waiting| waiting.kind).collect()
}

fn of(tenant: i64, kinds: &[Kind]) -> usize {
    kinds.iter().filter(|kind| matches!(kind, Kind::Call { tenant: Some(it), .. } if it.0 == tenant)).count()
}

#[test]
fn a_single_call_beside_a_flood_is_in_the_next_group() {
    let queue = Queue::default();
    (0..40).for_each(|_| queue.push(call(1, 1_000, 1)).unwrap());
    queue.push(call(2, 1, 1)).unwrap();
    assert_eq!(of(2, &group(&queue)), 1);
}

#[test]
fn two_floods_share_each_group() {
    let queue = Queue::default();
    (0..2_000).for_each(|_| queue.push(call(1, 1, 1)).unwrap());
    (0..2_000).for_each(|_| queue.push(call(2, 1, 1)).unwrap());
    let group = group(&queue);
    assert_eq!(group.len(), GROUP_ROWS_MAX);
    assert!(of(1, &group).abs_diff(of(2, &group)) <= usize::try_from(TURN_ROWS).unwrap());
}

#[test]
fn a_tenants_calls_stay_in_their_order() {
    let queue = Queue::default();
    (1..=100).for_each(|rows| queue.push(call(1, rows, 1)).unwrap());
    let mut all = Vec::new();
    while all.len() < 100 {
        all.extend(group(&queue));
    }
    let rows = |kind: &Kind| match kind {
        Kind::Call { rows, .. } | Kind::Result { rows } => *rows,
    };
    assert!(all.windows(2).all(|pair| rows(&pair[0]) < rows(&pair[1])));
}

#[test]
fn results_go_first_and_leave_room_for_calls() {
    let queue = Queue::default();
    queue.push(call(1, 1, 1)).unwrap();
    (0..100).for_each(|_| queue.push(result(256)).unwrap());
    let group = group(&queue);
    assert!(matches!(group[0], Kind::Result { .. }));
    assert_eq!(of(1, &group), 1);
}

#[test]
fn a_flood_is_refused_before_it_takes_the_room_of_others() {
    let queue = Queue::default();
    let bytes = BYTES_MAX / 16;
    let taken = (0..32).filter(|_| queue.push(call(1, 1, bytes)).is_ok()).count();
    assert_eq!(taken, 8, "half of the room");
    assert!(queue.push(call(2, 1, bytes)).is_ok());
    let queue = Queue::default();
    let taken = (0..CALLS_MAX).filter(|_| queue.push(call(1, 1, 1)).is_ok()).count();
    assert_eq!(taken, CALLS_MAX / 2);
    assert!(queue.push(call(2, 1, 1)).is_ok());
}

#[test]
fn who_has_waited_too_long_is_refused_and_others_are_not() {
    let queue = Queue::default();
    queue.push(call(1, 1, 1)).unwrap();
    let late = |tenant| Waiting { since: NOW + WAIT_MAX * 2, ..call(tenant, 1, 1) };
    assert_eq!(queue.push(late(1)), Err(NotTaken::Full));
    assert_eq!(queue.push(late(2)), Ok(()));
}

#[test]
fn a_queue_with_nothing_in_it_holds_nothing() {
    let queue = Queue::default();
    (0..50).for_each(|tenant| queue.push(call(tenant, 1, 7)).unwrap());
    assert_eq!(group(&queue).len(), 50);
    let state = queue.lock();
    assert!(state.is_empty() && state.calls.is_empty() && state.turn.is_empty());
    assert_eq!((state.rows, state.bytes, state.calls_len), (0, 0, 0));
}

#[test]
fn calls_of_a_crowded_tenant_wait_for_a_moment_and_hold_up_nobody() {
    let queue = Queue::default();
    let take = |after: Duration| {
        let mut group = Vec::new();
        queue.take(&mut group, 0, || NOW + after, |tenant| tenant.0 == 1);
        group.into_iter().map(|waiting| waiting.kind).collect::<Vec<_>>()
    };
    (0..100).for_each(|_| queue.push(call(1, 1, 1)).unwrap());
    queue.push(call(2, 1, 1)).unwrap();
    queue.push(result(1)).unwrap();
    let group = take(Duration::from_millis(10));
    assert_eq!((of(1, &group), of(2, &group), group.len()), (0, 1, 2));
    queue.push(call(2, 1, 1)).unwrap();
    let group = take(HELD_MAX + HELD_MAX_FOR_ROW);
    assert_eq!((of(1, &group), of(2, &group)), (100, 1));
    assert_eq!(queue.lock().held, Held::default());
}

#[test]
fn a_large_call_is_held_back_for_longer_but_not_for_ever() {
    assert_eq!(held_max(call(1, 50, 1).kind), Duration::from_millis(170));
    assert_eq!(held_max(call(1, 1_000_000, 1).kind), HELD_MAX_IN_ALL);
}

#[test]
fn a_queue_that_is_closed_holds_nothing_back() {
    let queue = Queue::default();
    queue.push(call(1, 1_000, 1)).unwrap();
    queue.close();
    let mut group = Vec::new();
    assert!(queue.take(&mut group, 0, || NOW, |_| true).is_some());
    assert_eq!(group.len(), 1);
    assert!(queue.take(&mut group, 0, || NOW, |_| true).is_none());
}

#[test]
fn results_and_calls_for_no_tenant_are_never_held_back() {
    let queue = Queue::default();
    let kind = Kind::Call { tenant: None, rows: 1, bytes: 0 };
    queue.push(call(1, 1_000, 1)).unwrap();
    queue.push(Waiting { kind, ..call(1, 1, 1) }).unwrap();
    queue.push(result(1)).unwrap();
    let mut group = Vec::new();
    queue.take(&mut group, 0, || NOW, |_| true).unwrap();
    assert_eq!(
        group.iter().map(|waiting| waiting.kind).collect::<Vec<_>>(),
        [Kind::Result { rows: 1 }, kind]
    );
    let state = queue.lock();
    assert_eq!((state.rows, state.held), (1_000, Held { calls: 1, rows: 1_000 }));
}

#[test]
fn who_was_held_back_has_a_turn_beside_many_others_when_that_is_over() {
    let queue = Queue::default();
    queue.push(call(0, 1, 1)).unwrap();
    for group in 0.. {
        // Each of them takes its whole turn in every round.
        let turn = usize::try_from(TURN_ROWS).unwrap();
        (1..40).for_each(|tenant| queue.push(call(tenant, turn, 1)).unwrap());
        let mut taken = Vec::new();
        let now = NOW + Duration::from_millis(5 * group);
        queue.take(&mut taken, 0, || now, |tenant| tenant.0 == 0).unwrap();
        let kinds: Vec<Kind> = taken.into_iter().map(|waiting| waiting.kind).collect();
        if of(0, &kinds) == 1 {
            return;
        }
        let groups_of_a_round = 40 * TURN_ROWS.unsigned_abs() / u64::try_from(GROUP_ROWS_MAX).unwrap() + 1;
        let held = held_max(call(0, 1, 1).kind).as_millis();
        assert!(group <= u64::try_from(held).unwrap() / 5 + groups_of_a_round, "it waits for ever");
    }
}
