//! What may be dialled: public addresses, and what the operator allows beside them.
//!
//! Sources: IANA's registries of special-purpose IPv4 and IPv6 addresses (RFC 6890 and those that it
//! lists). Forms that carry an IPv4 address inside (mapped, 6to4, NAT64 …) are judged by it: an address
//! that is refused stays refused in every spelling. Read `connect.rs` next.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// Ranges that are allowed although they are not public.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    allow: Vec<IpNet>,
}

/// An address that is not dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the address {address} is {kind}, which webhooks may not have (the operator can allow it: --egress-allow {address})"
)]
pub struct RefusedAddress {
    /// The address.
    pub address: IpAddr,
    /// What kind of address it is.
    pub kind: &'static str,
}

/// A URL that is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUrl {
    /// Another scheme.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// A user name or password in it.
    #[error("must not hold a user name or password; send them in a header, as Authorization")]
    Userinfo,
    /// No host, or port 0.
    #[error("must name a host, and no port 0")]
    Host,
    /// Something that cannot be put into a request.
    #[error("cannot be sent in an HTTP request")]
    Unsendable,
    /// An address that is not dialled.
    #[error(transparent)]
    Address(#[from] RefusedAddress),
}

const V4: [(&str, u8, &str); 17] = [
    ("0.0.0.0", 8, "of \"this network\""),
    ("10.0.0.0", 8, "private"),
    ("100.100.100.200", 32, "a cloud's metadata service"),
    ("100.64.0.0", 10, "shared by a carrier's NAT"),
    ("127.0.0.0", 8, "a loopback address"),
    // Azure's, the only one that stands among public addresses.
    ("168.63.129.16", 32, "a cloud's metadata service"),
    ("169.254.169.254", 32, "a cloud's metadata service"),
    ("169.254.0.0", 16, "link-local"),
    ("172.16.0.0", 12, "private"),
    ("192.0.0.0", 24, "reserved for protocols"),
    ("192.0.2.0", 24, "for documentation"),
    ("192.88.99.0", 24, "a 6to4 relay"),
    ("192.168.0.0", 16, "private"),
    ("198.18.0.0", 15, "for benchmarks"),
    ("198.51.100.0", 24, "for documentation"),
    ("203.0.113.0", 24, "for documentation"),
    // 224/4 is multicast, 240/4 reserved, 255.255.255.255 broadcast.
    ("224.0.0.0", 3, "multicast, reserved or broadcast"),
];

const V6: [(&str, u8, &str); 13] = [
    // RFC 8215. Where in it the IPv4 address stands is the network's choice, so that none can be judged.
    ("64:ff9b:1::", 48, "a network's own translation of some IPv4 address"),
    ("::", 128, "unspecified"),
    ("::1", 128, "a loopback address"),
    ("100::", 64, "for discarding"),
    ("2001::", 23, "reserved for protocols"),
    ("2001:db8::", 32, "for documentation"),
    ("3fff::", 20, "for documentation"),
    ("5f00::", 16, "for segment routing"),
    ("fd00:ec2::254", 128, "a cloud's metadata service"),
    ("fc00::", 7, "private"),
    ("fe80::", 10, "link-local"),
    ("fec0::", 10, "site-local"),
    ("ff00::", 8, "multicast"),
];

/// The first three bits of every public IPv6 address there is so far: 2000::/3 (RFC 4291).
const GLOBAL_UNICAST: u16 = 1;

impl Policy {
    /// Public addresses and these ranges.
    #[must_use]
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Whether an address may be dialled.
    pub fn check_ip(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        let canonical = address.to_canonical();
        let allowed = |address: IpAddr| self.allow.iter().any(|range| range.contains(&address));
        if allowed(canonical) {
            return Ok(());
        }
        let kind = match canonical {
            IpAddr::V4(v4) => kind_v4(v4),
            IpAddr::V6(v6) => match inner_v4(v6) {
                Some(v4) if allowed(v4.into()) => None,
                Some(v4) => kind_v4(v4),
                None => kind_v6(v6),
            },
        };
        match kind {
            Some(kind) => Err(RefusedAddress { address: canonical, kind }),
            None => Ok(()),
        }
    }

    /// Whether a URL may be called, as far as the URL alone shows.
    pub fn check_url(&self, url: &Url) -> Result<(), RefusedUrl> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RefusedUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RefusedUrl::Userinfo);
        }
        if url.port() == Some(0) {
            return Err(RefusedUrl::Host);
        }
        match url.host() {
            // The parser has turned every odd spelling (octal, hexadecimal, one number) into an address.
            Some(Host::Ipv4(v4)) => self.check_ip(v4.into())?,
            Some(Host::Ipv6(v6)) => self.check_ip(v6.into())?,
            Some(Host::Domain(name)) if !name.is_empty() => {}
            Some(Host::Domain(_)) | None => return Err(RefusedUrl::Host),
        }
        match url.as_str().parse::<http::Uri>() {
            Ok(uri) if uri.host().is_some() => Ok(()),
            _ => Err(RefusedUrl::Unsendable),
        }
    }
}

fn kind_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |(base, bits, kind): &(&str, u8, &'static str)| {
        let net = base.parse().ok().and_then(|base| Ipv4Net::new(base, *bits).ok())?;
        net.contains(&address).then_some(*kind)
    };
    V4.iter().find_map(within)
}

fn kind_v6(address: Ipv6Addr) -> Option<&'static str> {
    let within = |(base, bits, kind): &(&str, u8, &'static str)| {
        let net = base.parse().ok().and_then(|base| Ipv6Net::new(base, *bits).ok())?;
        net.contains(&address).then_some(*kind)
    };
    let outside = || (address.segments()[0] >> 13 != GLOBAL_UNICAST).then_some("no global unicast address");
    V6.iter().find_map(within).or_else(outside)
}

/// The IPv4 address that an IPv6 address carries: IPv4-compatible and translated forms (RFC 4291, RFC
/// 2765), NAT64 (RFC 6052 and 8215) and 6to4 (RFC 3056). Mapped ones are IPv4 addresses by now.
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let last = || two(parts[6], parts[7]);
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => Some(last()),
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(last()),
        [0x2002, high, low, _, _, _, _, _] => Some(two(high, low)),
        _ => None,
    }
}

fn two(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<(), RefusedUrl> {
        Policy::default().check_url(&Url::parse(text).unwrap())
    }

    fn refused(address: &str) -> bool {
        Policy::default().check_ip(address.parse().unwrap()).is_err()
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "2a00::1",
        ] {
            assert!(!refused(address), "{address}");
        }
    }

    #[test]
    fn everything_else_is_refused_in_every_form() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:a9fe:a9fe::",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "100::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "200::1",
            "4000::1",
        ] {
            assert!(refused(address), "{address}");
        }
    }

    #[test]
    fn odd_spellings_in_a_url_are_the_same_addresses() {
        for host in [
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.0.0.1.",
            "[::1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:127.0.0.1]",
            "①②⑦.0.0.1",
            "%31%32%37.0.0.1",
            "0",
            "169.254.43518",
            "[fe80::1]",
            "2852039166",
        ] {
            let refused = url(&format!("http://{host}/"));
            assert!(matches!(refused, Err(RefusedUrl::Address(_))), "{host}: {refused:?}");
        }
    }

    #[test]
    fn only_plain_web_addresses_pass() {
        assert_eq!(url("https://example.com/h?x=1"), Ok(()));
        assert_eq!(url("http://example.com:8080"), Ok(()));
        for other in ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:1"] {
            assert_eq!(url(other), Err(RefusedUrl::Scheme), "{other}");
        }
        for with in ["http://user@example.com/", "http://:pw@example.com/", "https://u:p@1.1.1.1/"] {
            assert_eq!(url(with), Err(RefusedUrl::Userinfo), "{with}");
        }
        assert_eq!(url("http://example.com:0/"), Err(RefusedUrl::Host));
    }

    #[test]
    fn the_operator_may_allow_a_range() {
        let policy = Policy::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "fd00::1"] {
            assert!(policy.check_ip(address.parse().unwrap()).is_ok(), "{address}");
        }
        for address in ["10.0.0.1", "::1", "fe80::1"] {
            assert!(policy.check_ip(address.parse().unwrap()).is_err(), "{address}");
        }
        let refused = Policy::default().check_ip("127.0.0.1".parse().unwrap()).unwrap_err().to_string();
        assert!(
            refused.contains("a loopback address") && refused.contains("--egress-allow 127.0.0.1"),
            "{refused}"
        );
    }
}
