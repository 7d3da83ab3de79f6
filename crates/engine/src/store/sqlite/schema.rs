//! The tables, as numbered migrations.
//!
//! Invariant: a migration that has shipped is never edited; the next one goes on from it. What the
//! layout is for stands in `docs/adr/0002-store.md`: keys that grow with time, few secondary indexes,
//! partial where they can be, the payload written once. Read `writer.rs` next.

mod chunked;

use rusqlite::Connection;

use crate::rng::Rng;

/// Marks the file as ours: `VAIW`.
pub(super) const APPLICATION_ID: i32 = 0x5641_4957;

/// Each brings the schema from its position to the next version.
const MIGRATIONS: [&str; 7] = [FIRST, PROMPT, CATALOG, LEDGER, SCRIPTS, LINKS, CHUNKS];

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
    targets BLOB,                    -- the webhooks that it went to, as columns.rs writes them
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

/// Event types with their schemas, and whether a tenant's events are held against them.
const CATALOG: &str = "
CREATE TABLE catalog (               -- as tenants put them; what was seen is in event_types
    tenant INTEGER NOT NULL,
    type TEXT NOT NULL,
    description TEXT,
    examples TEXT NOT NULL,          -- a JSON array
    version INTEGER NOT NULL,        -- of the schema
    schema TEXT,                     -- JSON; NULL: any data
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, type)
) STRICT, WITHOUT ROWID;

CREATE TABLE catalog_versions (      -- the schemas that each had, the current one among them
    tenant INTEGER NOT NULL,
    type TEXT NOT NULL,
    version INTEGER NOT NULL,
    schema TEXT,
    made_ms INTEGER NOT NULL,
    breaks TEXT NOT NULL,            -- what it broke, where it was forced: a JSON array
    PRIMARY KEY (tenant, type, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (              -- of tenants that set any
    tenant INTEGER PRIMARY KEY,
    event_schemas TEXT NOT NULL      -- off, warn, enforce
) STRICT;
";

/// What is kept by webhook and by tenant is written at once or, in groups that are for many of them, by way of a log:
/// an index would be written at once always.
const LEDGER: &str = "
CREATE TABLE attempts_of (
    webhook INTEGER NOT NULL,
    key INTEGER NOT NULL,
    event INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (webhook, key)
) STRICT, WITHOUT ROWID;
INSERT INTO attempts_of SELECT webhook, key, event, number FROM attempts ORDER BY webhook, key;
DROP INDEX attempts_webhook;

CREATE TABLE events_of (
    tenant INTEGER NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
INSERT INTO events_of SELECT tenant, key FROM events ORDER BY tenant, key;
DROP INDEX events_tenant;

CREATE TABLE ledger_log (
    no INTEGER PRIMARY KEY,          -- grows with each group
    entries BLOB NOT NULL            -- of ledger/entry.rs
) STRICT;
";

/// Transformations, in versions. By which one a delivery is shaped says its row or, while it has none, the `targets`
/// of its event. A pending row without `due_ms` is held until the script is mended.
const SCRIPTS: &str = "
CREATE TABLE scripts (
    webhook INTEGER NOT NULL,
    version INTEGER NOT NULL,        -- from 1
    code TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (webhook, version)
) STRICT, WITHOUT ROWID;
ALTER TABLE webhooks ADD COLUMN script INTEGER;     -- the version that it has now
ALTER TABLE deliveries ADD COLUMN version INTEGER;  -- NULL or 0: as it was accepted
ALTER TABLE deliveries ADD COLUMN note TEXT;        -- why it is held, or was dropped
CREATE INDEX deliveries_held ON deliveries (webhook, event) WHERE state = 0 AND due_ms IS NULL;
";

/// The key that links to events are signed with. From here on `webhooks.script` and `deliveries.version` hold a
/// format too: its number times 2^24, and the script's version; NULL is the envelope without a script.
const LINKS: &str = "
CREATE TABLE keys (
    name TEXT PRIMARY KEY,
    key BLOB NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Attempts by webhook and events by tenant, in chunks. What `attempts_of`, `events_of` and the log hold is brought here by
/// `chunked.rs`. An attempt that is whole in its record has no row in `attempts`.
const CHUNKS: &str = "
CREATE TABLE ledger (
    of INTEGER NOT NULL,             -- the webhook; a tenant's number and 2^32
    last INTEGER NOT NULL,           -- the highest key in it
    records BLOB NOT NULL,           -- of ledger/records.rs
    PRIMARY KEY (of, last)
) STRICT, WITHOUT ROWID;
";
/// From this version on the ledger is in chunks.
const CHUNKED_FROM: u32 = 7;

/// The version that this program writes.
pub(super) fn version() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

fn random<const BYTES: usize>(rng: &dyn Rng) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    rng.fill(&mut bytes);
    bytes
}

/// Brings the file from version `from` to [`version`], in one transaction.
pub(super) fn migrate(connection: &mut Connection, from: i32, rng: &dyn Rng) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for (version, migration) in (1..).zip(MIGRATIONS).skip(usize::try_from(from).unwrap_or_default()) {
        transaction.execute_batch(migration)?;
        if version == CHUNKED_FROM {
            chunked::bring(&transaction)?;
        }
    }
    if from == 0 {
        let realm = u32::from_le_bytes(random(rng));
        transaction.execute("INSERT INTO meta (name, value) VALUES ('realm', ?1)", [realm])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    let key: [u8; 32] = random(rng);
    transaction.execute("INSERT OR IGNORE INTO keys (name, key) VALUES ('links', ?1)", [key])?;
    transaction.pragma_update(None, "user_version", version())?;
    transaction.commit()
}
