//! Against the reference implementation of Standard Webhooks: each verifies what the other signs.

use http::HeaderMap;
use proptest::prelude::*;
use standardwebhooks::Webhook;
use vai_webhooks_wire::{Scheme, Secret, UnixMs, Verifier, sign};

fn reference(secret: &Secret) -> Webhook {
    Webhook::new(secret.expose()).unwrap()
}

proptest! {
    #[test]
    fn the_reference_verifies_what_we_sign(random: [u8; 32], id in "[A-Za-z0-9_-]{1,40}", body: String) {
        let secret = Secret::from_random(random);
        let secs = UnixMs::now().as_secs();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", id.parse().unwrap());
        headers.insert("webhook-timestamp", secs.to_string().parse().unwrap());
        headers.insert("webhook-signature", sign::v1(&secret, &id, secs, body.as_bytes()).parse().unwrap());
        prop_assert!(reference(&secret).verify(body.as_bytes(), &headers).is_ok());
    }

    #[test]
    fn we_verify_what_the_reference_signs(random: [u8; 32], id in "[A-Za-z0-9_-]{1,40}", body: String) {
        let secret = Secret::from_random(random);
        let secs = 1_767_225_600;
        let signature = reference(&secret).sign(&id, secs, body.as_bytes()).unwrap();
        let timestamp = secs.to_string();
        let header = |name: &str| match name {
            "webhook-id" => Some(id.as_bytes()),
            "webhook-timestamp" => Some(timestamp.as_bytes()),
            "webhook-signature" => Some(signature.as_bytes()),
            _ => None,
        };
        let verified = Verifier::new().secret(secret).verify(header, body.as_bytes(), UnixMs(secs * 1_000)).unwrap();
        prop_assert_eq!((verified.scheme, verified.id.as_deref()), (Scheme::V1, Some(id.as_str())));
    }
}
