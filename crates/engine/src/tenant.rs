//! Whose data something is.
//!
//! Every call of the engine names a tenant by its [`TenantId`], and sees nothing of any other. A name
//! becomes an id at its first use. Read `access.rs` next.

use std::fmt;
use std::str::FromStr;

/// A tenant's number inside the engine; got from [`crate::Engine::tenant`] or an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub(crate) i64);

/// A tenant's name: `[a-z0-9][a-z0-9_-]{0,63}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantName(String);

/// The tenant of calls that name none.
pub const DEFAULT_TENANT: &str = "default";

const NAME_CHARS_MAX: usize = 64;

/// A text is no tenant's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's name has 1 to 64 characters: a-z, 0-9, '_' and '-', and begins with a letter or digit")]
pub struct TenantNameError;

impl TenantName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantName {
    type Err = TenantNameError;

    fn from_str(text: &str) -> Result<Self, TenantNameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = text.len() <= NAME_CHARS_MAX
            && text.bytes().next().is_some_and(plain)
            && text.bytes().all(|byte| plain(byte) || byte == b'_' || byte == b'-');
        if good { Ok(Self(text.to_owned())) } else { Err(TenantNameError) }
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_lower_case_and_plain() {
        for good in ["default", "a", "0", "acme-ro_2", &"x".repeat(64)] {
            assert_eq!(good.parse::<TenantName>().unwrap().as_str(), good);
        }
        for bad in ["", "Acme", "-a", "_a", "a.b", "a b", "ă", &"x".repeat(65)] {
            assert!(bad.parse::<TenantName>().is_err(), "{bad:?}");
        }
    }
}
