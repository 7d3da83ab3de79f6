//! The tables, as numbered migrations.
//!
//! Invariant: a migration that has shipped is never edited; the next one goes on from it. What the
//! layout is for stands in `docs/adr/0002-store.md`: keys that grow with time, few secondary indexes,
//! partial where they can be, the payload written once. Read `writer.rs` next.

use rusqlite::Connection;

/// Marks the file as ours: `VAIW`.
pub(super) const APPLICATION_ID: i32 = 0x5641_4957;

/// Each brings the schema from its position to the next version.
const MIGRATIONS: [&str; 2] = [FIRST, PROMPT];

const FIRST: &str = "
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    starts_with TEXT NOT NULL,
    tenant INTEGER,                  -- NULL: an admin key
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE webhooks (
    no INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again
    tenant INTEGER NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,            -- active, paused, disabled; deleted ones stay for their history
    config TEXT NOT NULL,            -- JSON
    secret TEXT NOT NULL,            -- needed to sign, so it cannot be hashed; gone from deleted ones
    previous_secret TEXT,
    previous_until_ms INTEGER,
    signing_key TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX webhooks_id ON webhooks (tenant, id) WHERE status <> 'deleted';

CREATE TABLE calls (                 -- what an Idempotency-Key was used for, events apart
    tenant INTEGER NOT NULL,
    name TEXT NOT NULL,
    content BLOB NOT NULL,
    webhook INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    key INTEGER PRIMARY KEY,         -- grows with time
    tenant INTEGER NOT NULL,
    type TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    deliver_at_ms INTEGER,
    dedupe TEXT,                     -- id:<the producer's id> or key:<idempotency key>
    content BLOB,                    -- SHA-256 of what was posted, with dedupe
    nowhere TEXT,                    -- why it went to no webhook
    body BLOB NOT NULL               -- the envelope as it is signed and sent
) STRICT;
CREATE INDEX events_tenant ON events (tenant, key);
CREATE UNIQUE INDEX events_dedupe ON events (tenant, dedupe) WHERE dedupe IS NOT NULL;

CREATE TABLE event_types (           -- those seen, for the list
    tenant INTEGER NOT NULL,
    type TEXT NOT NULL,
    seen_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, type)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    event INTEGER NOT NULL,
    webhook INTEGER NOT NULL,
    state INTEGER NOT NULL,          -- 0 pending, 1 delivered, 2 exhausted, 3 cancelled, 4 rejected
    attempts INTEGER NOT NULL,
    attempts_before INTEGER NOT NULL, -- those made before it was last sent again by hand
    due_ms INTEGER,                  -- while it is pending
    PRIMARY KEY (event, webhook)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (webhook, due_ms, event) WHERE due_ms IS NOT NULL;

CREATE TABLE attempts (
    event INTEGER NOT NULL,
    webhook INTEGER NOT NULL,
    number INTEGER NOT NULL,
    key INTEGER NOT NULL,            -- grows with time
    started_ms INTEGER NOT NULL,
    took_us INTEGER NOT NULL,
    address TEXT,
    status INTEGER,
    failure TEXT,
    detail TEXT,
    answer BLOB,
    answer_cut INTEGER NOT NULL,
    PRIMARY KEY (event, webhook, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_webhook ON attempts (webhook, key);

CREATE TABLE stats (
    webhook INTEGER PRIMARY KEY,
    sent INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    last_sent_ms INTEGER,
    last_failed_ms INTEGER
) STRICT;
";

/// A delivery that is made at once needs no row of its own: the event says where it goes, the attempt
/// that it was taken. What has a row in `deliveries` waits, or has waited.
const PROMPT: &str = "
ALTER TABLE events RENAME TO events_before;
DROP INDEX events_tenant;
DROP INDEX events_dedupe;
CREATE TABLE events (
    key INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    type TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    deliver_at_ms INTEGER,
    dedupe TEXT,
    content BLOB,
    nowhere TEXT,
    targets BLOB,                    -- the webhooks that it went to: their numbers, 4 bytes each, little end first
    body BLOB NOT NULL
) STRICT;
INSERT INTO events
    SELECT key, tenant, type, timestamp_ms, deliver_at_ms, dedupe, content, nowhere, NULL, body FROM events_before;
DROP TABLE events_before;
CREATE INDEX events_tenant ON events (tenant, key);
CREATE UNIQUE INDEX events_dedupe ON events (tenant, dedupe) WHERE dedupe IS NOT NULL;

INSERT INTO meta (name, value)       -- the highest key of any event or attempt, give or take a second
    SELECT 'newest', max(coalesce((SELECT max(key) FROM events), 0), coalesce((SELECT max(key) FROM attempts), 0));
INSERT INTO meta (name, value)       -- events from here on may have deliveries without a row
    SELECT 'recover_from', value + 1 FROM meta WHERE name = 'newest';
";

/// The version that this program writes.
pub(super) fn version() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// Brings the file from version `from` to [`version`], in one transaction.
pub(super) fn migrate(connection: &mut Connection, from: i32, realm: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or_default()) {
        transaction.execute_batch(migration)?;
    }
    if from == 0 {
        transaction.execute("INSERT INTO meta (name, value) VALUES ('realm', ?1)", [realm])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.pragma_update(None, "user_version", version())?;
    transaction.commit()
}
