//! Times: milliseconds inside, RFC 3339 outside.
//!
//! One type for every time on the wire and in the store, so that no unit is ever guessed.
//! Read `id.rs` next.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time in milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC with three decimals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMs(pub i64);

/// 0000-01-01T00:00:00Z.
const YEAR_0_MS: i64 = -62_167_219_200_000;

/// The last time that is shown, a day before the year ends, so that any offset may be added to it.
const YEAR_9999_MS: i64 = 253_402_207_199_999;

/// A text is no time of RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no time as RFC 3339 has it, as 2026-01-31T12:00:00.000Z")]
pub struct ParseTimeError;

impl UnixMs {
    /// The machine's clock. The engine has a clock of its own.
    #[must_use]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// So many milliseconds later.
    #[must_use]
    pub const fn saturating_add(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this; negative where it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        // RFC 3339 has the years 0 to 9999. What is outside is shown as the nearest inside.
        let clamped = self.0.clamp(YEAR_0_MS, YEAR_9999_MS);
        let at = Timestamp::from_millisecond(clamped).map_err(|_| fmt::Error)?;
        PRINTER.print_timestamp(&at, StdFmtWrite(f)).map_err(|_| fmt::Error)
    }
}

impl FromStr for UnixMs {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        if !is_rfc3339(text.as_bytes()) {
            return Err(ParseTimeError);
        }
        let at: Timestamp = text.parse().map_err(|_| ParseTimeError)?;
        // Rounded down, before 1970 too.
        i64::try_from(at.as_nanosecond().div_euclid(1_000_000)).map(Self).map_err(|_| ParseTimeError)
    }
}

/// Whether a text has the form of RFC 3339, which is narrower than what the parser takes:
/// `2026-01-31T12:00:00`, perhaps a fraction, and `Z` or an offset as `+02:00`.
fn is_rfc3339(text: &[u8]) -> bool {
    let form = |part: &[u8], form: &[u8]| {
        let matches =
            |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
        part.len() == form.len() && part.iter().zip(form).all(matches)
    };
    let Some((date, rest)) = text.split_at_checked(10) else { return false };
    let Some((time, rest)) = rest.split_at_checked(9) else { return false };
    let timed = matches!(time[0], b'T' | b't' | b' ') && form(&time[1..], b"00:00:00");
    let fraction = match rest.strip_prefix(b".") {
        Some(after) => after.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        None => 0,
    };
    let offset = if fraction > 0 { &rest[1 + fraction..] } else { rest };
    let zoned = match offset {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', numbers @ ..] => {
            form(numbers, b"00:00") && &numbers[..2] < b"24" && &numbers[3..] < b"60"
        }
        _ => false,
    };
    form(date, b"0000-00-00") && timed && zoned
}

impl Serialize for UnixMs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixMs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_three_decimals_in_utc() {
        assert_eq!(UnixMs(1_767_225_600_000).to_string(), "2026-01-01T00:00:00.000Z");
        assert_eq!(UnixMs(1_767_225_600_007).to_string(), "2026-01-01T00:00:00.007Z");
        assert_eq!(UnixMs(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert!(!UnixMs(i64::MAX).to_string().is_empty() && !UnixMs(i64::MIN).to_string().is_empty());
    }

    #[test]
    fn any_offset_is_read_and_anything_else_is_refused() {
        for (text, ms) in [
            ("2026-01-01T00:00:00.000Z", 1_767_225_600_000),
            ("2026-01-01T02:00:00+02:00", 1_767_225_600_000),
            ("2026-01-01T00:00:00.0079Z", 1_767_225_600_007),
            ("2026-01-01t00:00:00z", 1_767_225_600_000),
            ("1969-12-31T23:59:59.9995Z", -1),
        ] {
            assert_eq!(text.parse(), Ok(UnixMs(ms)), "{text}");
        }
        for bad in [
            "",
            "soon",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "1767225600",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00Z[UTC]",
            "20260101T000000Z",
            "2026-01-01T00:00:00+99:00",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00+0200",
            "2026-01-01T00:00:00+02",
            "2026-01-01T00:00:00+02:00:30",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01T00:00Z",
        ] {
            assert_eq!(bad.parse::<UnixMs>(), Err(ParseTimeError), "{bad:?}");
        }
    }

    #[test]
    fn seconds_are_rounded_down() {
        assert_eq!(UnixMs(1_999).as_secs(), 1);
        assert_eq!(UnixMs(-1).as_secs(), -1);
    }
}
