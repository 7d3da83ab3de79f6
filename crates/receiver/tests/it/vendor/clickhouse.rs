//! ClickHouse's HTTP interface, as far as a sink uses it.
//!
//! Sources: "HTTP Interface" (user and key in headers; the exception's number in a header), "JSONEachRow" (unknown
//! fields are errors), "DateTime64" (1900 to 2299), "ReplacingMergeTree", and `insert_deduplication_token`. ClickHouse
//! 26.9 itself took the same statements.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

use super::{Mood, Vendor, forced};

#[derive(Default)]
pub struct ClickHouse {
    pub mood: Mood,
    /// By name: the columns, and the rows as they were inserted, doubles among them.
    pub tables: BTreeMap<String, Table>,
    tokens: HashSet<String>,
    /// So many inserts are written, and the connection then breaks off before the answer.
    pub break_after: u32,
    /// Making tables is not allowed.
    pub no_ddl: bool,
}

#[derive(Default, Clone)]
pub struct Table {
    pub columns: Vec<(String, String)>,
    pub rows: Vec<Value>,
}

impl Table {
    /// As `SELECT id … FINAL` gives them.
    pub fn ids(&self) -> Vec<String> {
        let ids: std::collections::BTreeSet<_> =
            self.rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        ids.into_iter().collect()
    }
}

type Shared = Arc<Mutex<ClickHouse>>;
type Answer = (StatusCode, HeaderMap, String);

pub fn router(state: Shared) -> Router {
    Router::new().route("/", post(query)).with_state(state)
}

pub async fn start() -> Vendor<ClickHouse> {
    Vendor::serve(ClickHouse::default(), router).await
}

fn said(text: &str) -> Answer {
    (StatusCode::OK, HeaderMap::new(), text.to_owned())
}

fn exception(status: u16, code: u32, text: &str) -> Answer {
    let headers = HeaderMap::from_iter([(
        axum::http::HeaderName::from_static("x-clickhouse-exception-code"),
        code.to_string().parse().unwrap(),
    )]);
    (StatusCode::from_u16(status).unwrap(), headers, format!("Code: {code}. DB::Exception: {text}."))
}

async fn query(
    State(state): State<Shared>,
    Query(parameters): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: String,
) -> Answer {
    let mut clickhouse = state.lock().unwrap();
    if let Some(answer) = forced(&mut clickhouse.mood) {
        return answer;
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if (header("x-clickhouse-user"), header("x-clickhouse-key")) != ("vai", "hunter2") {
        return exception(403, 516, "vai: Authentication failed");
    }
    let known = ["query", "async_insert", "wait_end_of_query", "insert_deduplication_token"];
    if let Some(unknown) = parameters.keys().find(|name| !known.contains(&name.as_str())) {
        return exception(404, 115, &format!("Unknown setting '{unknown}'"));
    }
    let sql = parameters.get("query").map(String::as_str).unwrap_or_default();
    if let Some(name) = sql.strip_prefix("EXISTS TABLE ") {
        return said(if clickhouse.tables.contains_key(name) { "1\n" } else { "0\n" });
    }
    if let Some(definition) = sql.strip_prefix("CREATE TABLE IF NOT EXISTS ") {
        return create(&mut clickhouse, definition);
    }
    let Some(insert) = sql.strip_prefix("INSERT INTO ") else {
        return exception(400, 62, "Syntax error");
    };
    let answer = insert_into(&mut clickhouse, insert, parameters.get("insert_deduplication_token"), &body);
    if answer.0 == StatusCode::OK && clickhouse.break_after > 0 {
        clickhouse.break_after -= 1;
        return (StatusCode::BAD_GATEWAY, HeaderMap::new(), "the proxy lost the answer".to_owned());
    }
    answer
}

fn create(clickhouse: &mut ClickHouse, definition: &str) -> Answer {
    if clickhouse.no_ddl {
        return exception(403, 497, "vai: Not enough privileges");
    }
    let Some((name, rest)) = definition.split_once(" (") else { return exception(400, 62, "Syntax error") };
    let Some((columns, engine)) = rest.split_once(") ENGINE = ReplacingMergeTree ORDER BY (") else {
        return exception(400, 62, "Syntax error");
    };
    let columns: Vec<(String, String)> = columns
        .replace("DateTime64(3, 'UTC')", "DateTime64")
        .split(", ")
        .filter_map(|column| column.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let keys = engine.trim_end_matches(')').split(", ");
    for key in keys {
        if !columns.iter().any(|(name, _)| name == key) {
            return exception(404, 47, &format!("Unknown expression identifier `{key}`"));
        }
    }
    clickhouse.tables.entry(name.to_owned()).or_insert(Table { columns, rows: Vec::new() });
    said("")
}

fn insert_into(clickhouse: &mut ClickHouse, insert: &str, token: Option<&String>, body: &str) -> Answer {
    let parts = insert.split_once(" (").and_then(|(name, rest)| Some((name, rest.split_once(") FORMAT ")?)));
    let Some((name, (columns, "JSONEachRow"))) = parts else { return exception(400, 62, "Syntax error") };
    let poison = clickhouse.mood.poison;
    let Some(table) = clickhouse.tables.get_mut(name) else {
        return exception(404, 60, &format!("Table {name} does not exist"));
    };
    let columns: Vec<&str> = columns.split(", ").collect();
    for column in &columns {
        if !table.columns.iter().any(|(name, _)| name == column) {
            return exception(404, 16, &format!("No such column {column} in table {name}"));
        }
    }
    let mut rows = Vec::new();
    for (at, line) in body.lines().enumerate() {
        let row = match serde_json::from_str::<Value>(line) {
            Ok(row) if row.is_object() && !poison.is_some_and(|poison| line.contains(poison)) => row,
            _ => return exception(400, 27, &format!("Cannot parse input: (at row {})", at + 1)),
        };
        for (name, value) in row.as_object().unwrap() {
            let kind = table.columns.iter().find(|(column, _)| column == name).map(|(_, kind)| kind.as_str());
            match kind.filter(|_| columns.contains(&name.as_str())) {
                None => {
                    return exception(400, 117, &format!("Unknown field found: {name}: (at row {})", at + 1));
                }
                Some("DateTime64") if !value.as_str().is_some_and(is_time) => {
                    return exception(400, 41, &format!("Cannot parse datetime: (at row {})", at + 1));
                }
                Some("String" | "LowCardinality(String)") if !value.is_string() => {
                    return exception(400, 26, &format!("Cannot parse quoted string: (at row {})", at + 1));
                }
                Some(_) => {}
            }
        }
        rows.push(row);
    }
    if token.is_none_or(|token| clickhouse.tokens.insert(token.clone())) {
        table.rows.extend(rows);
    }
    said("")
}

/// `2026-01-01 00:00:00.000`
fn is_time(text: &str) -> bool {
    let form = "0000-00-00 00:00:00.000";
    let digit = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(digit)
        && ("1900".."2300").contains(&&text[..4])
}

#[tokio::test]
async fn the_stand_in_keeps_clickhouses_rules() {
    let clickhouse = start().await;
    let encode = |sql: &str| sql.replace(' ', "%20").replace('`', "%60").replace('\'', "%27");
    let who = [("X-ClickHouse-User", "vai"), ("X-ClickHouse-Key", "hunter2")];
    let table = "CREATE TABLE IF NOT EXISTS `d`.`t` (id String, at DateTime64(3, 'UTC')) ENGINE = ReplacingMergeTree ORDER BY (id)";
    let insert = "INSERT INTO `d`.`t` (id, at) FORMAT JSONEachRow";
    let good = r#"{"id":"1","at":"2026-01-01 00:00:00.000"}"#;
    for (sql, body, status, told) in [
        ("EXISTS TABLE `d`.`t`", "", 200, "0"),
        (insert, good, 404, "Code: 60."),
        (&table.replace("(id)", "(no)"), "", 404, "Code: 47."),
        (table, "", 200, ""),
        ("EXISTS TABLE `d`.`t`", "", 200, "1"),
        (insert, good, 200, ""),
        (insert, r#"{"id":"1","more":""}"#, 400, "Code: 117."),
        (insert, r#"{"id":1}"#, 400, "Code: 26."),
        (insert, r#"{"at":"2026-01-01T00:00:00Z"}"#, 400, "Code: 41."),
        (insert, r#"{"at":"3026-01-01 00:00:00.000"}"#, 400, "Code: 41."),
        (insert, "{\"id\":\"2\"}\n{", 400, "(at row 2)"),
        ("INSERT INTO `d`.`t` (no) FORMAT JSONEachRow", "{}", 404, "Code: 16."),
        ("DROP TABLE `d`.`t`", "", 400, "Code: 62."),
    ] {
        let path = format!("/?query={}", encode(sql));
        let answer = super::post(clickhouse.address, &path, &who, body).await;
        assert!(answer.0 == status && answer.1.contains(told), "{sql}: {answer:?}");
    }
    let path = format!("/?query={}&insert_deduplication_token=t1", encode(insert));
    for _ in 0..2 {
        assert_eq!(super::post(clickhouse.address, &path, &who, good).await.0, 200);
    }
    assert_eq!(super::post(clickhouse.address, &path, &[], good).await.0, 403);
    assert_eq!(super::post(clickhouse.address, &format!("{path}&nonsense=1"), &who, good).await.0, 404);
    let table = clickhouse.state().tables["`d`.`t`"].clone();
    assert_eq!((table.rows.len(), table.ids().len()), (2, 1));
}
