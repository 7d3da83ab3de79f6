//! A text on the command line that may be secret: a key, a secret, a header.
//!
//! Invariant: `Debug` does not show it. Read `input.rs` next.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A text that may be secret.
#[derive(Clone)]
pub struct Hidden(pub(super) String);

impl FromStr for Hidden {
    // Whatever it is, it is taken here and checked where it is used: clap's errors show what was given.
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_it() {
        let Ok(hidden) = "hunter2".parse::<Hidden>();
        assert_eq!(format!("{hidden:?}"), "[hidden]");
    }
}
