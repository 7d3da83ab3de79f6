//! A way to a PostgreSQL database, for the sink and for the store of seen ids.
//!
//! It exists so that both read a connection string, verify certificates and word errors in one way. Invariants: with TLS
//! the server's certificate is always verified; an error says which database it is about, and shows no password. Read
//! `sink/postgres/mod.rs` or `store/seen/postgres.rs` next.

use std::error::Error as _;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::sink::SettingsError;
use crate::sink::client::tls_config;

/// How long dialling one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The port where the connection string names none.
const PORT: u16 = 5432;

/// A database that may be connected to.
pub(crate) struct Database {
    config: Config,
    tls: MakeRustlsConnect,
    place: String,
}

impl Database {
    /// Reads a connection string: `postgres://user:password@host/database?sslmode=require`, or `host=… user=…`.
    /// Authorities in `ca_file` (PEM) are trusted beside the public ones.
    pub(crate) fn parse(url: &str, ca_file: Option<&Path>) -> Result<Self, SettingsError> {
        // The error would show the connection string's parts.
        let mut config: Config = url.parse().map_err(|_| {
            let what = "is no connection string, as postgres://user:password@host/database?sslmode=require";
            SettingsError::of("url", what)
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(SettingsError::of("url", "names no host"));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("vai-webhooks-receiver");
        }
        let tls = MakeRustlsConnect::new(tls_config(ca_file)?);
        Ok(Self { place: place(&config), config, tls })
    }

    /// A connection, or what went wrong, in a sentence.
    pub(crate) async fn connect(&self) -> Result<Client, String> {
        let connected = self.config.connect(self.tls.clone()).await;
        let (client, connection) = connected.map_err(|error| self.shown(&error))?;
        // It ends when the client is dropped, or the connection breaks; the client sees the error too.
        tokio::spawn(async move { connection.await.ok() });
        Ok(client)
    }

    /// What went wrong, in the database's own words where it has some: `db error` alone would say nothing.
    pub(crate) fn shown(&self, error: &Error) -> String {
        match error.as_db_error() {
            Some(said) => self.say(format_args!("{} ({})", said.message(), said.code().code())),
            None => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                self.say(format_args!("{error}{cause}"))
            }
        }
    }

    /// `what`, with the database that it is about.
    pub(crate) fn say(&self, what: impl fmt::Display) -> String {
        format!("PostgreSQL {}: {what}", self.place)
    }

    /// Where it is: `db.example.com:5432/analytics`.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }
}

fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
    let host = |(at, host): (usize, &Host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(at)),
        #[cfg(unix)]
        Host::Unix(directory) => format!("{}:{}", directory.display(), port(at)),
    };
    let mut hosts: Vec<String> = config.get_hosts().iter().enumerate().map(host).collect();
    if hosts.is_empty() {
        let address = |(at, address): (usize, &std::net::IpAddr)| format!("{address}:{}", port(at));
        hosts = config.get_hostaddrs().iter().enumerate().map(address).collect();
    }
    // Without a name, the database is called like the user.
    match config.get_dbname().or(config.get_user()) {
        Some(name) => format!("{}/{name}", hosts.join(",")),
        None => hosts.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_known_by_its_place_and_never_by_its_password() {
        for (url, place) in [
            (
                "postgres://vai:hunter2@db.example.com/analytics?sslmode=require",
                "db.example.com:5432/analytics",
            ),
            ("postgres://vai:hunter2@db.example.com:6000", "db.example.com:6000/vai"),
            ("host=a,b port=1,2 user=u password=hunter2 dbname=d", "a:1,b:2/d"),
            ("host=/run/postgresql user=u password=hunter2", "/run/postgresql:5432/u"),
            ("hostaddr=127.0.0.1 user=u", "127.0.0.1:5432/u"),
        ] {
            let database = Database::parse(url, None).unwrap();
            assert_eq!(database.say("x"), format!("PostgreSQL {place}: x"));
        }
        for (url, told) in
            [("user=u password=hunter2", "names no host"), ("postgres://u:hunter2@h:port/d", "is no")]
        {
            let error = Database::parse(url, None).err().unwrap().to_string();
            assert!(error.contains(told) && !error.contains("hunter2"), "{error}");
        }
    }
}
