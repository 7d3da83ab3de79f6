//! The transformation of a webhook: set, changed, gone back to an earlier one.
//!
//! Invariant: a script that does not compile is refused before anything changes. Read `transform.rs` next.

use vai_webhooks_wire::WebhookId;

use super::Engine;
use crate::error::{EngineError, FieldProblem};
use crate::key::WebhookNo;
use crate::store::StoredScript;
use crate::tenant::TenantId;
use crate::transform::ScriptError;
use crate::transform::pool::Owner;
use crate::webhook::live::Live;
use crate::webhook::{ScriptInput, Transform, TransformInput};

/// Held deliveries that are made due in one write.
const RELEASE_SLICE: u32 = 1_000;
/// The most versions of one webhook.
const VERSIONS_MAX: u32 = 1_000;

impl Engine {
    /// The versions of a webhook's transformation, newest first.
    pub async fn transform_versions(
        &self,
        tenant: TenantId,
        id: &WebhookId,
    ) -> Result<Vec<StoredScript>, EngineError> {
        Ok(self.parts.store.scripts(self.live(tenant, id)?.stored.no).await?)
    }

    /// The code of one version of a webhook's transformation.
    pub async fn transform_version(
        &self,
        tenant: TenantId,
        id: &WebhookId,
        version: u32,
    ) -> Result<String, EngineError> {
        let no = self.live(tenant, id)?.stored.no;
        self.parts.store.script(no, version).await?.ok_or(EngineError::NotFound("version"))
    }

    /// The transformation of a new webhook.
    pub(super) async fn first_script(
        &self,
        tenant: TenantId,
        input: TransformInput,
    ) -> Result<Transform, EngineError> {
        let ScriptInput::Code(code) = input.script else {
            let detail = "is of a webhook that is there already; a new one needs code";
            return Err(EngineError::invalid("/dataTransform/version", "not_found", detail));
        };
        self.check_script(Owner::Trial(tenant), &code).await?;
        Ok(Transform { code: code.into(), on_error: input.on_error.unwrap_or_default(), version: 1 })
    }

    /// The transformation that a webhook has after a change.
    pub(super) async fn next_script(
        &self,
        old: &Live,
        input: Option<TransformInput>,
    ) -> Result<Option<Transform>, EngineError> {
        let Some(TransformInput { script, on_error }) = input else { return Ok(None) };
        let (no, tenant) = (old.stored.no, old.stored.tenant);
        let on_error = on_error.unwrap_or_default();
        let current = old.stored.config.transform.as_ref();
        let (code, version) = match script {
            ScriptInput::Version(version) => match self.parts.store.script(no, version).await? {
                Some(code) => (code, version),
                None => {
                    let detail = format!("is {version}; this webhook never had a version of that number");
                    return Err(EngineError::invalid("/dataTransform/version", "not_found", detail));
                }
            },
            ScriptInput::Code(code) => match current.filter(|it| *it.code == *code) {
                Some(same) => (code, same.version),
                None => {
                    self.check_script(Owner::Trial(tenant), &code).await?;
                    let newest = self.parts.store.scripts(no).await?.first().map_or(0, |it| it.version);
                    if newest >= VERSIONS_MAX {
                        let detail =
                            format!("this webhook has {VERSIONS_MAX} versions, the most there may be");
                        return Err(EngineError::conflict("too_many_versions", detail));
                    }
                    (code, newest + 1)
                }
            },
        };
        Ok(Some(Transform { code: code.into(), on_error, version }))
    }

    async fn check_script(&self, owner: Owner, code: &str) -> Result<(), EngineError> {
        let checked = self.parts.scripts.check(owner, code).await;
        checked.map_err(|error: ScriptError| {
            let problem = FieldProblem::at("/dataTransform", "invalid_script", error.to_string());
            EngineError::Invalid(vec![problem])
        })
    }

    /// Lets everything that was held go out by the transformation that the webhook has now.
    pub(super) async fn release(&self, no: WebhookNo) -> Result<(), EngineError> {
        loop {
            let now = self.parts.clock.now();
            if self.parts.store.release(no, RELEASE_SLICE, now).await? < RELEASE_SLICE {
                return Ok(());
            }
        }
    }
}
