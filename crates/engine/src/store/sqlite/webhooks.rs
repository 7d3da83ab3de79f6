//! Webhooks as rows: inserted, replaced, loaded.
//!
//! A deleted webhook keeps its row, for the history that points to it, but not its secrets. Read
//! `tenants.rs` next.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vai_webhooks_wire::UnixMs;

use super::columns::{self, damaged, webhook_id};
use super::group::Group;
use super::{deliveries, events, scripts};
use crate::key::WebhookNo;
use crate::store::{ChangeWebhook, Changed, Dedupe, StoredWebhook, WebhookWrite};
use crate::tenant::TenantId;
use crate::webhook::WebhookStatus;

/// Makes a change, if it still applies.
pub(super) fn change(
    connection: &Connection,
    group: &mut Group,
    change: ChangeWebhook,
) -> rusqlite::Result<Changed> {
    if let Some(dedupe) = &change.idempotency
        && let Some(made) = made_before(connection, change.tenant, dedupe)?
    {
        return Ok(made);
    }
    let changed = match change.what {
        WebhookWrite::Insert(webhook, test) => {
            let Some(webhook) = insert(connection, *webhook)? else { return Ok(Changed::IdTaken) };
            if let Some((event, mut settlement)) = test.map(|test| *test) {
                settlement.webhook = webhook.no;
                record_test(connection, group, &event, &settlement)?;
            }
            webhook
        }
        WebhookWrite::Replace { webhook, expected } => {
            if !replace(connection, &webhook, expected)? {
                return Ok(Changed::Outdated);
            }
            *webhook
        }
    };
    scripts::keep(connection, &changed)?;
    if let Some(dedupe) = &change.idempotency {
        insert_call(connection, change.tenant, dedupe, changed.no, change.now)?;
    }
    group.webhooks.push(changed.clone());
    group.ends = true;
    Ok(Changed::Done(Box::new(changed)))
}

/// Notes what an idempotency key was used for.
pub(super) fn insert_call(
    connection: &Connection,
    tenant: TenantId,
    dedupe: &Dedupe,
    webhook: WebhookNo,
    now: UnixMs,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO calls (tenant, name, content, webhook, made_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![tenant.0, dedupe.name, &dedupe.content[..], webhook.0, now.0])?;
    Ok(())
}

/// What a call with this idempotency key made before.
pub(super) fn made_before(
    connection: &Connection,
    tenant: TenantId,
    dedupe: &Dedupe,
) -> rusqlite::Result<Option<Changed>> {
    connection
        .prepare_cached(
            "SELECT c.content, c.webhook, w.status FROM calls c JOIN webhooks w ON w.no = c.webhook
             WHERE c.tenant = ?1 AND c.name = ?2",
        )?
        .query_row(params![tenant.0, dedupe.name], |row| {
            if row.get_ref(0)?.as_blob()? != dedupe.content {
                return Ok(Changed::KeyReused);
            }
            let deleted = row.get_ref(2)?.as_str()? == WebhookStatus::Deleted.as_str();
            Ok(Changed::Repeated(if deleted { None } else { Some(WebhookNo(row.get(1)?)) }))
        })
        .optional()
}

/// Writes a new webhook and gives it its number; `None` where its id is in use.
fn insert(connection: &Connection, mut webhook: StoredWebhook) -> rusqlite::Result<Option<StoredWebhook>> {
    let taken = connection
        .prepare_cached("SELECT 1 FROM webhooks WHERE tenant = ?1 AND id = ?2 AND status <> 'deleted'")?
        .exists(params![webhook.tenant.0, webhook.id.as_str()])?;
    if taken {
        return Ok(None);
    }
    connection
        .prepare_cached(
            "INSERT INTO webhooks (tenant, id, status, config, secret, previous_secret, previous_until_ms,
                                   signing_key, created_ms, updated_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            webhook.tenant.0,
            webhook.id.as_str(),
            webhook.status.as_str(),
            config_text(&webhook)?,
            webhook.secret,
            webhook.previous_secret.as_ref().map(|(secret, _)| secret),
            webhook.previous_secret.as_ref().map(|(_, until)| until.0),
            webhook.signing_key,
            webhook.created_at.0,
            webhook.updated_at.0
        ])?;
    let no = connection.last_insert_rowid();
    webhook.no = WebhookNo(u32::try_from(no).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, no))?);
    Ok(Some(webhook))
}

fn replace(connection: &Connection, webhook: &StoredWebhook, expected: UnixMs) -> rusqlite::Result<bool> {
    let deleted = webhook.status == WebhookStatus::Deleted;
    let kept = |secret: Option<String>| if deleted { None } else { secret };
    let changed = connection
        .prepare_cached(
            "UPDATE webhooks SET status = ?2, config = ?3, secret = ?4, previous_secret = ?5,
                                 previous_until_ms = ?6, signing_key = ?7, updated_ms = ?8
             WHERE no = ?1 AND updated_ms = ?9 AND status <> 'deleted'",
        )?
        .execute(params![
            webhook.no.0,
            webhook.status.as_str(),
            config_text(webhook)?,
            kept(Some(webhook.secret.clone())).unwrap_or_default(),
            kept(webhook.previous_secret.as_ref().map(|(secret, _)| secret.clone())),
            webhook.previous_secret.as_ref().map(|(_, until)| until.0),
            kept(webhook.signing_key.clone()),
            webhook.updated_at.0,
            expected.0
        ])?;
    Ok(changed == 1)
}

/// Disables a webhook whose endpoint wants nothing more.
pub(super) fn disable(
    connection: &Connection,
    group: &mut Group,
    webhook: WebhookNo,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let changed = connection
        .prepare_cached(
            "UPDATE webhooks SET status = 'disabled', updated_ms = max(?2, updated_ms + 1)
             WHERE no = ?1 AND status IN ('active', 'paused')",
        )?
        .execute(params![webhook.0, now.0])?;
    if changed == 1 {
        let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE no = ?1");
        group.webhooks.push(connection.prepare_cached(&sql)?.query_row([webhook.0], stored)?);
        group.ends = true;
    }
    Ok(())
}

/// Records a test that was sent outside the lanes.
pub(super) fn record_test(
    connection: &Connection,
    group: &mut Group,
    event: &crate::store::AcceptEvent,
    settlement: &crate::store::Settlement,
) -> rusqlite::Result<()> {
    let targets = columns::targets(std::iter::once((settlement.webhook, settlement.form)));
    events::insert(group, event, &targets, None)?;
    group.prompt.add(event.event.key, settlement.webhook);
    group.ledger.counts(settlement.webhook).pending += 1;
    deliveries::settle(connection, group, settlement)
}

const COLUMNS: &str =
    "no, tenant, id, status, config, secret, previous_secret, previous_until_ms, signing_key,
    created_ms, updated_ms";

/// All webhooks that are not deleted.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<StoredWebhook>> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE status <> 'deleted' ORDER BY no");
    connection.prepare(&sql)?.query_map([], stored)?.collect()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredWebhook> {
    let previous = (row.get::<_, Option<String>>(6)?, row.get::<_, Option<i64>>(7)?);
    let config = row.get_ref(4)?.as_str()?;
    Ok(StoredWebhook {
        no: WebhookNo(row.get(0)?),
        tenant: TenantId(row.get(1)?),
        id: webhook_id(row, 2)?,
        status: WebhookStatus::named(row.get_ref(3)?.as_str()?).ok_or_else(|| damaged(3, "no status"))?,
        config: serde_json::from_str(config).map_err(|error| damaged(4, error))?,
        secret: row.get(5)?,
        previous_secret: match previous {
            (Some(secret), Some(until_ms)) => Some((secret, UnixMs(until_ms))),
            _ => None,
        },
        signing_key: row.get(8)?,
        created_at: UnixMs(row.get(9)?),
        updated_at: UnixMs(row.get(10)?),
    })
}

fn config_text(webhook: &StoredWebhook) -> rusqlite::Result<String> {
    serde_json::to_string(&webhook.config)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
