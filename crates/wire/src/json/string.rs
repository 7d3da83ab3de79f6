//! What stands between the quotes of a string: plain text and escapes.
//!
//! Most of an event is plain text, so that it is looked at eight bytes at a time, and 32 where it is long.
//! Read `members.rs` next.

const LOW_BITS: u64 = u64::from_le_bytes([0x01; 8]);
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);
/// Short texts end within so many bytes.
const SHORT: usize = 16;
/// What is looked at in one step of a long text.
const BLOCK: usize = 32;

/// How many bytes at the beginning of `text` stand in a string for themselves, and are neither its end nor an escape.
#[inline]
pub(super) fn plain_len(text: &[u8]) -> usize {
    // Most names end here.
    let marks = text.first_chunk().map_or(0, |word| marks(u64::from_le_bytes(*word)));
    if marks == 0 { long_plain_len(text) } else { marks.trailing_zeros() as usize / 8 }
}

fn long_plain_len(text: &[u8]) -> usize {
    let Some((start, rest)) = text.split_at_checked(SHORT) else { return plain_words(text) };
    let len = plain_words(start);
    if len < SHORT {
        return len;
    }
    let (blocks, _) = rest.as_chunks::<BLOCK>();
    let plain = BLOCK * blocks.iter().take_while(|block| is_plain(block)).count();
    SHORT + plain + plain_words(&rest[plain..])
}

/// Without a branch for each word, so that the compiler takes several at once.
fn is_plain(block: &[u8; BLOCK]) -> bool {
    let (words, _) = block.as_chunks::<8>();
    words.iter().fold(0, |all, word| all | marks(u64::from_le_bytes(*word))) == 0
}

fn plain_words(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return 8 * at + marks.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &&u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    text.len() - rest.len() + rest.iter().take_while(|byte| !special(byte)).count()
}

/// Marks quotes, backslashes and control characters among eight bytes, the first in the lowest bits. The lowest mark is
/// right; one above it may be wrong, since a subtraction borrows from the byte above.
fn marks(word: u64) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(LOW_BITS) & !word;
    let controls = word.wrapping_sub(LOW_BITS * 0x20) & !word;
    (zeros(word ^ (LOW_BITS * u64::from(b'"'))) | zeros(word ^ (LOW_BITS * u64::from(b'\\'))) | controls)
        & HIGH_BITS
}

/// The bytes that a string with escapes, which was checked, stands for.
pub(super) fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let escape = raw.get(at).copied().unwrap_or_default();
        at += 1;
        match escape {
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'u' => {
                let mut code = unit(raw, at);
                at += 4;
                if (0xd800..0xdc00).contains(&code) {
                    code = 0x10000 + ((code - 0xd800) << 10) + unit(raw, at + 2).saturating_sub(0xdc00);
                    at += 6;
                }
                let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => bytes.push(other),
        }
    }
    bytes
}

/// The number of four hexadecimal digits.
pub(super) fn unit(text: &[u8], at: usize) -> u32 {
    let digits = text.get(at..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn plain_text_ends_where_the_first_byte_is_special(text: Vec<u8>, plain in "[ !#\\[\\]-~ă]{0,120}") {
            let slow = |text: &[u8]| text.iter().take_while(|byte| !matches!(byte, 0..0x20 | b'"' | b'\\')).count();
            prop_assert_eq!(plain_len(&text), slow(&text));
            let mut whole = plain.into_bytes();
            prop_assert_eq!(plain_len(&whole), whole.len());
            whole.extend(text);
            prop_assert_eq!(plain_len(&whole), slow(&whole));
        }
    }
}
