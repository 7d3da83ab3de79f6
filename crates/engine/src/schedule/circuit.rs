//! A circuit breaker: a webhook that keeps failing is asked by one attempt at a time.
//!
//! It exists so that a dead receiver costs a probe now and then, not a share of everybody's slots, and so
//! that its backlog stays on disk. Invariants: one success closes it; while it is open there is at most
//! one attempt, and not before its time. Pure: the time is passed in. Read `lane.rs` next.

use vai_webhooks_wire::UnixMs;

/// Failures in a row that open a circuit, if they took long enough.
const FAILURES_MIN: u32 = 20;
/// How long failures must have gone on, in milliseconds: longer than a hiccup. What waits for a probe has lost no attempt,
/// so that a circuit that opens early costs a receiver that restarts nothing.
const FAILING_MS_MIN: i64 = 2_000;
/// The first wait between probes and the longest one, in milliseconds.
const PROBE_MS_MIN: i64 = 1_000;
const PROBE_MS_MAX: i64 = 30_000;

/// What the attempts so far say.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    failures: u32,
    failing_since: Option<UnixMs>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    probe_at: UnixMs,
    wait_ms: i64,
}

impl Circuit {
    /// An attempt ended at `now`. Answers whether the circuit opened by it.
    pub(crate) fn ended(&mut self, delivered: bool, now: UnixMs) -> bool {
        if delivered {
            *self = Self::default();
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let since = *self.failing_since.get_or_insert(now);
        if let Some(open) = &mut self.open {
            // What ends before the probe's time had started before the circuit opened.
            if now < open.probe_at {
                return false;
            }
            open.wait_ms = (open.wait_ms * 2).min(PROBE_MS_MAX);
            open.probe_at = now.saturating_add(open.wait_ms);
            return false;
        }
        let opens = self.failures >= FAILURES_MIN && now.since(since) >= FAILING_MS_MIN;
        if opens {
            self.open = Some(Open { probe_at: now.saturating_add(PROBE_MS_MIN), wait_ms: PROBE_MS_MIN });
        }
        opens
    }

    /// When the next probe is due, where the circuit is open.
    pub(crate) fn probe_at(&self) -> Option<UnixMs> {
        self.open.as_ref().map(|open| open.probe_at)
    }

    /// How many attempts may run at once: `None` where the circuit says nothing against any number.
    pub(crate) fn limit(&self, now: UnixMs) -> Option<u32> {
        self.open.as_ref().map(|open| u32::from(open.probe_at <= now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(circuit: &mut Circuit, times: u32, from: i64, every: i64) -> bool {
        (0..times).any(|n| circuit.ended(false, UnixMs(from + i64::from(n) * every)))
    }

    #[test]
    fn it_opens_after_many_failures_in_a_row_that_go_on_for_long() {
        let mut circuit = Circuit::default();
        assert!(!fail(&mut circuit, 1_000, 0, 1), "a second is not long");
        assert!(circuit.ended(false, UnixMs(FAILING_MS_MIN)));
        assert!(!fail(&mut Circuit::default(), FAILURES_MIN - 1, 0, FAILING_MS_MIN), "few are not many");
        let mut mended = Circuit::default();
        fail(&mut mended, FAILURES_MIN - 1, 0, FAILING_MS_MIN);
        mended.ended(true, UnixMs(FAILING_MS_MIN));
        assert!(!fail(&mut mended, FAILURES_MIN - 1, FAILING_MS_MIN, FAILING_MS_MIN));
    }

    #[test]
    fn while_it_is_open_probes_come_one_at_a_time_and_ever_later_until_one_succeeds() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.limit(UnixMs(0)), None);
        assert!(fail(&mut circuit, FAILURES_MIN, 0, FAILING_MS_MIN));
        let mut waits = Vec::new();
        let mut now = circuit.probe_at().unwrap();
        for _ in 0..7 {
            assert_eq!(circuit.limit(UnixMs(now.0 - 1)), Some(0));
            assert_eq!(circuit.limit(now), Some(1));
            circuit.ended(false, now);
            waits.push(circuit.probe_at().unwrap().since(now));
            now = circuit.probe_at().unwrap();
        }
        assert_eq!(waits, [2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        circuit.ended(true, now);
        assert_eq!(circuit.limit(now), None);
    }
}
