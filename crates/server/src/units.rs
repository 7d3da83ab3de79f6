//! Values on the command line that have a form of their own: address ranges and durations.
//!
//! Read `config.rs` next.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

/// An address range: `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cidr(pub IpNet);

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
        range.map(Self).map_err(|_| format!("{text:?} is no address range; an example: 127.0.0.0/8"))
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A duration: a whole number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is no duration; examples: 500ms, 10s, 5m, 2h, 30d");
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let count: u64 = text[..digits].parse().map_err(|_| error())?;
        let unit_ms = match &text[digits..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(error()),
        };
        count.checked_mul(unit_ms).map(|ms| Self(Duration::from_millis(ms))).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let ms = |text: &str| text.parse::<Span>().map(|span| span.0.as_millis());
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("20s"), Ok(20_000));
        assert_eq!(ms("30d"), Ok(2_592_000_000));
        for bad in ["", "10", "s", "1.5s", "-1s", "10 s", "99999999999999999999d", "18446744073709551615d"] {
            assert!(ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_range_is_a_cidr_or_an_address() {
        assert_eq!("127.0.0.0/8".parse::<Cidr>().unwrap().to_string(), "127.0.0.0/8");
        assert_eq!("::1".parse::<Cidr>().unwrap().to_string(), "::1/128");
        assert!("127.0.0.0/33".parse::<Cidr>().is_err());
    }
}
