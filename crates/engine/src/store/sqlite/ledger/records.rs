//! Records under keys that grow with time, as bytes, and cut into chunks: one row for many of them.
//!
//! A record is the length of its content (16 bits), its key (64 bits), both low bytes first, and the content. Invariants:
//! a chunk's records are in the order of their keys, of which the last is the chunk's own; they lie no further apart than
//! [`SPAN_MS`], so that who looks for a key knows which chunks can hold it. Read `entry.rs` next.

use crate::key::millis_later;

/// How far apart the keys in one chunk may lie, in milliseconds.
const SPAN_MS: i64 = 10_000;
/// Bytes of a chunk, unless a single record has more: so that a row stays within its page of 8 KiB.
const CHUNK_BYTES: usize = 1_900;
/// Bytes of a record before its content.
const HEAD_BYTES: usize = 10;
/// Bytes of a record's content at most.
const CONTENT_BYTES_MAX: usize = u16::MAX as usize;

/// Records, one after another.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in super::super) struct Records(Vec<u8>);

impl Records {
    /// Appends a record; `write` appends its content, which is cut where it is longer than 65,535 bytes.
    pub(in super::super) fn push(&mut self, key: i64, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend([0, 0]);
        self.0.extend(key.to_le_bytes());
        write(&mut self.0);
        self.0.truncate(start + HEAD_BYTES + CONTENT_BYTES_MAX);
        let len = u16::try_from(self.0.len() - start - HEAD_BYTES).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&len.to_le_bytes());
    }

    /// Appends all records of `later`.
    pub(in super::super) fn append(&mut self, later: &[u8]) {
        self.0.extend_from_slice(later);
    }

    /// The records as bytes.
    pub(in super::super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same records as chunks, each with its last key.
    pub(super) fn chunks(&self) -> Vec<(i64, Vec<u8>)> {
        let mut rest = &self.0[..];
        let mut records: Vec<(i64, &[u8])> = std::iter::from_fn(|| {
            let before = rest;
            let (key, content) = first(&mut rest)?;
            Some((key, &before[..HEAD_BYTES + content.len()]))
        })
        .collect();
        // Mostly they are.
        if !records.is_sorted_by_key(|(key, _)| *key) {
            records.sort_by_key(|(key, _)| *key);
        }
        let mut chunks: Vec<(i64, Vec<u8>)> = Vec::new();
        let mut until = i64::MIN;
        for (key, record) in records {
            match chunks.last_mut() {
                Some((last, bytes)) if key <= until && bytes.len() + record.len() <= CHUNK_BYTES => {
                    *last = key;
                    bytes.extend_from_slice(record);
                }
                _ => {
                    until = span_after(key);
                    chunks.push((key, record.to_vec()));
                }
            }
        }
        chunks
    }
}

/// The records in `bytes`, each with its key, as far as they are any.
pub(in super::super) fn records(mut bytes: &[u8]) -> impl Iterator<Item = (i64, &[u8])> {
    std::iter::from_fn(move || first(&mut bytes))
}

/// The highest key that can be in one chunk with `key`.
pub(in super::super) fn span_after(key: i64) -> i64 {
    millis_later(key, SPAN_MS)
}

fn first<'b>(bytes: &mut &'b [u8]) -> Option<(i64, &'b [u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (key, rest) = rest.split_first_chunk::<8>()?;
    let (content, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
    *bytes = rest;
    Some((i64::from_le_bytes(*key), content))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chunks_hold_every_record_once_in_order_and_within_their_span(
            all in proptest::collection::vec((0_i64..60_000, proptest::collection::vec(any::<u8>(), 0..300)), 0..200),
        ) {
            let mut added = Records::default();
            for (ms, content) in &all {
                added.push(millis_later(0, *ms), |bytes| bytes.extend(content));
            }
            prop_assert_eq!(records(added.bytes()).count(), all.len());
            let mut expected: Vec<_> = all.iter().map(|(ms, content)| (millis_later(0, *ms), &content[..])).collect();
            expected.sort_by_key(|(key, _)| *key);
            let chunks = added.chunks();
            let found: Vec<_> = chunks.iter().flat_map(|(_, bytes)| records(bytes)).collect();
            prop_assert_eq!(found, expected);
            for (last, bytes) in &chunks {
                let keys: Vec<i64> = records(bytes).map(|(key, _)| key).collect();
                prop_assert_eq!(keys.last(), Some(last));
                prop_assert!(*last <= span_after(keys[0]));
                prop_assert!(bytes.len() <= CHUNK_BYTES);
            }
        }
    }

    #[test]
    fn a_content_that_is_too_long_is_cut_and_harms_no_other() {
        let mut added = Records::default();
        added.push(1, |bytes| bytes.resize(bytes.len() + 70_000, 7));
        added.push(2, |bytes| bytes.push(9));
        let found: Vec<_> = records(added.bytes()).map(|(key, content)| (key, content.len())).collect();
        assert_eq!(found, [(1, 65_535), (2, 1)]);
    }
}
