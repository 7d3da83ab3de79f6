//! What a lane promises.

use bytes::Bytes;

use super::*;

const NOW: UnixMs = UnixMs(1_000_000);
const AT: Duration = Duration::ZERO;

fn lane() -> Lane {
    Lane::new(TenantId(1), Arc::default())
}

fn offer(lane: &mut Lane, key: i64) {
    let place = Arc::<Room>::default().reserve(2).unwrap();
    lane.offer(event(key), place, None);
}

fn ended(lane: &mut Lane, key: i64, strain: Strain) {
    lane.ended(EventKey(key), strain, strain == Strain::None, AT, NOW);
}

fn event(key: i64) -> Arc<Sendable> {
    let event = Sendable {
        key: EventKey(key),
        id: format!("e{key}").parse().unwrap(),
        event_type: "a".into(),
        body: Bytes::from_static(b"{}"),
    };
    Arc::new(event)
}

fn delivery(key: i64) -> Ready {
    Ready { event: event(key), attempts: 0, attempts_before: 0, form: None }
}

fn started(lane: &mut Lane) -> Vec<i64> {
    std::iter::from_fn(|| lane.start(NOW, AT)).map(|(ready, _)| ready.event.key.0).collect()
}

fn read_back(lane: &mut Lane, keys: &[i64]) {
    lane.end_reading(Due { ready: keys.iter().map(|&key| delivery(key)).collect(), ..Due::default() });
}

#[test]
fn what_was_handed_over_is_not_asked_for_until_it_has_a_row() {
    let mut lane = lane();
    offer(&mut lane, 1);
    offer(&mut lane, 2);
    lane.wake();
    assert_eq!(lane.begin_reading(NOW).unwrap().1, []);
    read_back(&mut lane, &[]);
    assert_eq!(lane.sweep(EventKey(2), AT), [EventKey(1)]);
    lane.wake();
    assert_eq!(lane.begin_reading(NOW).unwrap().1, [EventKey(1)]);
    read_back(&mut lane, &[1]);
    assert_eq!(started(&mut lane), [1, 2], "each once");
}

#[test]
fn what_is_read_back_is_bounded() {
    let mut lane = lane();
    lane.wake();
    assert_eq!(lane.begin_reading(NOW).unwrap().0, READY_MAX);
    let keys: Vec<i64> = (0..256).collect();
    lane.end_reading(Due {
        ready: keys.iter().map(|&key| delivery(key)).collect(),
        more: true,
        ..Due::default()
    });
    assert!(lane.begin_reading(NOW).is_none(), "there is enough in memory");
    while lane.ready_len() > 10 {
        let key = lane.start(NOW, AT).unwrap().0.event.key.0;
        ended(&mut lane, key, Strain::None);
        lane.settled(EventKey(key));
    }
    let (want, skip) = lane.begin_reading(NOW).unwrap();
    assert_eq!((want, skip.len()), (READY_MAX - 10, 10));
}

#[test]
fn a_delivery_that_was_settled_while_others_were_read_is_not_sent_again() {
    let mut lane = lane();
    offer(&mut lane, 1);
    lane.wake();
    assert_eq!(started(&mut lane), [1]);
    lane.begin_reading(NOW).unwrap();
    ended(&mut lane, 1, Strain::None);
    lane.settled(EventKey(1));
    read_back(&mut lane, &[1, 2]);
    assert_eq!(started(&mut lane), [2]);
}

#[test]
fn what_becomes_due_while_others_are_read_is_read_in_the_next_round() {
    let mut lane = lane();
    lane.wake();
    lane.begin_reading(NOW).unwrap();
    lane.wake();
    read_back(&mut lane, &[]);
    assert!(!lane.is_idle());
    assert!(lane.begin_reading(NOW).is_some());
    read_back(&mut lane, &[9]);
    assert_eq!(started(&mut lane), [9]);
}

#[test]
fn what_is_sent_again_while_its_result_is_on_its_way_is_looked_for_afterwards() {
    let mut lane = lane();
    offer(&mut lane, 1);
    assert_eq!(started(&mut lane), [1]);
    ended(&mut lane, 1, Strain::None);
    lane.reopen(EventKey(1));
    assert_eq!(lane.begin_reading(NOW).unwrap().1, [EventKey(1)], "its result is not on disk yet");
    read_back(&mut lane, &[]);
    assert!(!lane.wants_reading(NOW));
    lane.settled(EventKey(1));
    assert!(lane.begin_reading(NOW).is_some());
    read_back(&mut lane, &[1]);
    assert_eq!(started(&mut lane), [1]);
}

#[test]
fn a_reading_that_failed_is_not_begun_again_at_once() {
    let mut lane = lane();
    lane.wake();
    lane.begin_reading(NOW).unwrap();
    lane.reading_failed();
    assert!(!lane.wants_reading(NOW));
}

#[test]
fn what_has_no_row_is_named_when_the_webhook_is_stopped() {
    let mut lane = lane();
    lane.wake();
    lane.begin_reading(NOW).unwrap();
    read_back(&mut lane, &[1]);
    offer(&mut lane, 2);
    offer(&mut lane, 3);
    let (first, _) = lane.start(NOW, AT).unwrap();
    assert_eq!(first.event.key, EventKey(1));
    assert_eq!(lane.stop(), [EventKey(2), EventKey(3)]);
    assert!(!lane.is_quiet(), "an attempt is under way");
    assert!(!lane.never_started(EventKey(1)).1, "it was read back from its row");
    assert!(lane.is_idle());
}

#[test]
fn while_the_circuit_is_open_everything_waits_on_disk_but_one_probe() {
    let mut lane = lane();
    let mut now = NOW;
    let mut opened = false;
    for key in 0..40 {
        offer(&mut lane, key);
        lane.start(now, AT).unwrap();
        opened |= lane.ended(EventKey(key), Strain::None, false, AT, now).opened;
        lane.settled(EventKey(key));
        if opened {
            break;
        }
        now = now.saturating_add(1_000);
    }
    assert!(opened);
    offer(&mut lane, 100);
    assert_eq!(lane.retreat(), [EventKey(100)]);
    assert!(!lane.wants_reading(now));
    let probe_at = lane.probe_at().unwrap();
    assert_eq!(lane.begin_reading(probe_at).unwrap().0, 1);
    lane.end_reading(Due { ready: vec![delivery(100)], more: true, ..Due::default() });
    lane.start(probe_at, AT).unwrap();
    assert!(!lane.wants_reading(probe_at), "one at a time");
    lane.ended(EventKey(100), Strain::None, true, AT, probe_at);
    lane.settled(EventKey(100));
    assert_eq!(lane.begin_reading(probe_at).unwrap().0, READY_MAX);
}

#[test]
fn a_lane_with_nothing_to_do_is_idle() {
    let mut lane = lane();
    assert!(lane.is_idle());
    offer(&mut lane, 1);
    started(&mut lane);
    ended(&mut lane, 1, Strain::None);
    assert!(!lane.is_idle(), "its result is not on disk yet");
    lane.settled(EventKey(1));
    assert!(lane.is_idle());
}

/// A lane and its room.
fn lane_in_room() -> (Lane, Arc<Room>) {
    let room = Arc::<Room>::default();
    (Lane::new(TenantId(1), Arc::clone(&room)), room)
}

#[test]
fn a_few_retries_that_are_read_back_send_no_new_delivery_to_the_disk() {
    let (mut lane, room) = lane_in_room();
    lane.wake();
    lane.begin_reading(NOW).unwrap();
    lane.tell_room();
    assert!(room.reserve(1).is_some());
    read_back(&mut lane, &[1, 2, 3]);
    lane.tell_room();
    assert!(room.reserve(1).is_some());
}

#[test]
fn what_a_lane_could_not_read_back_at_once_goes_before_what_is_new() {
    let (mut lane, room) = lane_in_room();
    lane.wake();
    lane.begin_reading(NOW).unwrap();
    lane.end_reading(Due { ready: vec![delivery(1)], more: true, ..Due::default() });
    lane.tell_room();
    assert!(room.reserve(1).is_none());
    lane.begin_reading(NOW).unwrap();
    read_back(&mut lane, &[2]);
    lane.tell_room();
    assert!(room.reserve(1).is_some());
}

#[test]
fn while_there_is_too_much_in_memory_to_read_back_what_is_due_nothing_new_gets_there() {
    let (mut lane, room) = lane_in_room();
    let half = i64::try_from(READY_MAX / 2).unwrap();
    (0..=half).for_each(|key| offer(&mut lane, key));
    lane.wake();
    assert!(!lane.wants_reading(NOW));
    lane.tell_room();
    assert!(room.reserve(1).is_none());
    started(&mut lane);
    lane.tell_room();
    assert!(room.reserve(1).is_some());
}

#[test]
fn a_lane_that_is_as_full_as_it_can_be_still_starts_attempts() {
    let room = Arc::<Room>::default();
    let mut lane = Lane::new(TenantId(1), Arc::clone(&room));
    lane.wake();
    assert_eq!(lane.begin_reading(NOW).unwrap().0, READY_MAX);
    let handed_over = (0..).map_while(|key| Some((key, room.reserve(2)?)));
    handed_over.for_each(|(key, place)| lane.offer(event(key), place, None));
    let read = (0..READY_MAX).map(|number| -1 - i64::try_from(number).unwrap()).collect::<Vec<_>>();
    read_back(&mut lane, &read);
    assert!(lane.may_start(NOW), "nothing is under way that could make room");
}
