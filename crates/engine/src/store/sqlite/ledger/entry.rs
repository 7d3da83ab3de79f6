//! One webhook's or tenant's entry in the ledger, and how it stands in the log.
//!
//! Numbers are written as zigzag varints: seven bits in a byte, low ones first. Invariant: what was encoded is decoded
//! whole, in the order in which it was added. Read `../stats.rs` next.

use super::super::stats::Delta;
use crate::key::{AttemptKey, EventKey, WebhookNo};
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
    pub(super) fn number(self) -> i64 {
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

/// Which attempt was made at a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct AttemptOf {
    pub(in super::super) key: AttemptKey,
    pub(in super::super) event: EventKey,
    pub(in super::super) number: u32,
}

/// What changed for one of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in super::super) struct Entry {
    /// Of a webhook.
    pub(in super::super) counts: Delta,
    /// Of a webhook.
    pub(in super::super) attempts: Vec<AttemptOf>,
    /// Of a tenant.
    pub(in super::super) events: Vec<EventKey>,
}

impl Entry {
    /// Both, `later` after this one.
    pub(super) fn add(&mut self, later: &Self) {
        self.counts.add(&later.counts);
        self.attempts.extend_from_slice(&later.attempts);
        self.events.extend_from_slice(&later.events);
    }

    pub(super) fn encode(&self, of: Of, bytes: &mut Vec<u8>) {
        put(bytes, of.number());
        match of {
            Of::Webhook(_) => {
                let Delta { sent, failed, cancelled, pending, attempts, last_sent_ms, last_failed_ms } =
                    self.counts;
                // A time of zero is none: it is before there was a store.
                let times = [last_sent_ms.unwrap_or_default(), last_failed_ms.unwrap_or_default()];
                let counts = [sent, failed, cancelled, pending, attempts];
                counts.into_iter().chain(times).for_each(|number| put(bytes, number));
                put_len(bytes, self.attempts.len());
                for AttemptOf { key, event, number } in &self.attempts {
                    put(bytes, key.0);
                    put(bytes, key.0.wrapping_sub(event.0));
                    put(bytes, (*number).into());
                }
            }
            Of::Tenant(_) => {
                put_len(bytes, self.events.len());
                self.events.iter().for_each(|event| put(bytes, event.0));
            }
        }
    }

    /// The first entry in `bytes`, which then hold the rest; `None` at their end, and where they are none of ours.
    pub(super) fn decode(bytes: &mut &[u8]) -> Option<(Of, Self)> {
        let of = Of::numbered(take(bytes)?)?;
        let mut entry = Self::default();
        match of {
            Of::Webhook(_) => {
                let mut next = || take(bytes);
                let (sent, failed, cancelled, pending, attempts) =
                    (next()?, next()?, next()?, next()?, next()?);
                let mut time = || Some(Some(next()?).filter(|ms| *ms != 0));
                let (last_sent_ms, last_failed_ms) = (time()?, time()?);
                entry.counts =
                    Delta { sent, failed, cancelled, pending, attempts, last_sent_ms, last_failed_ms };
                for _ in 0..take(bytes)? {
                    let key = take(bytes)?;
                    let event = EventKey(key.wrapping_sub(take(bytes)?));
                    let number = u32::try_from(take(bytes)?).ok()?;
                    entry.attempts.push(AttemptOf { key: AttemptKey(key), event, number });
                }
            }
            Of::Tenant(_) => {
                for _ in 0..take(bytes)? {
                    entry.events.push(EventKey(take(bytes)?));
                }
            }
        }
        Some((of, entry))
    }
}

fn put_len(bytes: &mut Vec<u8>, len: usize) {
    put(bytes, i64::try_from(len).unwrap_or(i64::MAX));
}

fn put(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned();
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
    }
    None
}
