//! Whose turn it is to start an attempt: tenants first, then each tenant's webhooks.
//!
//! Two levels of deficit round robin over connection time, so that neither many webhooks nor slow ones
//! give a tenant more than its share. What an attempt will take is guessed when it starts, from those
//! before it, and put right when it has ended. Invariant: a webhook that is not in memory is not here
//! either. Read `lane.rs` next.

use super::fair::Fair;
use crate::key::{ByNumber, WebhookNo};
use crate::tenant::TenantId;

/// The connection time that one turn is worth, in microseconds.
const QUANTUM_US: i64 = 5_000;

/// Turns of tenants and their webhooks.
#[derive(Debug)]
pub(crate) struct Turn {
    tenants: Fair<TenantId>,
    webhooks: ByNumber<TenantId, OfTenant>,
}

#[derive(Debug)]
struct OfTenant {
    fair: Fair<WebhookNo>,
    /// How many of them have something to do.
    active: usize,
}

impl Turn {
    /// Nobody's turn.
    pub(crate) fn new() -> Self {
        Self { tenants: Fair::new(QUANTUM_US), webhooks: ByNumber::default() }
    }

    /// A webhook that was at rest may start attempts.
    pub(crate) fn join(&mut self, tenant: TenantId, webhook: WebhookNo) {
        let new = || OfTenant { fair: Fair::new(QUANTUM_US), active: 0 };
        let of_tenant = self.webhooks.entry(tenant).or_insert_with(new);
        of_tenant.active += 1;
        of_tenant.fair.activate(webhook, 1);
        self.tenants.activate(tenant, 1);
    }

    /// A webhook that had joined may start none for now.
    pub(crate) fn rest(&mut self, tenant: TenantId, webhook: WebhookNo) {
        let Some(of_tenant) = self.webhooks.get_mut(&tenant) else { return };
        of_tenant.fair.rest(webhook);
        of_tenant.active -= 1;
        if of_tenant.active == 0 {
            self.tenants.rest(tenant);
        }
    }

    /// A webhook at rest has nothing more in memory.
    pub(crate) fn forget(&mut self, tenant: TenantId, webhook: WebhookNo) {
        let Some(of_tenant) = self.webhooks.get_mut(&tenant) else { return };
        of_tenant.fair.forget(webhook);
        if of_tenant.active == 0 && of_tenant.fair.is_empty() {
            self.webhooks.remove(&tenant);
            self.tenants.forget(tenant);
        }
    }

    /// The webhook whose turn it is, and its tenant.
    pub(crate) fn next(&mut self) -> Option<(TenantId, WebhookNo)> {
        let tenant = self.tenants.next()?;
        let webhook = self.webhooks.get_mut(&tenant)?.fair.next()?;
        Some((tenant, webhook))
    }

    /// An attempt cost so much connection time, in microseconds; below zero, so much less than guessed.
    pub(crate) fn charge(&mut self, tenant: TenantId, webhook: WebhookNo, cost_us: i64) {
        if let Some(of_tenant) = self.webhooks.get_mut(&tenant) {
            of_tenant.fair.charge(webhook, cost_us);
            self.tenants.charge(tenant, cost_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIG: TenantId = TenantId(1);
    const SMALL: TenantId = TenantId(2);

    #[test]
    fn a_tenant_with_many_webhooks_gets_no_more_than_one_with_a_single_one() {
        let mut turn = Turn::new();
        (0..100).for_each(|webhook| turn.join(BIG, WebhookNo(webhook)));
        turn.join(SMALL, WebhookNo(1_000));
        let mut spent = std::collections::HashMap::new();
        for _ in 0..10_000 {
            let (tenant, webhook) = turn.next().unwrap();
            turn.charge(tenant, webhook, 1_000);
            *spent.entry(tenant).or_insert(0) += 1;
        }
        assert!((4_900..=5_100).contains(&spent[&SMALL]), "{spent:?}");
    }

    #[test]
    fn a_webhook_that_takes_ten_times_as_long_gets_a_tenth_of_the_turns() {
        let mut turn = Turn::new();
        turn.join(BIG, WebhookNo(1));
        turn.join(BIG, WebhookNo(2));
        let mut turns = [0, 0];
        for _ in 0..11_000 {
            let (tenant, webhook) = turn.next().unwrap();
            let slow = webhook == WebhookNo(2);
            turn.charge(tenant, webhook, if slow { 100_000 } else { 10_000 });
            turns[usize::from(slow)] += 1;
        }
        assert!((990..=1_010).contains(&turns[1]), "{turns:?}");
    }

    #[test]
    fn who_has_nothing_to_do_has_no_turn_and_leaves_nothing_behind() {
        let mut turn = Turn::new();
        turn.join(BIG, WebhookNo(1));
        turn.join(SMALL, WebhookNo(2));
        turn.charge(BIG, WebhookNo(1), 77);
        turn.rest(BIG, WebhookNo(1));
        assert_eq!(turn.next(), Some((SMALL, WebhookNo(2))));
        turn.rest(SMALL, WebhookNo(2));
        assert_eq!(turn.next(), None);
        turn.forget(BIG, WebhookNo(1));
        turn.forget(SMALL, WebhookNo(2));
        assert!(turn.webhooks.is_empty());
    }
}
