//! An attempt as a record of its webhook's ledger: which one it was, and for most of them all that is known of it.
//!
//! A delivery that is taken at its first attempt has no other row for it. Invariants: only a first attempt that delivered,
//! soon after its event was accepted, stands whole in its record; all others have rows in `attempts`. Read `../fates.rs`
//! next.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use vai_webhooks_wire::UnixMs;

use super::super::ledger::varint::{put, take};
use crate::attempt::Exchanged;
use crate::event::DeliveryState;
use crate::key::{AttemptKey, EventKey, millis_later};
use crate::store::Settlement;

/// An attempt stands whole in its record only so many milliseconds after its event was accepted: so far one has to look.
const WHOLE_MS: i64 = 10_000;
/// With an answer of so many bytes at most.
const ANSWER_BYTES_MAX: usize = 256;

/// No address, or one of this family; and whether the answer went on.
const IPV4: i64 = 1;
const IPV6: i64 = 2;
const CUT: i64 = 4;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Recorded {
    pub(in super::super) key: AttemptKey,
    pub(in super::super) event: EventKey,
    pub(in super::super) number: u32,
    /// `None` where it has a row in `attempts`.
    pub(in super::super) whole: Option<Whole>,
}

/// All that is known of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Whole {
    pub(in super::super) started_at: UnixMs,
    pub(in super::super) exchanged: Exchanged,
}

/// The highest key of an attempt that stands whole in its record, of this event.
pub(in super::super) fn last_whole_of(event: EventKey) -> i64 {
    millis_later(event.0, WHOLE_MS)
}

/// Whether an attempt needs no row of its own.
pub(in super::super) fn is_whole(settlement: &Settlement) -> bool {
    let Exchanged { answer, detail, address, .. } = &settlement.exchanged;
    // The zone of a link-local address has no place in a record.
    let has_zone = matches!(address, Some(SocketAddr::V6(address)) if address.scope_id() != 0);
    settlement.number == 1
        && !has_zone
        && settlement.state == DeliveryState::Delivered
        && settlement.exchanged.delivered()
        && detail.is_none()
        && answer.len() <= ANSWER_BYTES_MAX
        && settlement.attempt.0 <= last_whole_of(settlement.event)
}

/// Appends the content of an attempt's record, in which it stands whole or not.
pub(in super::super) fn write(settlement: &Settlement, whole: bool, bytes: &mut Vec<u8>) {
    put_which(settlement.attempt, settlement.event, settlement.number, bytes);
    if !whole {
        return;
    }
    let Exchanged { took, address, status, answer, answer_cut, .. } = &settlement.exchanged;
    put(bytes, i64::from(status.unwrap_or_default()));
    put(bytes, settlement.started_at.since(settlement.attempt.at()));
    put(bytes, i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
    let cut = if *answer_cut { CUT } else { 0 };
    match address {
        None => put(bytes, cut),
        Some(SocketAddr::V4(address)) => {
            put(bytes, cut | IPV4);
            bytes.extend(address.ip().octets());
            bytes.extend(address.port().to_le_bytes());
        }
        Some(SocketAddr::V6(address)) => {
            put(bytes, cut | IPV6);
            bytes.extend(address.ip().octets());
            bytes.extend(address.port().to_le_bytes());
        }
    }
    bytes.extend_from_slice(answer);
}

/// Appends the content of a record whose attempt has a row.
pub(in super::super) fn put_which(key: AttemptKey, event: EventKey, number: u32, bytes: &mut Vec<u8>) {
    put(bytes, key.0.wrapping_sub(event.0));
    put(bytes, number.into());
}

/// Which attempt the record of this key and content is of: event and number. What follows is the whole, if anything.
pub(in super::super) fn read_which(key: i64, content: &mut &[u8]) -> Option<(EventKey, u32)> {
    let event = EventKey(key.wrapping_sub(take(content)?));
    Some((event, u32::try_from(take(content)?).ok()?))
}

/// The record of this key and content; `None` where it is none of ours.
pub(in super::super) fn read(key: i64, mut content: &[u8]) -> Option<Recorded> {
    let (event, number) = read_which(key, &mut content)?;
    let whole = if content.is_empty() { None } else { Some(read_whole(AttemptKey(key), content)?) };
    Some(Recorded { key: AttemptKey(key), event, number, whole })
}

fn read_whole(key: AttemptKey, mut content: &[u8]) -> Option<Whole> {
    let status = u16::try_from(take(&mut content)?).ok()?;
    let started_at = key.at().saturating_add(take(&mut content)?);
    let took = Duration::from_micros(u64::try_from(take(&mut content)?).ok()?);
    let flags = take(&mut content)?;
    let ip = match flags & (IPV4 | IPV6) {
        0 => None,
        IPV4 => Some(IpAddr::from(*take_bytes::<4>(&mut content)?)),
        _ => Some(IpAddr::from(*take_bytes::<16>(&mut content)?)),
    };
    let address = match ip {
        None => None,
        Some(ip) => Some(SocketAddr::new(ip, u16::from_le_bytes(*take_bytes(&mut content)?))),
    };
    let exchanged = Exchanged {
        took,
        address,
        status: Some(status),
        failure: None,
        detail: None,
        answer: content.to_vec().into(),
        answer_cut: flags & CUT != 0,
    };
    Some(Whole { started_at, exchanged })
}

fn take_bytes<'b, const LEN: usize>(bytes: &mut &'b [u8]) -> Option<&'b [u8; LEN]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}
