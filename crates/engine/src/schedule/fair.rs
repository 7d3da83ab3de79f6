//! Deficit round robin: who is next, where what a turn costs is known only afterwards.
//!
//! It exists so that one flow (a tenant, a webhook) can take no more than its share from the others,
//! however much it has waiting. Flows take turns; a turn gives a flow credit, what it does is charged,
//! and a flow in debt is passed over until its turns have paid for it. Invariants: no flow waits for
//! ever; over time flows with enough to do are charged in proportion to their weights; a flow alone is
//! never held up; a flow that comes anew begins without credit or debt. Source: Shreedhar and Varghese, "Efficient fair
//! queueing using deficit round robin", 1996. Pure: no clock, no I/O. Read `turn.rs` next.

use std::collections::VecDeque;
use std::hash::Hash;

use crate::key::ByNumber;

/// Flows that take turns.
#[derive(Debug)]
pub(crate) struct Fair<K> {
    /// The credit of each turn for a weight of 1, in the unit of costs.
    quantum: i64,
    flows: ByNumber<K, Flow>,
    /// Flows with something to do.
    turn: VecDeque<K>,
}

#[derive(Debug)]
struct Flow {
    weight: i64,
    /// What it may still cost in this turn; below zero, what it owes.
    credit: i64,
    /// Whether it got its credit for the turn that it has now.
    paid: bool,
    /// Whether it stands in the queue of turns.
    queued: bool,
    /// Whether it has something to do: a flow that has not leaves the queue when its turn comes.
    active: bool,
}

impl<K: Copy + Eq + Hash> Fair<K> {
    /// No flows; each turn is worth `quantum`.
    pub(crate) fn new(quantum: i64) -> Self {
        Self { quantum: quantum.max(1), flows: ByNumber::default(), turn: VecDeque::new() }
    }

    /// A flow has something to do. `weight` is at least 1.
    pub(crate) fn activate(&mut self, key: K, weight: u32) {
        let new = Flow { weight: 1, credit: 0, paid: false, queued: false, active: false };
        let flow = self.flows.entry(key).or_insert(new);
        flow.weight = i64::from(weight.max(1));
        flow.active = true;
        if !flow.queued {
            flow.queued = true;
            self.turn.push_back(key);
        }
    }

    /// A flow has nothing to do for now. What it owes it goes on owing.
    pub(crate) fn rest(&mut self, key: K) {
        if let Some(flow) = self.flows.get_mut(&key) {
            flow.active = false;
            // Credit is for those who use it.
            flow.credit = flow.credit.min(0);
        }
    }

    /// A flow is gone, with what it owes.
    pub(crate) fn forget(&mut self, key: K) {
        // A flow that rests has mostly left the queue by the time it goes.
        if self.flows.remove(&key).is_some_and(|flow| flow.queued) {
            self.turn.retain(|queued| *queued != key);
        }
    }

    /// The flow whose turn it is. It stays in turn until its credit is used up.
    pub(crate) fn next(&mut self) -> Option<K> {
        let mut rounds_min = i64::MAX;
        for _ in 0..self.turn.len() {
            let &key = self.turn.front()?;
            let flow = self.flows.get_mut(&key)?;
            if !flow.active {
                (flow.queued, flow.paid) = (false, false);
                if flow.credit == 0 {
                    self.flows.remove(&key);
                }
                self.turn.pop_front();
                continue;
            }
            let credit = self.quantum * flow.weight;
            if !flow.paid {
                flow.credit += credit;
                flow.paid = true;
            }
            if flow.credit > 0 {
                return Some(key);
            }
            // How many more turns it takes until it is in credit.
            rounds_min = rounds_min.min(-flow.credit / credit + 1);
            flow.paid = false;
            self.turn.rotate_left(1);
        }
        // Everybody owes: so many rounds would pass without anybody having a turn. Those that come after
        // the first in credit have their credit for the turn that they will have in this round.
        let mut found = None;
        for (at, key) in self.turn.iter().enumerate() {
            let Some(flow) = self.flows.get_mut(key) else { continue };
            flow.credit += rounds_min * self.quantum * flow.weight;
            found = found.or((flow.credit > 0).then_some(at));
            flow.paid = found.is_some();
        }
        self.turn.rotate_left(found?);
        self.turn.front().copied()
    }

    /// A flow has cost so much; below zero, so much less than it was charged before.
    pub(crate) fn charge(&mut self, key: K, cost: i64) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        flow.credit -= cost;
        if flow.credit <= 0 && self.turn.front() == Some(&key) {
            flow.paid = false;
            self.turn.rotate_left(1);
        }
    }

    /// Whether no flow is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Whether no flow has something to do.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        !self.flows.values().any(|flow| flow.active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUANTUM: i64 = 100;

    /// Flows that always have something to do: weights, and what each turn costs.
    type Flows = Vec<(u32, i64)>;

    fn flows() -> impl Strategy<Value = Flows> {
        proptest::collection::vec((1_u32..6, 1_i64..5_000), 1..8)
    }

    fn active(flows: &Flows) -> Fair<usize> {
        let mut fair = Fair::new(QUANTUM);
        flows.iter().enumerate().for_each(|(flow, (weight, _))| fair.activate(flow, *weight));
        fair
    }

    /// What each was charged until `total` was spent.
    fn spend(flows: &Flows, total: i64) -> Vec<i64> {
        let mut fair = active(flows);
        let mut spent = vec![0; flows.len()];
        while spent.iter().sum::<i64>() < total {
            let flow = fair.next().unwrap();
            fair.charge(flow, flows[flow].1);
            spent[flow] += flows[flow].1;
        }
        spent
    }

    proptest! {
        #[test]
        fn each_flow_gets_its_share_by_weight_whatever_its_turns_cost(flows in flows()) {
            let spent = spend(&flows, 1_000_000);
            let by_weight: Vec<i64> =
                spent.iter().zip(&flows).map(|(spent, (weight, _))| spent / i64::from(*weight)).collect();
            let (least, most) = (by_weight.iter().min().unwrap(), by_weight.iter().max().unwrap());
            // Two flows are never further apart than one's dearest turn and the turns' credit.
            let apart = 2 * (flows.iter().map(|(_, cost)| cost).max().unwrap() + QUANTUM);
            prop_assert!(most - least <= apart, "{by_weight:?}");
        }

        #[test]
        fn a_flow_that_comes_anew_waits_for_one_turn_of_each_other(
            flows in flows(), before in 0_usize..2_000
        ) {
            let mut fair = active(&flows);
            for _ in 0..before {
                let flow = fair.next().unwrap();
                fair.charge(flow, flows[flow].1);
            }
            let newcomer = flows.len();
            fair.activate(newcomer, 1);
            let mut spent = vec![0; flows.len()];
            while let flow = fair.next().unwrap() && flow != newcomer {
                fair.charge(flow, flows[flow].1);
                spent[flow] += flows[flow].1;
            }
            for (spent, (weight, cost)) in spent.into_iter().zip(flows) {
                prop_assert!(spent <= 2 * QUANTUM * i64::from(weight) + cost, "spent {spent}");
            }
        }

        #[test]
        fn whatever_happens_a_flow_with_something_to_do_is_found_and_others_are_not(
            steps in proptest::collection::vec((0_u8..4, 0_usize..6, -200_i64..2_000), 1..200)
        ) {
            let mut fair = Fair::new(QUANTUM);
            let mut active = std::collections::HashSet::new();
            for (what, flow, cost) in steps {
                match what {
                    0 => { fair.activate(flow, 1); active.insert(flow); }
                    1 => { fair.rest(flow); active.remove(&flow); }
                    2 => { fair.forget(flow); active.remove(&flow); }
                    _ => fair.charge(flow, cost),
                }
                let next = fair.next();
                prop_assert_eq!(next.is_some(), !active.is_empty());
                prop_assert!(next.is_none_or(|flow| active.contains(&flow)));
                prop_assert_eq!(fair.is_idle(), active.is_empty());
            }
        }
    }

    #[test]
    fn a_flow_alone_is_never_held_up() {
        assert_eq!(spend(&vec![(1, 1_000_000)], 10_000_000), [10_000_000]);
    }

    #[test]
    fn what_is_forgotten_leaves_nothing() {
        let mut fair = Fair::new(QUANTUM);
        for flow in 0..1_000 {
            fair.activate(flow, 1);
            fair.charge(flow, 5);
            fair.forget(flow);
        }
        assert_eq!(fair.next(), None);
        assert!(fair.is_empty() && fair.turn.is_empty());
    }
}
