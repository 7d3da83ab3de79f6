//! Every way in which a signature can be wrong has its own error, and nothing but the right one passes.

use proptest::prelude::*;
use vai_webhooks_wire::{Scheme, Secret, SigningKey, UnixMs, Verified, Verifier, VerifyError, sign};

const BODY: &[u8] = br#"{"event":"a","timestamp":"2026-01-01T00:00:00.000Z","data":1}"#;
const NOW: UnixMs = UnixMs(1_767_225_600_000);

fn secret() -> Secret {
    Secret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap()
}

fn verifier() -> Verifier {
    Verifier::new().secret(Secret::parse("an older one").unwrap()).secret(secret())
}

fn with(verifier: &Verifier, headers: &[(&str, String)], body: &[u8]) -> Result<Verified, VerifyError> {
    let header = |name: &str| headers.iter().find(|(is, _)| *is == name).map(|(_, value)| value.as_bytes());
    verifier.verify(header, body, NOW)
}

fn standard(id: &str, secs: i64, signature: String) -> Vec<(&'static str, String)> {
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", secs.to_string()),
        ("webhook-signature", signature),
    ]
}

fn signed(secs: i64) -> Vec<(&'static str, String)> {
    standard("evt_1", secs, sign::v1(&secret(), "evt_1", secs, BODY))
}

#[test]
fn what_is_right_passes_with_any_of_several_secrets_and_signatures() {
    let now = NOW.as_secs();
    assert_eq!(with(&verifier(), &signed(now), BODY).unwrap().scheme, Scheme::V1);
    let right = sign::v1(&secret(), "evt_1", now, BODY);
    let key = SigningKey::from_bytes(&[3; 32]);
    for several in [
        format!("v1,AAAA {right}"),
        format!("v2,new v1a,AAAA {right}"),
        format!("{right} {}", sign::v1a(&key, "evt_1", now, BODY)),
    ] {
        assert!(with(&verifier(), &standard("evt_1", now, several.clone()), BODY).is_ok(), "{several}");
    }
    let by_key = Verifier::new().verifying_key(key.verifying_key());
    let both = format!("{right} {}", sign::v1a(&key, "evt_1", now, BODY));
    assert_eq!(with(&by_key, &standard("evt_1", now, both), BODY).unwrap().scheme, Scheme::V1a);
}

#[test]
fn each_check_has_its_own_error() {
    let now = NOW.as_secs();
    let check = |headers: &[(&str, String)]| with(&verifier(), headers, BODY).unwrap_err();
    assert_eq!(check(&[]), VerifyError::NoSignature);
    assert_eq!(check(&signed(now - 301)), VerifyError::TooOld);
    assert_eq!(check(&signed(now + 301)), VerifyError::TooNew);
    assert_eq!(check(&signed(now)[1..]), VerifyError::BadId);
    assert_eq!(check(&signed(now)[2..]), VerifyError::BadId);
    let mut odd = signed(now);
    for bad in ["", "soon", "-1", "1.5", " 1767225600", "99999999999999999999999"] {
        odd[1].1 = bad.to_owned();
        assert_eq!(check(&odd), VerifyError::BadTimestamp, "{bad:?}");
    }
    for (signature, error) in [
        ("", VerifyError::NothingToCheck),
        ("v2,abc", VerifyError::NothingToCheck),
        ("v1", VerifyError::NothingToCheck),
        ("v1,", VerifyError::Mismatch),
        ("v1,%%%", VerifyError::Mismatch),
        ("v1a,AAAA", VerifyError::NothingToCheck),
    ] {
        assert_eq!(check(&standard("evt_1", now, signature.to_owned())), error, "{signature:?}");
    }
    assert_eq!(check(&standard("evt_2", now, signed(now)[2].1.clone())), VerifyError::Mismatch);
    assert_eq!(with(&verifier(), &signed(now), b"{}").unwrap_err(), VerifyError::Mismatch);
}

#[test]
fn the_edge_of_the_tolerance_is_inside() {
    for secs in [NOW.as_secs() - 300, NOW.as_secs() + 300] {
        assert!(with(&verifier(), &signed(secs), BODY).is_ok());
    }
}

#[test]
fn a_legacy_signature_is_exact_and_never_stands_in_for_a_standard_one() {
    let right = sign::legacy(&secret(), BODY);
    let legacy = |text: String| with(&verifier(), &[("x-vai-signature", text)], BODY);
    let verified = legacy(right.clone()).unwrap();
    assert_eq!((verified.scheme, verified.id), (Scheme::Legacy, None));
    for malformed in
        [String::new(), right[1..].to_owned(), format!("{right}0"), right.to_uppercase(), "é".repeat(32)]
    {
        assert_eq!(legacy(malformed.clone()).unwrap_err(), VerifyError::MalformedLegacy, "{malformed}");
    }
    assert_eq!(legacy("0".repeat(64)).unwrap_err(), VerifyError::Mismatch);
    let mut both = standard("evt_1", NOW.as_secs(), "v1,AAAA".to_owned());
    both.push(("x-vai-signature", right.clone()));
    assert_eq!(with(&verifier(), &both, BODY).unwrap_err(), VerifyError::Mismatch);
    let strict = verifier().accept_legacy(false);
    let refused = with(&strict, &[("x-vai-signature", right)], BODY).unwrap_err();
    assert_eq!(refused, VerifyError::LegacyNotAccepted);
}

#[test]
fn without_a_key_nothing_passes() {
    let none = Verifier::new();
    assert_eq!(with(&none, &signed(NOW.as_secs()), BODY).unwrap_err(), VerifyError::NothingToCheck);
    let legacy = [("x-vai-signature", sign::legacy(&secret(), BODY))];
    assert_eq!(with(&none, &legacy, BODY).unwrap_err(), VerifyError::Mismatch);
}

proptest! {
    #[test]
    fn one_changed_byte_anywhere_is_refused(at: prop::sample::Index, which in 0..4_usize, bit in 0..7_u32) {
        let mut headers = signed(NOW.as_secs());
        let mut body = BODY.to_vec();
        let change = |bytes: &mut [u8]| {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        };
        if which < 3 {
            let mut bytes = headers[which].1.clone().into_bytes();
            change(&mut bytes);
            prop_assume!(bytes.is_ascii());
            headers[which].1 = String::from_utf8(bytes).unwrap();
        } else {
            change(&mut body);
        }
        prop_assert!(with(&verifier(), &headers, &body).is_err());
    }

    #[test]
    fn no_headers_make_it_panic(id: Vec<u8>, at: Vec<u8>, signature: Vec<u8>, body: Vec<u8>) {
        let header = |name: &str| match name {
            "webhook-id" => Some(id.as_slice()),
            "webhook-timestamp" => Some(at.as_slice()),
            "webhook-signature" => Some(signature.as_slice()),
            _ => None,
        };
        prop_assert!(verifier().verify(header, &body, NOW).is_err());
        let legacy = |name: &str| (name == "x-vai-signature").then_some(signature.as_slice());
        prop_assert!(verifier().verify(legacy, &body, NOW).is_err());
    }
}
