//! `key …`: make, list and revoke API keys. The server wants an admin key for each of these.
//!
//! Read `verify.rs` next.

use std::process::ExitCode;

use serde_json::{Map, Value};
use vai_webhooks_wire::UnixMs;

use super::answers::{Key, Page};
use super::connection::Connection;
use super::http::{Api, encoded};
use super::screen::{Piece, Screen, dim, strong};
use super::table::{Column, Table};
use super::when::{after, shown};
use crate::units::Span;

/// Make, list and revoke API keys; needs an admin key
#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Make a key for the tenant that --tenant names, or for `default`; it is shown this once
    #[command(after_help = "Examples:
  vai-webhooks key create --tenant acme --name 'the shop' --expires-in 30d
  vai-webhooks key create --admin --name 'the night job'")]
    Create {
        /// What it is for, to know it by
        #[arg(long)]
        name: Option<String>,
        /// Make an admin key, which may act for every tenant
        #[arg(long)]
        admin: bool,
        /// How long it is good for, as 12h or 30d; without it, until it is revoked
        #[arg(long, value_name = "SPAN")]
        expires_in: Option<Span>,
    },
    /// List keys, newest first
    List,
    /// Revoke a key, at once
    Revoke {
        /// The key's id, as `key list` shows it
        id: String,
    },
}

pub(super) async fn run(
    connection: &Connection,
    command: KeyCommand,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    let api = connection.open()?;
    let json = connection.json;
    match command {
        KeyCommand::Create { name, admin, expires_in } => {
            let body = new_key(name.as_deref(), admin, expires_in, UnixMs::now());
            create(&api, body, json, out).await?;
        }
        KeyCommand::List => list(&api, json, out).await?,
        KeyCommand::Revoke { id } => {
            api.delete(&format!("/v1/keys/{}", encoded(&id))).await?;
            if !json {
                out.line(&["revoked ".into(), strong(id)])?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn new_key(name: Option<&str>, admin: bool, expires_in: Option<Span>, now: UnixMs) -> String {
    let expires_at = expires_in.map(|span| Value::from(after(now, span).to_string()));
    let given =
        [("name", name.map(Value::from)), ("admin", admin.then(|| true.into())), ("expiresAt", expires_at)];
    let body: Map<String, Value> =
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Value::from(body).to_string()
}

async fn create(api: &Api, body: String, json: bool, out: &mut Screen<'_>) -> anyhow::Result<()> {
    let answer = api.post("/v1/keys", body, None).await?;
    if json {
        return Ok(out.json(&answer.text)?);
    }
    let key: Key = answer.read()?;
    out.line(&["made ".into(), strong(key.id.as_str())])?;
    out.field("for", whose(&key))?;
    if let Some(at) = key.expires_at {
        out.field("expires", format!("{} UTC", shown(at)).into())?;
    }
    if let Some(text) = &key.key {
        out.field("key", strong(text.as_str()))?;
        out.line(&[dim("Keep it: it is shown here only once. Commands take it from VAI_KEY.")])?;
    }
    Ok(())
}

async fn list(api: &Api, json: bool, out: &mut Screen<'_>) -> anyhow::Result<()> {
    let answer = api.get("/v1/keys").await?;
    if json {
        return Ok(out.json(&answer.text)?);
    }
    let page: Page<Key> = answer.read()?;
    let columns = [
        Column::whole("ID"),
        Column::whole("BEGINS"),
        Column::cut("FOR"),
        Column::cut("NAME"),
        Column::whole("EXPIRES (UTC)"),
    ];
    let mut table = Table::new(columns);
    for key in &page.data {
        let expires = key.expires_at.map_or_else(|| dim("never"), |at| shown(at).into());
        table.row([
            key.id.as_str().into(),
            key.starts_with.as_str().into(),
            whose(key),
            key.name.as_str().into(),
            expires,
        ]);
    }
    table.print(out)?;
    if page.data.is_empty() {
        out.line(&["the server keeps no key".into()])?;
    }
    Ok(())
}

fn whose(key: &Key) -> Piece<'_> {
    key.tenant.as_deref().map_or_else(|| strong("admin"), Piece::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_expires_so_long_after_now() {
        let span = "30d".parse().unwrap();
        let body = new_key(Some("shop"), true, Some(span), UnixMs(0));
        assert_eq!(body, r#"{"name":"shop","admin":true,"expiresAt":"1970-01-31T00:00:00.000Z"}"#);
        assert_eq!(new_key(None, false, None, UnixMs(0)), "{}");
    }
}
