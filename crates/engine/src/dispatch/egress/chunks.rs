//! Bodies in chunks: where each ends, and what of it is data (RFC 9112, section 7.1).
//!
//! A function of bytes, however they are cut up on their way. What is no chunk is an error: whoever guesses at the end
//! of an answer takes another's for the next. Read `answer.rs` again.

use super::HEAD_BYTES_MAX;

/// Bytes of sizes, extensions and trailers in one answer, beside its data and a plain size for each chunk of it.
const ASIDE_BYTES_MAX: usize = HEAD_BYTES_MAX;
/// What a plain size takes, with the line ends of its chunk.
const PLAIN_BYTES: usize = 8;

/// Where in a body of chunks the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In a size, of which some digits may have been read.
    Size {
        digits: bool,
    },
    /// Behind a size: blanks, or an extension, which nobody reads.
    Extension,
    /// At the line feed behind a size.
    SizeLine,
    /// In the data.
    Data,
    /// At the end of the line behind the data.
    DataReturn,
    DataLine,
    /// At the beginning of a line behind the last chunk.
    TrailerStart,
    /// In a trailer, which nobody reads.
    Trailer,
    /// At the very last line feed.
    LastLine,
    /// Behind the body.
    Done,
}

/// A body of chunks that is being read.
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    /// What is left of the chunk, in bytes.
    left: u64,
    /// What was read that is no data.
    aside_bytes: usize,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { at: At::Size { digits: false }, left: 0, aside_bytes: 0 }
    }

    /// Whether the body is over.
    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// The next data in `bytes`, which are moved on; `None` where they end, or the body does.
    pub(super) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, &'static str> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.at == At::Done {
                break;
            }
            if self.at == At::Data {
                let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                let (data, rest) = bytes.split_at(length);
                *bytes = rest;
                self.left -= length as u64;
                if self.left == 0 {
                    self.at = At::DataReturn;
                }
                return Ok(Some(data));
            }
            *bytes = rest;
            self.at = self.step(byte)?;
            self.aside_bytes += 1;
            if self.at == At::Data {
                self.aside_bytes = self.aside_bytes.saturating_sub(PLAIN_BYTES);
            }
            if self.aside_bytes > ASIDE_BYTES_MAX {
                return Err("more of chunks than of their data");
            }
        }
        Ok(None)
    }

    fn step(&mut self, byte: u8) -> Result<At, &'static str> {
        Ok(match (self.at, byte) {
            (At::Size { .. }, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let size = self.left.checked_mul(16).and_then(|it| it.checked_add(u64::from(digit)));
                self.left = size.ok_or("a chunk of a size beyond all numbers")?;
                At::Size { digits: true }
            }
            (At::Size { digits: true } | At::Extension, b'\r') => At::SizeLine,
            (At::Size { digits: true }, b' ' | b'\t' | b';') => At::Extension,
            (At::Extension, byte) if byte != b'\n' => At::Extension,
            (At::SizeLine, b'\n') if self.left == 0 => At::TrailerStart,
            (At::SizeLine, b'\n') => At::Data,
            (At::DataReturn, b'\r') => At::DataLine,
            (At::DataLine, b'\n') => At::Size { digits: false },
            (At::TrailerStart, b'\r') => At::LastLine,
            (At::TrailerStart | At::Trailer, byte) if byte != b'\n' => At::Trailer,
            (At::Trailer, _) => At::TrailerStart,
            (At::LastLine, b'\n') => At::Done,
            _ => return Err("a chunk that is none"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The data, and how many bytes were left, where the body ended within them.
    fn read(parts: &[&[u8]]) -> Result<(Vec<u8>, Option<usize>), &'static str> {
        let (mut chunks, mut data, mut left) = (Chunks::new(), Vec::new(), None);
        for part in parts {
            let mut bytes = *part;
            while let Some(more) = chunks.next(&mut bytes)? {
                data.extend_from_slice(more);
            }
            if chunks.is_done() {
                left = Some(left.unwrap_or(0) + bytes.len());
            }
        }
        Ok((data, left))
    }

    #[test]
    fn data_is_what_stands_between_sizes_and_line_ends() {
        for (body, data) in [
            (&b"0\r\n\r\n"[..], &b""[..]),
            (b"5\r\nhello\r\n1; a=\"b\"\r\n!\r\n0\r\n\r\n", b"hello!"),
            (b"00a \r\n0123456789\r\n000\r\nDigest: x\r\nMore: y\r\n\r\n", b"0123456789"),
        ] {
            assert_eq!(read(&[body]), Ok((data.to_vec(), Some(0))), "{}", body.escape_ascii());
            assert_eq!(read(&[body, b"HTTP/1.1 200"]), Ok((data.to_vec(), Some(12))));
        }
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        for body in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b"5\nhello",
            b"5;a\nhello",
            b"1\r\nab\r\n",
            b"1\r\na\n0\r\n\r\n",
            b"10000000000000000\r\n",
            b"0\r\n\rx",
        ] {
            assert!(read(&[body]).is_err(), "{}", body.escape_ascii());
        }
        let mut endless = b"1;".to_vec();
        endless.resize(ASIDE_BYTES_MAX + 1, b'a');
        assert!(read(&[&endless]).is_err());
    }

    #[test]
    fn many_small_chunks_are_a_body_and_what_costs_more_than_it_carries_is_none() {
        let small = b"0001\r\na\r\n".repeat(40_000);
        assert_eq!(read(&[&small]).unwrap().0.len(), 40_000);
        assert!(read(&[&b"000000000001;aaaaaaaaaaa\r\na\r\n".repeat(40_000)]).is_err());
    }

    proptest! {
        #[test]
        fn however_it_is_cut_up(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&parts), Ok((chunks.concat(), Some(0))));
        }
    }
}
