//! Where requests go: a URL, taken apart and checked.
//!
//! Invariant: what is shown of it ([`Target::server`]) is its scheme, host and port alone. Read `connect.rs` next.

use http::Uri;

use crate::sink::SettingsError;

/// A checked `http` or `https` URL.
#[derive(Clone)]
pub(crate) struct Target {
    tls: bool,
    host: String,
    port: u16,
    authority: String,
    path_and_query: String,
    server: String,
}

impl Target {
    /// Reads the URL of the setting `name`. An error does not show it.
    pub(crate) fn parse(name: &str, url: &str) -> Result<Self, SettingsError> {
        let bad = |what: &str| SettingsError::of(name, what);
        let uri: Uri = url.parse().map_err(|_| bad("is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("must begin with https:// or http://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("must not hold a user or a password"));
        }
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(bad("has no host"));
        }
        let scheme = if tls { "https" } else { "http" };
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.to_string(),
            path_and_query: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            server: format!("{scheme}://{authority}"),
        })
    }

    pub(crate) fn tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// As in the `Host` header.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// Scheme, host and port: what may be shown.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("url", "https://hooks.slack.com/services/T0/B0/x?y=1").unwrap();
        assert!(target.tls());
        assert_eq!((target.host(), target.port()), ("hooks.slack.com", 443));
        assert_eq!(target.path_and_query(), "/services/T0/B0/x?y=1");
        assert_eq!(target.server(), "https://hooks.slack.com");
        let target = Target::parse("url", "http://[::1]:8123").unwrap();
        assert_eq!((target.host(), target.port(), target.authority()), ("::1", 8123, "[::1]:8123"));
        assert_eq!(target.path_and_query(), "/");
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_shown() {
        for bad in
            ["", "hooks.slack.com/hunter2", "ftp://a/hunter2", "https://u:hunter2@a/", "http://a b/hunter2"]
        {
            let error = Target::parse("url", bad).err().unwrap().to_string();
            assert!(error.contains("url") && !error.contains("hunter2"), "{bad}: {error}");
        }
    }
}
