//! Past events, read from JSON lines.
//!
//! It exists so that a trial takes what is at hand: envelopes as they were sent, or lines that say beside
//! them when each arrived (`receivedAt`). Invariant: a line that is no event is an error with its number,
//! and reading goes on. Read `mod.rs` next.

use std::io::BufRead;

use serde_json::Value;
use vai_webhooks_wire::{Envelope, EnvelopeError, UnixMs};

use crate::rule::Fact;

/// The longest line; more than the largest event has.
pub const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One past event.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Its identity, where it had one.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// When it happened.
    pub timestamp: UnixMs,
    /// When it arrived; without that, when it happened.
    pub arrived: UnixMs,
    /// Its data.
    pub data: Value,
}

/// Why there is no event.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The file could not be read on.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// A line is no event.
    #[error("line {line}: {source}")]
    NoEvent {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        source: EnvelopeError,
    },
    /// A line is too long.
    #[error("line {line}: longer than {LINE_BYTES_MAX} bytes")]
    TooLong {
        /// Its number, from 1.
        line: u64,
    },
}

impl Past {
    /// Reads an event's body.
    pub fn parse(body: &[u8], arrived: Option<UnixMs>) -> Result<Self, EnvelopeError> {
        let envelope = Envelope::parse(body)?;
        Ok(Self {
            id: envelope.id.unwrap_or_default().into_owned(),
            event_type: envelope.event.into_owned(),
            timestamp: envelope.timestamp,
            arrived: arrived.unwrap_or(envelope.timestamp),
            data: serde_json::from_str(envelope.data.get())
                // Checked JSON, but a number may be larger than any that can be compared.
                .map_err(|_| EnvelopeError::Shape("`data` cannot be read"))?,
        })
    }

    pub(super) fn fact<'a>(&'a self, session_agent: Option<&'a str>) -> Fact<'a> {
        Fact {
            id: &self.id,
            event_type: &self.event_type,
            timestamp: self.timestamp,
            arrived: self.arrived,
            data: &self.data,
            session_agent,
        }
    }
}

/// The events of a file of JSON lines. Empty lines are left out. After an error of reading there are
/// no more.
pub fn lines(mut file: impl BufRead) -> impl Iterator<Item = Result<Past, PastError>> {
    let mut number = 0;
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended {
            let mut line = Vec::new();
            number += 1;
            match std::io::Read::take(&mut file, LINE_BYTES_MAX).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    ended = true;
                    return Some(Err(PastError::Read(error)));
                }
            }
            if line.len() as u64 == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
                ended = file.skip_until(b'\n').is_err();
                return Some(Err(PastError::TooLong { line: number }));
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                let event = Past::parse(&line, received_at(&line));
                return Some(event.map_err(|source| PastError::NoEvent { line: number, source }));
            }
        }
        None
    })
}

/// `receivedAt`, where the line has it.
fn received_at(line: &[u8]) -> Option<UnixMs> {
    #[derive(serde::Deserialize)]
    struct Beside {
        #[serde(rename = "receivedAt")]
        received_at: UnixMs,
    }
    serde_json::from_slice::<Beside>(line).ok().map(|beside| beside.received_at)
}
