//! What the signatures of a delivery cost: one by one, and side by side as a busy engine makes them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use vai_webhooks_wire::Secret;
use vai_webhooks_wire::sign::{self, Batch};

use super::report::Row;

/// What is signed together: as many as a quarter of the usual connections bring at once.
const DELIVERIES: u16 = 16;
/// The body of a 600-byte event.
const BODY: [u8; 680] = [b'x'; 680];
const ID: &str = "evt_01kb5wq2m8e7fr9x4t6z0c3ysd";
const AT_SECS: i64 = 1_767_225_600;

pub async fn one_by_one(span: Duration) -> anyhow::Result<Row> {
    let secret = Secret::from_random([7; 32]);
    Ok(measured("sign, one by one", span, || {
        for _ in 0..DELIVERIES {
            black_box(sign::legacy(&secret, black_box(&BODY)));
            black_box(sign::v1(&secret, ID, AT_SECS, black_box(&BODY)));
        }
    }))
}

pub async fn side_by_side(span: Duration) -> anyhow::Result<Row> {
    let secret = Secret::from_random([7; 32]);
    Ok(measured("sign", span, || {
        let mut batch = Batch::with_capacity(DELIVERIES.into(), usize::from(DELIVERIES) * BODY.len());
        for _ in 0..DELIVERIES {
            batch.push_legacy(&secret, black_box(&BODY));
            batch.push_v1(&secret, ID, AT_SECS, black_box(&BODY));
        }
        black_box(batch.sign());
    }))
}

fn measured(mode: &str, span: Duration, mut sign: impl FnMut()) -> Row {
    let (began, mut rounds) = (Instant::now(), 0_u32);
    while began.elapsed() < span {
        sign();
        rounds += 1;
    }
    let per_sec = f64::from(rounds) * f64::from(DELIVERIES) / began.elapsed().as_secs_f64();
    Row {
        mode: mode.to_owned(),
        delivered_per_sec: Some(per_sec),
        engine_cpu_us: Some(1e6 / per_sec),
        ..Row::default()
    }
}
