//! How many deliveries are pending, for each webhook and its tenant, and how many webhooks of a tenant are crowded: so that
//! a tenant that posts more than its receivers take is told so, and nobody else.
//!
//! Changed by the store's writer after each commit, read by whoever accepts events: a count of a moment ago is good
//! enough, since the limit is there to bound the disk, not to be met exactly. Invariant: a tenant's count is the sum of
//! its webhooks'. Read `turn.rs` next.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// What a tenant's webhooks have pending together.
#[derive(Debug, Default)]
pub(crate) struct OfTenant {
    pending: AtomicI64,
    crowded: AtomicI64,
}

impl OfTenant {
    /// So many deliveries.
    pub(crate) fn pending(&self) -> u64 {
        u64::try_from(self.pending.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Whether any webhook is crowded: see `room.rs`.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed) > 0
    }
}

/// What one webhook has pending.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    own: AtomicI64,
    of_tenant: Arc<OfTenant>,
}

impl Backlog {
    /// A webhook of a tenant, with nothing pending.
    pub(crate) fn of(tenant: &Arc<OfTenant>) -> Self {
        Self { own: AtomicI64::new(0), of_tenant: Arc::clone(tenant) }
    }

    /// So many more are pending, or fewer.
    pub(crate) fn change(&self, more: i64) {
        self.own.fetch_add(more, Ordering::Relaxed);
        self.of_tenant.pending.fetch_add(more, Ordering::Relaxed);
    }

    /// The webhook has become crowded, or is so no more.
    pub(crate) fn set_crowded(&self, crowded: bool) {
        self.of_tenant.crowded.fetch_add(if crowded { 1 } else { -1 }, Ordering::Relaxed);
    }

    /// The webhook is deleted: what it had pending is nobody's any more.
    pub(crate) fn drop_all(&self) {
        let own = self.own.swap(0, Ordering::Relaxed);
        self.of_tenant.pending.fetch_sub(own, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_pending_what_its_webhooks_have_until_they_are_deleted() {
        let tenant = Arc::default();
        let (one, two) = (Backlog::of(&tenant), Backlog::of(&tenant));
        one.change(5);
        two.change(3);
        one.change(-1);
        assert_eq!(tenant.pending(), 7);
        one.drop_all();
        assert_eq!(tenant.pending(), 3);
        two.change(-3);
        assert_eq!(tenant.pending(), 0);
    }
}
