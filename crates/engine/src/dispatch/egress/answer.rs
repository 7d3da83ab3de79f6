//! An answer over HTTP/1.1, read as its bytes come (RFC 9112).
//!
//! A function of bytes, without a socket: the head by httparse, the body by its length, in chunks, or to the end of the
//! connection. Invariants: what is ambiguous is an error (two lengths, a length that is none); memory is bounded by the
//! limits, whatever comes; nothing behind an answer is ever taken for a part of the next one. Read `head.rs` next.

use std::mem::MaybeUninit;

use bytes::Bytes;

use super::head::{Head, Next};
use super::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::dispatch::transport::{Answer, Failure, FailureKind};

/// How much of an answer's body is read, and kept for the log, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) read: usize,
    pub(super) kept: usize,
}

/// An answer that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    limits: Limits,
    next: Next,
    /// The part of a head that has come, where it did not come whole.
    head: Vec<u8>,
    status: Option<u16>,
    retry_after: Option<String>,
    /// Whether the connection is good for another request.
    reusable: bool,
    read: usize,
    kept: Vec<u8>,
}

impl Reading {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            next: Next::Head,
            head: Vec::new(),
            status: None,
            retry_after: None,
            reusable: true,
            read: 0,
            kept: Vec::new(),
        }
    }

    /// Its status, as soon as its head has come.
    pub(super) const fn status(&self) -> Option<u16> {
        self.status
    }

    /// Takes what came. Answers whether the answer is over.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<bool, Failure> {
        if matches!(self.next, Next::Head) {
            let head = std::mem::take(&mut self.head);
            if head.is_empty() {
                bytes = self.take_head(bytes)?;
            } else {
                self.go_on_with_head(head, bytes)?;
                // What follows the head in it was taken with it.
                bytes = &[];
            }
        }
        self.take_body(bytes)
    }

    /// The connection has ended, with an error where there was one. Answers what of the answer is missing.
    pub(super) fn end(&mut self, error: Option<&std::io::Error>) -> Result<(), Failure> {
        self.reusable = false;
        match (&self.next, error) {
            (Next::ToTheEnd, None) => self.next = Next::Nothing,
            (Next::Nothing, _) => {}
            _ => {
                let why = error.map_or_else(|| "it was closed".to_owned(), ToString::to_string);
                let what = match self.status {
                    None => format!("the connection ended before the answer: {why}"),
                    Some(_) => format!("the answer broke off: {why}"),
                };
                return Err(Failure { kind: FailureKind::Closed, detail: what, status: self.status });
            }
        }
        Ok(())
    }

    /// What was answered, and whether the connection is good for another request.
    pub(super) fn done(self) -> (Answer, bool) {
        let answer = Answer {
            status: self.status.unwrap_or_default(),
            retry_after: self.retry_after,
            body_cut: self.read > self.kept.len(),
            body: Bytes::from(self.kept),
        };
        (answer, self.reusable)
    }

    fn broken(&self, why: impl std::fmt::Display) -> Failure {
        let detail = match self.status {
            None => format!("what came back is no HTTP answer: {why}"),
            Some(_) => format!("the answer broke off: {why}"),
        };
        Failure { kind: FailureKind::Protocol, detail, status: self.status }
    }

    /// Puts a head together that comes in parts. It is looked at again only when a line in it is empty, so that one
    /// that comes byte by byte costs no more than its length.
    fn go_on_with_head(&mut self, mut head: Vec<u8>, bytes: &[u8]) -> Result<(), Failure> {
        let new_from = head.len().saturating_sub(2);
        head.extend_from_slice(bytes);
        let new = &head[new_from..];
        let may_be_whole = new.windows(2).any(|pair| pair == b"\n\n" || pair == b"\n\r");
        if !may_be_whole && head.len() <= HEAD_BYTES_MAX {
            self.head = head;
            return Ok(());
        }
        let rest = self.take_head(&head)?;
        self.take_body(rest).map(drop)
    }

    /// Takes a head from the beginning of `bytes`, and those of interim answers before it. Answers with what follows.
    fn take_head<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8], Failure> {
        while !bytes.is_empty() {
            let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
            let mut response = httparse::Response::new(&mut []);
            let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
                &mut response,
                bytes,
                &mut headers,
            );
            match parsed {
                Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => {
                    let status = response.code.unwrap_or_default();
                    bytes = &bytes[length..];
                    // An interim answer says that another one follows. Nobody asked for another protocol.
                    if (100..200).contains(&status) && status != 101 {
                        continue;
                    }
                    let head = Head::read(&response).map_err(|why| self.broken(why))?;
                    self.status = Some(status);
                    self.retry_after = head.retry_after;
                    self.reusable = head.reusable;
                    self.next = head.next;
                    return Ok(bytes);
                }
                Ok(httparse::Status::Partial) if bytes.len() <= HEAD_BYTES_MAX => {
                    // Empty lines before it are none of it, and would be looked at again with each that comes.
                    let begin = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
                    bytes[begin..].clone_into(&mut self.head);
                    return Ok(&[]);
                }
                Ok(_) => return Err(self.broken(format_args!("a head of more than {HEAD_BYTES_MAX} bytes"))),
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(bytes)
    }

    fn take_body(&mut self, mut bytes: &[u8]) -> Result<bool, Failure> {
        loop {
            let data = match &mut self.next {
                Next::Head => return Ok(false),
                Next::Nothing => {
                    // Nobody asked for what follows.
                    self.reusable &= bytes.is_empty();
                    return Ok(true);
                }
                Next::Sized(left) => {
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= length as u64;
                    let over = *left == 0;
                    let (data, rest) = bytes.split_at(length);
                    bytes = rest;
                    if over {
                        self.next = Next::Nothing;
                    }
                    Some(data)
                }
                Next::Chunks(chunks) => match chunks.next(&mut bytes) {
                    Ok(None) if chunks.is_done() => {
                        self.next = Next::Nothing;
                        continue;
                    }
                    Ok(data) => data,
                    Err(why) => return Err(self.broken(why)),
                },
                Next::ToTheEnd => Some(std::mem::take(&mut bytes)),
            };
            let data = data.unwrap_or_default();
            self.read += data.len();
            let room = self.limits.kept.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&data[..data.len().min(room)]);
            if self.read > self.limits.read {
                // What an answer says beyond the limit is not wanted: the connection goes with it.
                self.reusable = false;
                self.next = Next::Nothing;
                return Ok(true);
            }
            if data.is_empty() && !matches!(self.next, Next::Nothing) {
                return Ok(false);
            }
        }
    }
}

#[cfg(test)]
mod tests;
