//! Signatures of attempts: many at once for a round's, one by one where that could not be.
//!
//! Invariant: what was signed ahead is used only for the very webhook, as it was then, and the very bytes; whoever
//! changed since is signed anew. Read `render.rs` next.

use std::sync::Arc;

use vai_webhooks_wire::UnixMs;
use vai_webhooks_wire::sign::{Batch, Mac};

use super::format::Outgoing;
use super::render;
use crate::key::WebhookNo;
use crate::store::{Ready, Sendable};
use crate::webhook::live::Live;
use crate::webhook::registry::Registry;

/// The most that a round signs ahead, in bytes of bodies, which it copies: what is beyond is signed when it starts, each
/// on its own.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// What vouches for one request.
pub(crate) struct Signatures {
    /// The time that the signatures cover, and the request tells: when the round began that started it, or it itself.
    pub(crate) at: UnixMs,
    pub(crate) legacy: Mac,
    pub(crate) v1: Mac,
    /// Of the new secret, while the old one signs too.
    pub(crate) second: Option<Mac>,
}

/// The signatures of an event that is sent at `at`: with its own body, or what was made of it.
pub(crate) fn sign(live: &Live, event: &Sendable, outgoing: Option<&Outgoing>, at: UnixMs) -> Signatures {
    let body = render::body(event, outgoing);
    let mut batch = Batch::with_capacity(1, body.len());
    let two = push(&mut batch, live, event.id.as_str(), body, at);
    take(&mut batch.sign().into_iter(), two, at)
}

/// Signatures of an attempt, and the webhook that they were made for.
pub(super) struct Ahead {
    live: Arc<Live>,
    signatures: Signatures,
}

impl Ahead {
    /// The signatures, where they are those of this webhook as it is.
    pub(super) fn of(self, live: &Arc<Live>) -> Option<Signatures> {
        Arc::ptr_eq(&self.live, live).then_some(self.signatures)
    }
}

/// The attempts that a round starts, each with its signatures where they could be made ahead: not for a body that is yet
/// to be made, and not without bound.
pub(super) fn ahead(
    registry: &Registry,
    starting: Vec<(WebhookNo, Ready)>,
    at: UnixMs,
) -> impl Iterator<Item = (WebhookNo, Ready, Option<Ahead>)> {
    let bodies: usize = starting.iter().map(|(_, ready)| ready.event.body.len()).sum();
    let (mut batch, mut bytes) = (Batch::with_capacity(starting.len(), bodies.min(AHEAD_BYTES_MAX)), 0);
    let signing: Vec<Option<(Arc<Live>, bool)>> = starting
        .iter()
        .map(|(webhook, ready)| {
            let event = &ready.event;
            if ready.form.is_some() || bytes + event.body.len() > AHEAD_BYTES_MAX {
                return None;
            }
            bytes += event.body.len();
            let live = registry.by_no(*webhook)?;
            let two = push(&mut batch, &live, event.id.as_str(), &event.body, at);
            Some((live, two))
        })
        .collect();
    let mut macs = batch.sign().into_iter();
    starting.into_iter().zip(signing).map(move |((webhook, ready), signing)| {
        let ahead = signing.map(|(live, two)| Ahead { live, signatures: take(&mut macs, two, at) });
        (webhook, ready, ahead)
    })
}

/// Adds what one request needs; whether two secrets sign it.
fn push(batch: &mut Batch, live: &Live, id: &str, body: &[u8], at: UnixMs) -> bool {
    let (first, second) = live.secrets(at);
    batch.push_legacy(first, body);
    batch.push_v1(first, id, at.as_secs(), body);
    if let Some(second) = second {
        batch.push_v1(second, id, at.as_secs(), body);
    }
    second.is_some()
}

/// Takes what `push` has added.
fn take(macs: &mut impl Iterator<Item = Mac>, two: bool, at: UnixMs) -> Signatures {
    let mut next = || macs.next().expect("a signature for each that was added");
    Signatures { at, legacy: next(), v1: next(), second: two.then(next) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use vai_webhooks_wire::{Secret, sign};

    use super::*;
    use crate::key::EventKey;
    use crate::store::StoredWebhook;
    use crate::tenant::TenantId;
    use crate::webhook::{Form, Format, WebhookConfig, WebhookStatus};

    const NOW: UnixMs = UnixMs(1_767_225_600_123);

    fn webhook(no: u32, previous: Option<&str>) -> StoredWebhook {
        StoredWebhook {
            no: WebhookNo(no),
            tenant: TenantId(1),
            id: format!("w{no}").parse().unwrap(),
            status: WebhookStatus::Active,
            config: WebhookConfig::new("https://example.com/", ["*"]),
            secret: format!("secret {no}"),
            previous_secret: previous.map(|secret| (secret.to_owned(), UnixMs(NOW.0 + 1))),
            signing_key: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    fn ready(body: &[u8]) -> Ready {
        let event = Sendable {
            key: EventKey(1),
            id: "evt_1".parse().unwrap(),
            event_type: "a".into(),
            body: Bytes::copy_from_slice(body),
        };
        Ready { event: Arc::new(event), attempts: 0, attempts_before: 0, form: None }
    }

    fn text(push: impl FnOnce(&mut String)) -> String {
        let mut text = String::new();
        push(&mut text);
        text
    }

    #[test]
    fn each_attempt_has_the_signatures_of_its_own_webhook_and_body() {
        let registry = Registry::load(vec![webhook(1, None), webhook(2, Some("old"))], &[]).ok().unwrap();
        let (large, half) = (vec![b' '; AHEAD_BYTES_MAX], vec![b' '; AHEAD_BYTES_MAX / 2]);
        let bodies: [&[u8]; 7] = [b"{}", b"[1]", &large, b"", &half, &half, b"{\"a\":1}"];
        let starting =
            bodies.iter().zip([1, 2, 1, 2, 1, 2, 1]).map(|(body, no)| (WebhookNo(no), ready(body)));
        let started: Vec<_> = ahead(&registry, starting.collect(), NOW).collect();
        let signed: Vec<bool> = started.iter().map(|(.., ahead)| ahead.is_some()).collect();
        assert_eq!(signed, [true, true, false, true, true, false, true]);
        for ((no, ready, ahead), body) in started.into_iter().zip(bodies) {
            assert_eq!(ready.event.body, body);
            let Some(ahead) = ahead else { continue };
            let made = ahead.of(&registry.by_no(no).unwrap()).unwrap();
            let secret = |text: &str| Secret::parse(text).unwrap();
            let own = secret(&format!("secret {}", no.0));
            let first = if no.0 == 2 { secret("old") } else { own.clone() };
            assert_eq!(made.at, NOW);
            assert_eq!(text(|it| sign::push_legacy(it, &made.legacy)), sign::legacy(&first, body));
            let v1 = |secret: &Secret| sign::v1(secret, "evt_1", NOW.as_secs(), body);
            assert_eq!(text(|it| sign::push_v1(it, &made.v1)), v1(&first));
            let second = made.second.map(|mac| text(|it| sign::push_v1(it, &mac)));
            assert_eq!(second, (no.0 == 2).then(|| v1(&own)));
        }
    }

    #[test]
    fn what_a_script_or_a_format_is_yet_to_make_is_not_signed_ahead() {
        let registry = Registry::load(vec![webhook(1, None)], &[]).ok().unwrap();
        let form = Some(Form { format: Format::Raw, script: 0 });
        let starting = vec![(WebhookNo(1), Ready { form, ..ready(b"{}") })];
        let (.., signed) = ahead(&registry, starting, NOW).next().unwrap();
        assert!(signed.is_none());
    }

    #[test]
    fn what_was_signed_ahead_is_not_used_for_a_webhook_that_changed_since() {
        let registry = Registry::load(vec![webhook(1, None)], &[]).ok().unwrap();
        let signed = || {
            let (.., signed) = ahead(&registry, vec![(WebhookNo(1), ready(b"{}"))], NOW).next().unwrap();
            signed.unwrap()
        };
        let before = signed();
        registry.apply(StoredWebhook { secret: "another".to_owned(), ..webhook(1, None) }).unwrap();
        let live = registry.by_no(WebhookNo(1)).unwrap();
        assert!(before.of(&live).is_none());
        assert!(signed().of(&live).is_some());
    }
}
