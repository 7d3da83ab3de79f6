//! One webhook's or tenant's entry in the ledger, and how it stands in the log.
//!
//! Invariant: what was encoded is decoded whole, in the order in which it was added. Read `../stats.rs` next.

use super::super::stats::Delta;
use super::records::Records;
use super::varint::{put, take};
use crate::key::WebhookNo;
use crate::tenant::TenantId;

/// Whose an entry is. Webhooks come before tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) enum Of {
    Webhook(WebhookNo),
    Tenant(TenantId),
}

/// Tenants are numbered after all webhooks.
const TENANTS_FROM: i64 = 1 << 32;

impl Of {
    /// Its number, which grows in the same order.
    pub(in super::super) fn number(self) -> i64 {
        match self {
            Self::Webhook(webhook) => webhook.0.into(),
            Self::Tenant(tenant) => TENANTS_FROM + tenant.0,
        }
    }

    fn numbered(number: i64) -> Option<Self> {
        match u32::try_from(number) {
            Ok(webhook) => Some(Self::Webhook(WebhookNo(webhook))),
            Err(_) => Some(Self::Tenant(TenantId(number.checked_sub(TENANTS_FROM)?))),
        }
    }
}

/// What changed for one of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in super::super) struct Entry {
    /// Of a webhook; a tenant has none.
    pub(in super::super) counts: Delta,
    /// A webhook's attempts, a tenant's events.
    pub(in super::super) records: Records,
}

/// An entry as it stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Logged<'b> {
    pub(in super::super) of: Of,
    pub(in super::super) counts: Delta,
    /// As bytes of `records.rs`.
    pub(in super::super) records: &'b [u8],
}

impl Entry {
    /// Both, `later` after this one.
    pub(super) fn add(&mut self, counts: &Delta, records: &[u8]) {
        self.counts.add(counts);
        self.records.append(records);
    }

    /// How many bytes it takes up in memory and in the log, roughly.
    pub(super) fn weight(&self) -> usize {
        64 + self.records.bytes().len()
    }

    pub(super) fn encode(&self, of: Of, bytes: &mut Vec<u8>) {
        put(bytes, of.number());
        if let Of::Webhook(_) = of {
            let Delta { sent, failed, cancelled, pending, attempts, last_sent_ms, last_failed_ms } =
                self.counts;
            // A time of zero is none: it is before there was a store.
            let times = [last_sent_ms.unwrap_or_default(), last_failed_ms.unwrap_or_default()];
            let counts = [sent, failed, cancelled, pending, attempts];
            counts.into_iter().chain(times).for_each(|number| put(bytes, number));
        }
        put(bytes, i64::try_from(self.records.bytes().len()).unwrap_or(i64::MAX));
        bytes.extend_from_slice(self.records.bytes());
    }
}

impl<'b> Logged<'b> {
    /// The first entry in `bytes`, which then hold the rest; `None` at their end, and where they are none of ours.
    pub(super) fn decode(bytes: &mut &'b [u8]) -> Option<Self> {
        let of = Of::numbered(take(bytes)?)?;
        let counts = match of {
            Of::Webhook(_) => counts(bytes)?,
            Of::Tenant(_) => Delta::default(),
        };
        let len = usize::try_from(take(bytes)?).ok()?;
        let (records, rest) = bytes.split_at_checked(len)?;
        *bytes = rest;
        Some(Self { of, counts, records })
    }
}

/// The counts at the beginning of `bytes`, which then hold the rest.
pub(in super::super) fn counts(bytes: &mut &[u8]) -> Option<Delta> {
    let mut next = || take(bytes);
    let (sent, failed, cancelled, pending, attempts) = (next()?, next()?, next()?, next()?, next()?);
    let mut time = || Some(Some(next()?).filter(|ms| *ms != 0));
    let (last_sent_ms, last_failed_ms) = (time()?, time()?);
    Some(Delta { sent, failed, cancelled, pending, attempts, last_sent_ms, last_failed_ms })
}
