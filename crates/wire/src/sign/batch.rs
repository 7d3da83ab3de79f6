//! Many signatures at once.
//!
//! Invariant: each is what `legacy` and `v1` make, whatever else is in the batch and whatever processor makes it. HMAC as
//! in RFC 2104, with the keys worked in beforehand. Read `lanes.rs` next.

use sha2::block_api::compress256;

use super::lanes::{self, LANES, Word};
use crate::secret::Secret;

/// A signature's bytes, before they are spelled.
pub type Mac = [u8; 32];

const BLOCK_BYTES: usize = 64;
/// FIPS 180-4, 5.3.3.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A key, worked into the states that the inner and the outer hash begin with.
#[derive(Clone, Copy)]
pub(crate) struct Keyed {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Keyed {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut padded = [0; BLOCK_BYTES];
        if key.len() > BLOCK_BYTES {
            let digest: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(key).into();
            padded[..32].copy_from_slice(&digest);
        } else {
            padded[..key.len()].copy_from_slice(key);
        }
        let worked_in = |pad: u8| {
            let mut state = START;
            compress256(&mut state, &[padded.map(|byte| byte ^ pad)]);
            state
        };
        Self { inner: worked_in(0x36), outer: worked_in(0x5c) }
    }
}

/// Bodies that are to be signed, and with what.
#[derive(Default)]
pub struct Batch {
    /// The messages, padded as SHA-256 wants them.
    blocks: Vec<[u8; BLOCK_BYTES]>,
    jobs: Vec<Job>,
}

struct Job {
    key: Keyed,
    first: usize,
    blocks: usize,
}

impl Batch {
    /// With room for both signatures of so many bodies, which have so many bytes in all.
    #[must_use]
    pub fn with_capacity(bodies: usize, bytes: usize) -> Self {
        /// What is signed beside a body: id and time, padding, and the block that its end is in.
        const BESIDE_BLOCKS: usize = 3;
        let blocks = 2 * (bytes / BLOCK_BYTES + bodies * BESIDE_BLOCKS);
        Self { blocks: Vec::with_capacity(blocks), jobs: Vec::with_capacity(2 * bodies) }
    }

    /// Adds a body for [`super::legacy`].
    pub fn push_legacy(&mut self, secret: &Secret, body: &[u8]) {
        self.push(secret.legacy_keyed, &[body]);
    }

    /// Adds a message for [`super::v1`].
    pub fn push_v1(&mut self, secret: &Secret, id: &str, timestamp_secs: i64, body: &[u8]) {
        let mut digits = itoa::Buffer::new();
        let timestamp = digits.format(timestamp_secs).as_bytes();
        self.push(secret.v1_keyed, &[id.as_bytes(), b".", timestamp, b".", body]);
    }

    fn push(&mut self, key: Keyed, parts: &[&[u8]]) {
        const LENGTH_BYTES: usize = 8;
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let first = self.blocks.len();
        let blocks = (length + 1 + LENGTH_BYTES).div_ceil(BLOCK_BYTES);
        self.blocks.resize(first + blocks, [0; BLOCK_BYTES]);
        let message = self.blocks[first..].as_flattened_mut();
        let mut at = 0;
        for part in parts {
            message[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        message[at] = 0x80;
        let bits = (BLOCK_BYTES + length) as u64 * 8;
        let end = message.len();
        message[end - LENGTH_BYTES..].copy_from_slice(&bits.to_be_bytes());
        self.jobs.push(Job { key, first, blocks });
    }

    /// Makes all signatures, in the order in which they were added.
    #[must_use]
    pub fn sign(self) -> Vec<Mac> {
        let mut macs = vec![[0; 32]; self.jobs.len()];
        // Side by side are those that take the same number of steps.
        let mut order: Vec<usize> = (0..self.jobs.len()).collect();
        order.sort_by_key(|&job| self.jobs[job].blocks);
        let at_once = if lanes::pay() { LANES } else { 1 };
        for group in order.chunks(at_once) {
            match group {
                [job] => macs[*job] = self.one(&self.jobs[*job]),
                group => self.group(group, &mut macs),
            }
        }
        macs
    }

    fn one(&self, job: &Job) -> Mac {
        let mut inner = job.key.inner;
        compress256(&mut inner, &self.blocks[job.first..job.first + job.blocks]);
        let mut block = [0; BLOCK_BYTES];
        block[..32].copy_from_slice(&spelled(inner));
        block[32] = 0x80;
        block[BLOCK_BYTES - 8..].copy_from_slice(&OUTER_BITS.to_be_bytes());
        let mut outer = job.key.outer;
        compress256(&mut outer, &[block]);
        spelled(outer)
    }

    /// At most as many as there are lanes, those with the most blocks last.
    fn group(&self, group: &[usize], macs: &mut [Mac]) {
        let jobs = || group.iter().map(|&job| &self.jobs[job]).enumerate();
        let mut states = side_by_side(jobs().map(|(_, job)| job.key.inner));
        let mut words = [[0; LANES]; 16];
        let mut digests = [[0; LANES]; 16];
        let most = group.last().map_or(0, |&job| self.jobs[job].blocks);
        for step in 0..most {
            for (lane, job) in jobs() {
                // One that has come to its end works on, and nobody looks.
                let block = &self.blocks[job.first + step.min(job.blocks - 1)];
                for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
                    word[lane] = u32::from_be_bytes(*bytes);
                }
            }
            lanes::compress(&mut states, &mut words);
            for (lane, _) in jobs().filter(|(_, job)| job.blocks == step + 1) {
                for (digest, state) in digests.iter_mut().zip(&states) {
                    digest[lane] = state[lane];
                }
            }
        }
        digests[8] = [0x8000_0000; LANES];
        digests[15] = [OUTER_BITS as u32; LANES];
        let mut states = side_by_side(jobs().map(|(_, job)| job.key.outer));
        lanes::compress(&mut states, &mut digests);
        for (lane, &job) in group.iter().enumerate() {
            macs[job] = spelled(states.map(|word| word[lane]));
        }
    }
}

/// What the outer hash covers, in bits: a key's block and a digest.
const OUTER_BITS: u64 = (BLOCK_BYTES as u64 + 32) * 8;

/// States as lanes; nobody's are zeros.
fn side_by_side(states: impl Iterator<Item = [u32; 8]>) -> [Word; 8] {
    let mut words = [[0; LANES]; 8];
    for (lane, state) in states.enumerate() {
        for (word, value) in words.iter_mut().zip(state) {
            word[lane] = value;
        }
    }
    words
}

fn spelled(state: [u32; 8]) -> Mac {
    let mut mac = [0; 32];
    mac.as_chunks_mut::<4>().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sign;

    /// Both ways, whatever processor the tests run on.
    fn both(batch: &Batch) -> [Vec<Mac>; 2] {
        let one_by_one = batch.jobs.iter().map(|job| batch.one(job)).collect();
        let mut macs = vec![[0; 32]; batch.jobs.len()];
        let mut order: Vec<usize> = (0..batch.jobs.len()).collect();
        order.sort_by_key(|&job| batch.jobs[job].blocks);
        order.chunks(LANES).for_each(|group| batch.group(group, &mut macs));
        [one_by_one, macs]
    }

    proptest! {
        #[test]
        fn each_is_what_is_made_alone(
            wanted in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..300), any::<bool>(), "[!-~]{1,200}", "[a-z_0-9]{1,64}", any::<i64>()),
                0..20,
            )
        ) {
            let mut batch = Batch::default();
            let mut expected = Vec::new();
            for (body, is_ours, secret, id, at) in &wanted {
                // Where it is one of ours, the two signatures have different keys.
                let made = Secret::from_random([secret.len() as u8; 32]);
                let secret = if *is_ours { made } else { Secret::parse(&format!("a{secret}")).unwrap() };
                batch.push_legacy(&secret, body);
                batch.push_v1(&secret, id, *at, body);
                expected.push(sign::legacy_bytes(&secret, body));
                expected.push(sign::v1_bytes(&secret, id.as_bytes(), &at.to_string(), body));
            }
            for made in both(&batch) {
                prop_assert_eq!(&made, &expected);
            }
            prop_assert_eq!(batch.sign(), expected);
        }
    }

    #[test]
    fn every_length_around_a_block_is_padded_right() {
        let secret = Secret::from_random([1; 32]);
        let body = [b'x'; 300];
        let mut batch = Batch::default();
        (0..=300).for_each(|length| batch.push_legacy(&secret, &body[..length]));
        let expected: Vec<Mac> =
            (0..=300).map(|length| sign::legacy_bytes(&secret, &body[..length])).collect();
        for made in both(&batch) {
            assert_eq!(made, expected);
        }
    }
}
