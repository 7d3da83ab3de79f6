//! The kind `clickhouse`: a table of events in ClickHouse, over its HTTP interface.
//!
//! A batch is one insert in JSONEachRow. Invariants: a batch that comes again has the same `insert_deduplication_token`,
//! and the table that is made here is a ReplacingMergeTree by the event's id, so that `SELECT … FINAL` counts an event
//! once whatever happened; `async_insert` is off, so that an insert that was answered is written. What ClickHouse says
//! of a value ([`OF_THE_EVENT`]) is about the event; all else is about the table, the server or the moment, and the
//! batch comes again. Source: ClickHouse, "HTTP Interface". Read `client/mod.rs` for the exchange.

use std::future::ready;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use vai_webhooks_wire::UnixMs;

use super::client::{Answer, Client, Target};
use super::hidden::Hidden;
use super::whole::{self, Whole};
use super::{Settings, SettingsError, Sink, SinkError, Stored};

/// The most events in one insert: ClickHouse wants few large ones.
const EVENTS_MAX: usize = 1_000;
/// The longest name of a database or a table, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The header with the number of what went wrong.
const EXCEPTION_CODE: &str = "x-clickhouse-exception-code";
/// There is no such table.
const UNKNOWN_TABLE: u32 = 60;
/// Cannot parse a text, a quoted string, an input, a date, a time or a number; a value out of bounds; incorrect data;
/// a string too large; a value out of range; a NULL that may be none; a constraint. Source: ClickHouse, `system.errors`.
const OF_THE_EVENT: [u32; 12] = [6, 26, 27, 38, 41, 69, 72, 117, 131, 321, 349, 469];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    /// The HTTP interface: `http://localhost:8123`.
    url: String,
    #[serde(default = "database")]
    database: String,
    /// It is made where it is missing.
    #[serde(default = "table")]
    table: String,
    user: Option<String>,
    password: Option<Hidden>,
    /// Certificates (PEM) of authorities that are trusted beside the public ones.
    ca_file: Option<PathBuf>,
}

fn database() -> String {
    "default".to_owned()
}

fn table() -> String {
    "vai_events".to_owned()
}

/// Makes the sink.
pub(super) fn open(settings: Settings) -> Result<Box<dyn Sink>, SettingsError> {
    let members: Members = settings.read()?;
    for (name, value) in [("database", &members.database), ("table", &members.table)] {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins = value.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !begins || value.len() > NAME_BYTES_MAX || !value.bytes().all(good) {
            return Err(SettingsError(format!("{name} must be a name of letters, digits and _")));
        }
    }
    let mut headers = HeaderMap::new();
    let texts = [
        ("x-clickhouse-user", members.user.as_deref()),
        ("x-clickhouse-key", members.password.as_ref().map(Hidden::reveal)),
    ];
    for (name, text) in texts {
        let Some(text) = text else { continue };
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| SettingsError("user and password must be visible ASCII".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let target = Target::parse("url", &members.url)?;
    let path = target.path_and_query().to_owned();
    let client = Client::new(target, members.ca_file.as_deref())?;
    let (database, table) = (members.database, members.table);
    Ok(Box::new(ClickHouse { client, path, headers, database, table, ready: false }))
}

struct ClickHouse {
    client: Client,
    /// The URL's own path.
    path: String,
    /// Who we are.
    headers: HeaderMap,
    database: String,
    table: String,
    /// Whether the table was there when it was last looked at.
    ready: bool,
}

/// A row, in the order of [`COLUMNS`].
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    event: &'a str,
    timestamp: String,
    received_at: String,
    webhook_id: &'a str,
    session_id: String,
    agent_id: String,
    user_id: String,
    data: &'a str,
}

/// The table's columns. Without partitions, so that the same event meets itself whenever it comes.
const COLUMNS: [(&str, &str); 9] = [
    ("id", "String"),
    ("event", "LowCardinality(String)"),
    ("timestamp", "DateTime64(3, 'UTC')"),
    ("received_at", "DateTime64(3, 'UTC')"),
    ("webhook_id", "String"),
    ("session_id", "String"),
    ("agent_id", "String"),
    ("user_id", "String"),
    ("data", "String"),
];

/// As ClickHouse reads it without being told how: `2026-01-01 00:00:00.000`.
fn time(at: UnixMs) -> String {
    at.to_string().replace('T', " ").replace('Z', "")
}

fn line(stored: &Stored) -> Result<Vec<u8>, String> {
    let event = &stored.event;
    let envelope = event.envelope().map_err(|error| error.to_string())?;
    let data: Value = serde_json::from_str(envelope.data.get())
        .map_err(|error| format!("its data cannot be read: {error}"))?;
    let text = |name: &str| match data.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let row = Row {
        id: &event.id,
        event: &event.event_type,
        timestamp: time(envelope.timestamp),
        received_at: time(event.received_at),
        webhook_id: event.webhook_id.as_deref().unwrap_or_default(),
        session_id: text("sessionId"),
        agent_id: text("agentId"),
        user_id: text("userId"),
        data: envelope.data.get(),
    };
    let mut line = serde_json::to_vec(&row).map_err(|error| error.to_string())?;
    line.push(b'\n');
    Ok(line)
}

/// The same for the same events in the same order.
fn token(batch: &[Stored]) -> String {
    use std::fmt::Write as _;
    let mut digest = Sha256::new();
    for stored in batch {
        digest.update(stored.event.id.as_bytes());
        digest.update([0]);
    }
    digest.finalize().iter().fold(String::from("vai-"), |mut text, byte| {
        // A String takes every text.
        let _always = write!(text, "{byte:02x}");
        text
    })
}

/// What stands in a URL's query for a value.
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len() * 2);
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

impl ClickHouse {
    fn table(&self) -> String {
        format!("`{}`.`{}`", self.database, self.table)
    }

    async fn query(
        &mut self,
        sql: &str,
        settings: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, SinkError> {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        let mut path = format!("{}{separator}query={}", self.path, encoded(sql));
        for (name, value) in settings {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
        let answer = self.client.send(Method::POST, &path, self.headers.clone(), body).await?;
        match exception(&answer) {
            Some(UNKNOWN_TABLE) => self.ready = false,
            Some(code) if OF_THE_EVENT.contains(&code) => return Err(answer.refused(0)),
            _ => {}
        }
        // A query that fails while it is answered may have begun with 200.
        if answer.is_success() && exception(&answer).is_none() { Ok(answer) } else { Err(answer.again()) }
    }

    async fn is_there(&mut self) -> Result<bool, SinkError> {
        let sql = format!("EXISTS TABLE {}", self.table());
        Ok(self.query(&sql, &[], Bytes::new()).await?.body.trim() == "1")
    }

    async fn create(&mut self) -> Result<(), SinkError> {
        let columns: Vec<String> = COLUMNS.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {} ({}) ENGINE = ReplacingMergeTree ORDER BY (event, timestamp, id)",
            self.table(),
            columns.join(", ")
        );
        self.query(&sql, &[], Bytes::new()).await.map(drop)
    }

    async fn insert(&mut self, token: &str, lines: Bytes) -> Result<(), SinkError> {
        // A table that is there is used as it is: making one may not be allowed.
        if !self.ready {
            if !self.is_there().await? {
                self.create().await?;
            }
            self.ready = true;
        }
        let columns: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        let sql = format!("INSERT INTO {} ({}) FORMAT JSONEachRow", self.table(), columns.join(", "));
        let settings =
            [("async_insert", "0"), ("wait_end_of_query", "1"), ("insert_deduplication_token", token)];
        self.query(&sql, &settings, lines).await.map(drop)
    }
}

/// The number of what went wrong, in the header or, where the answer had begun, in the text.
fn exception(answer: &Answer) -> Option<u32> {
    let header = answer.headers.get(EXCEPTION_CODE).and_then(|value| value.to_str().ok()?.parse().ok());
    header.or_else(|| {
        let (_, after) = answer.body.split_once("Code: ")?;
        let (code, _) = after.split_once('.')?;
        answer.body.contains("DB::Exception").then(|| code.parse().ok())?
    })
}

impl Whole for ClickHouse {
    fn put_whole<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        let mut lines = Vec::new();
        for (at, stored) in batch.iter().enumerate() {
            match line(stored) {
                Ok(line) => lines.extend_from_slice(&line),
                Err(detail) => return ready(Err(SinkError::Refused { at, detail })).boxed(),
            }
        }
        let token = token(batch);
        async move { self.insert(&token, Bytes::from(lines)).await }.boxed()
    }
}

impl Sink for ClickHouse {
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        whole::put(self, batch).boxed()
    }

    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        async {
            let there = self.is_there().await?;
            let (server, table) = (self.client.server(), self.table());
            Ok(match there {
                true => format!("{server} has the table {table}"),
                false => format!("{server} is there; the first event makes the table {table}"),
            })
        }
        .boxed()
    }

    fn batch_max(&self) -> usize {
        EVENTS_MAX
    }
}
