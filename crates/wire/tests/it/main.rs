//! The contract's promises: known-good signatures, the reference implementation, and every way in which
//! a request can be wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod reference;
mod refused;
mod seed;
mod vectors;
