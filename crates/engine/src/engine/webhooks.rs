//! Calls on webhooks: register, read, change, test, stop, remove.
//!
//! All validation comes first, then the change, or none of it. A change is made from what was read and
//! is refused if somebody else was faster. Stopping calls answer only when the shard has said that no
//! attempt starts any more. Read `trial.rs` and
//! `secrets.rs` next.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use vai_webhooks_wire::{Secret, SigningKey, WebhookId};

use super::Engine;
use super::events::{Page, page_size, position};
use super::secrets::secret_of;
use crate::error::{EngineError, FieldProblem};
use crate::intake::event_dedupe;
use crate::key::WebhookNo;
use crate::store::{ChangeWebhook, Changed, Dedupe, Stats, StatsOf, StoredWebhook, WebhookWrite};
use crate::tenant::TenantId;
use crate::webhook::live::Live;
use crate::webhook::{Form, Format, NewWebhook, Webhook, WebhookChange, WebhookStatus, check_config};

/// The most webhooks of one tenant.
pub const WEBHOOKS_PER_TENANT_MAX: usize = 10_000;
/// A webhook that was just registered, with its secret, which is shown here.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The webhook.
    pub webhook: Webhook,
    /// Its secret.
    pub secret: Secret,
}

impl Engine {
    /// Registers a webhook, after its endpoint accepted a signed `webhook.test` (unless `verify` is
    /// off). The same `idempotency_key` with the same `fingerprint` (what was posted) gives the same
    /// webhook again.
    pub async fn register(
        &self,
        tenant: TenantId,
        new: NewWebhook,
        idempotency: Option<(&str, &[u8])>,
    ) -> Result<Registered, EngineError> {
        self.check_open()?;
        let idempotency =
            idempotency.map(|(key, posted)| call_dedupe("register", key, posted)).transpose()?;
        let verify = new.verify;
        let script = new.transform.clone();
        let mut stored = self.new_webhook(tenant, new)?;
        stored.config.transform = match script {
            Some(input) => Some(self.first_script(tenant, input).await?),
            None => None,
        };
        let live = Live::compile(stored).map_err(|it| EngineError::damaged(&it))?;
        if idempotency.is_none() && self.parts.registry.by_id(tenant, &live.stored.id).is_some() {
            return Err(id_taken(&live.stored.id));
        }
        if self.parts.registry.count(tenant) >= WEBHOOKS_PER_TENANT_MAX {
            let detail = format!("this tenant has {WEBHOOKS_PER_TENANT_MAX} webhooks, the most there may be");
            return Err(EngineError::conflict("too_many_webhooks", detail));
        }
        let repeated = match &idempotency {
            Some(dedupe) => self.repeated(tenant, dedupe).await?,
            None => None,
        };
        if let Some(live) = repeated {
            return registered(&live);
        }
        let test = if verify { Some(Box::new(self.verify(&live).await?)) } else { None };
        let what = WebhookWrite::Insert(Box::new(live.stored.clone()), test);
        let change = ChangeWebhook { tenant, now: self.parts.clock.now(), what, idempotency };
        match self.parts.store.change_webhook(change).await? {
            Changed::Done(stored) => {
                registered(&Live::compile(*stored).map_err(|it| EngineError::damaged(&it))?)
            }
            Changed::Repeated(Some(no)) => registered(&*self.by_no(no)?),
            Changed::Repeated(None) => Err(deleted_since()),
            Changed::KeyReused => Err(key_reused()),
            Changed::IdTaken | Changed::Outdated => Err(id_taken(&live.stored.id)),
        }
    }

    fn new_webhook(&self, tenant: TenantId, new: NewWebhook) -> Result<StoredWebhook, EngineError> {
        let mut problems = Vec::new();
        let secret = match new.secret {
            Some(text) => text,
            None => Secret::from_random(self.random()).expose().to_owned(),
        };
        if let Err(error) = Secret::parse(&secret) {
            problems.push(FieldProblem::at("/secret", "invalid_secret", error.to_string()));
        }
        if let Err(more) = check_config(&new.config, |url| self.url_refused(url)) {
            problems.extend(more);
        }
        problems.extend(self.format_refused(new.config.format, new.transform.is_some()));
        if !problems.is_empty() {
            return Err(EngineError::Invalid(problems));
        }
        let now = self.parts.clock.now();
        let made_id = || {
            let key = self.parts.keys.event(now).0.unsigned_abs();
            WebhookId::from_parts(key, self.parts.realm.0)
        };
        let signing_key = new.ed25519.then(|| SigningKey::from_bytes(&self.random()).expose());
        Ok(StoredWebhook {
            no: WebhookNo(0),
            tenant,
            id: new.id.unwrap_or_else(made_id),
            status: WebhookStatus::Active,
            config: new.config,
            secret,
            previous_secret: None,
            signing_key,
            created_at: now,
            updated_at: now,
        })
    }

    pub(super) fn random(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.parts.rng.fill(&mut bytes);
        bytes
    }

    fn url_refused(&self, url: &url::Url) -> Option<String> {
        self.policy.check_url(url).err().map(|refused| refused.to_string())
    }

    fn format_refused(&self, format: Format, scripted: bool) -> Option<FieldProblem> {
        if format != Format::Thin {
            return None;
        }
        let (code, detail) = if scripted {
            (
                "conflicts",
                "thin sends no data, so that dataTransform has nothing to shape; leave out one of them",
            )
        } else if self.parts.links.can_be_made() {
            return None;
        } else {
            (
                "no_public_url",
                "thin sends links to this server, which was not told its own address (public_url)",
            )
        };
        Some(FieldProblem::at("/format", code, detail))
    }

    /// The webhook that a call with this idempotency key made before, looked up without writing.
    pub(super) async fn repeated(
        &self,
        tenant: TenantId,
        dedupe: &Dedupe,
    ) -> Result<Option<Arc<Live>>, EngineError> {
        match self.parts.store.call(tenant, dedupe.clone()).await? {
            None => Ok(None),
            Some(Changed::Repeated(Some(no))) => Ok(Some(self.by_no(no)?)),
            Some(Changed::Repeated(None)) => Err(deleted_since()),
            Some(_) => Err(key_reused()),
        }
    }

    /// One webhook.
    pub fn webhook(&self, tenant: TenantId, id: &WebhookId) -> Result<Webhook, EngineError> {
        Ok(self.live(tenant, id)?.view())
    }

    /// A tenant's webhooks, newest first.
    pub fn webhooks(
        &self,
        tenant: TenantId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Webhook>, EngineError> {
        let limit = page_size(limit)?;
        let before = position(cursor)?.map(|no| u32::try_from(no).unwrap_or(u32::MAX));
        let found = self.parts.registry.page(tenant, before, limit + 1);
        let page = Page::of(found, limit, |live| i64::from(live.stored.no.0));
        Ok(Page { data: page.data.iter().map(|live| live.view()).collect(), next: page.next })
    }

    /// Changes a webhook. A changed address must accept a signed `webhook.test` first, unless `verify`
    /// is off.
    pub async fn update(
        &self,
        tenant: TenantId,
        id: &WebhookId,
        change: WebhookChange,
    ) -> Result<Webhook, EngineError> {
        self.check_open()?;
        let old = self.live(tenant, id)?;
        let verify = change.verify.unwrap_or(true);
        let script = change.transform.clone();
        let mut config = change.applied_to(&old.stored.config);
        if let Some(script) = script {
            config.transform = self.next_script(&old, script).await?;
        }
        check_config(&config, |url| self.url_refused(url)).map_err(EngineError::Invalid)?;
        if let Some(problem) = self.format_refused(config.format, config.transform.is_some()) {
            return Err(EngineError::Invalid(vec![problem]));
        }
        let moved = config.url != old.stored.config.url;
        let new = StoredWebhook { config, ..old.stored.clone() };
        if verify && moved {
            let live = Live::compile(new.clone()).map_err(|it| EngineError::damaged(&it))?;
            let (event, settlement) = self.verify(&live).await?;
            self.parts.store.record_test(event, settlement).await?;
        }
        let view = self.replace(&old, new, None).await?;
        if Form::of(&view.config) != Form::of(&old.stored.config) {
            self.release(old.stored.no).await?;
        }
        Ok(view)
    }

    /// Stops a webhook: once this is answered, no attempt starts. What arrives meanwhile waits.
    pub async fn pause(&self, tenant: TenantId, id: &WebhookId) -> Result<Webhook, EngineError> {
        self.set_status(tenant, id, WebhookStatus::Paused).await
    }

    /// Starts a stopped or disabled webhook; what waited goes on.
    pub async fn resume(&self, tenant: TenantId, id: &WebhookId) -> Result<Webhook, EngineError> {
        self.set_status(tenant, id, WebhookStatus::Active).await
    }

    /// Removes a webhook: once this is answered, no attempt starts. What waited is cancelled.
    pub async fn delete(&self, tenant: TenantId, id: &WebhookId) -> Result<(), EngineError> {
        self.set_status(tenant, id, WebhookStatus::Deleted).await.map(drop)
    }

    async fn set_status(
        &self,
        tenant: TenantId,
        id: &WebhookId,
        status: WebhookStatus,
    ) -> Result<Webhook, EngineError> {
        self.check_open()?;
        let old = self.live(tenant, id)?;
        if old.stored.status == status {
            return Ok(old.view());
        }
        let view = self.replace(&old, StoredWebhook { status, ..old.stored.clone() }, None).await?;
        let inbox = self.inbox(old.stored.no);
        if status == WebhookStatus::Active {
            inbox.wake(old.stored.no);
        } else {
            // An error means that the shard has ended, and with it everything that could start.
            let _ended = inbox.stop(old.stored.no).await;
        }
        Ok(view)
    }

    /// The counts of one webhook.
    pub async fn webhook_stats(&self, tenant: TenantId, id: &WebhookId) -> Result<Stats, EngineError> {
        let no = self.live(tenant, id)?.stored.no;
        Ok(self.parts.store.stats(StatsOf::Webhook(no)).await?)
    }

    pub(super) async fn replace(
        &self,
        old: &Live,
        new: StoredWebhook,
        idempotency: Option<Dedupe>,
    ) -> Result<Webhook, EngineError> {
        let now = self.parts.clock.now();
        let expected = old.stored.updated_at;
        // Later than what it replaces, whatever the clock says: this is what tells the two apart.
        let new = StoredWebhook { updated_at: now.max(expected.saturating_add(1)), ..new };
        let tenant = new.tenant;
        let what = WebhookWrite::Replace { webhook: Box::new(new), expected };
        let change = ChangeWebhook { tenant, now, what, idempotency };
        match self.parts.store.change_webhook(change).await? {
            Changed::Done(stored) => {
                Ok(Live::compile(*stored).map_err(|it| EngineError::damaged(&it))?.view())
            }
            Changed::Repeated(Some(no)) => Ok(self.by_no(no)?.view()),
            Changed::KeyReused => Err(key_reused()),
            _ => Err(EngineError::conflict(
                "changed_meanwhile",
                "the webhook was changed or deleted by somebody else meanwhile; read it again",
            )),
        }
    }

    pub(super) fn live(&self, tenant: TenantId, id: &WebhookId) -> Result<Arc<Live>, EngineError> {
        self.parts.registry.by_id(tenant, id).ok_or(EngineError::NotFound("webhook"))
    }

    fn by_no(&self, no: WebhookNo) -> Result<Arc<Live>, EngineError> {
        self.parts.registry.by_no(no).ok_or(EngineError::NotFound("webhook"))
    }
}

fn registered(live: &Live) -> Result<Registered, EngineError> {
    Ok(Registered { webhook: live.view(), secret: secret_of(&live.stored)? })
}

/// How a call on webhooks is known again: by its own kind of call, its key, and what was posted.
pub(super) fn call_dedupe(call: &str, key: &str, posted: &[u8]) -> Result<Dedupe, EngineError> {
    let Dedupe { name, content } = event_dedupe(key, Sha256::digest(posted).into())?;
    Ok(Dedupe { name: format!("{call}:{name}"), content })
}

fn id_taken(id: &WebhookId) -> EngineError {
    EngineError::conflict(
        "id_taken",
        format!("there is a webhook {id} already; change it, or choose another id"),
    )
}

fn key_reused() -> EngineError {
    let detail = "this Idempotency-Key was used for another call; use a new key for each call";
    EngineError::conflict("idempotency_key_reused", detail)
}

fn deleted_since() -> EngineError {
    let detail = "this call was made before, and what it made was deleted since; use a new Idempotency-Key";
    EngineError::conflict("deleted_since", detail)
}
