//! Signed links to an event's data, which a webhook of the format `thin` gets in place of the data.
//!
//! A link names a webhook and an event, and says nothing about time: a delivery's bytes stay the same when it is sent
//! again, and its link is good until some time after its latest attempt, which the store knows. Invariant: a link
//! opens nothing but the one event, and nothing once the webhook is deleted. Read `engine/linked.rs` next.

use std::time::Duration;

use vai_webhooks_wire::{Secret, sign};

use crate::key::{EventKey, WebhookNo};

/// How long a link is good after the latest attempt, if not said.
pub const LINK_LIFE: Duration = Duration::from_hours(7 * 24);
/// Hexadecimal characters of a link's signature: 128 bits.
const SIGNATURE_CHARS: usize = 32;

/// Makes links and knows them again.
pub(crate) struct Links {
    secret: Secret,
    /// The address at which the API can be reached, without a slash at the end.
    public_url: Option<String>,
    pub(crate) life: Duration,
}

impl Links {
    pub(crate) fn new(key: [u8; 32], public_url: Option<&str>, life: Duration) -> Self {
        let public_url = public_url.map(|url| url.trim_end_matches('/').to_owned());
        Self { secret: Secret::from_random(key), public_url, life }
    }

    /// Whether it is known where links lead.
    pub(crate) fn can_be_made(&self) -> bool {
        self.public_url.is_some()
    }

    /// The link to an event for a webhook; `None` where the API's address is not known.
    pub(crate) fn make(&self, webhook: WebhookNo, event: EventKey) -> Option<String> {
        let name = name(webhook, event);
        let base = self.public_url.as_ref()?;
        Some(format!("{base}/v1/links/{name}-{}", self.signature(&name)))
    }

    /// What the last part of a link names; `None` where we did not make it.
    pub(crate) fn read(&self, token: &str) -> Option<(WebhookNo, EventKey)> {
        let (name_part, signature) = token.rsplit_once('-')?;
        let (webhook, event) = name_part.split_once('-')?;
        let webhook = WebhookNo(u32::from_str_radix(webhook, 16).ok()?);
        let event = EventKey(i64::from_str_radix(event, 16).ok()?);
        let expected = self.signature(&name(webhook, event));
        // In a time that does not depend on where they differ.
        let differs = expected.bytes().zip(signature.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        (name(webhook, event) == name_part && signature.len() == expected.len() && differs == 0)
            .then_some((webhook, event))
    }

    fn signature(&self, name: &str) -> String {
        let mut text = sign::legacy(&self.secret, name.as_bytes());
        text.truncate(SIGNATURE_CHARS);
        text
    }
}

fn name(webhook: WebhookNo, event: EventKey) -> String {
    format!("{:x}-{:x}", webhook.0, event.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(key: u8) -> Links {
        Links::new([key; 32], Some("https://hooks.example.com/"), LINK_LIFE)
    }

    #[test]
    fn a_link_is_known_again_and_a_changed_one_is_not() {
        let link = links(1).make(WebhookNo(42), EventKey(1 << 50)).unwrap();
        let token = link.strip_prefix("https://hooks.example.com/v1/links/").unwrap();
        assert_eq!(links(1).read(token), Some((WebhookNo(42), EventKey(1 << 50))));
        assert_eq!(links(2).read(token), None, "of another installation");
        for at in 0..token.len() {
            let mut changed = token.as_bytes().to_vec();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(links(1).read(std::str::from_utf8(&changed).unwrap()), None, "{at}");
        }
        let cut = &token[..token.len() - 1];
        for bad in
            ["", "-", "--", "1-2", "1-2-", "1-2-3", "+1-2-3", cut, &format!("{token}0"), &format!("0{token}")]
        {
            assert_eq!(links(1).read(bad), None, "{bad}");
        }
    }

    #[test]
    fn without_an_address_there_are_no_links() {
        assert_eq!(Links::new([1; 32], None, LINK_LIFE).make(WebhookNo(1), EventKey(1)), None);
    }
}
