//! Much of something: a hundred thousand webhooks, a million deliveries that wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::events;
use super::load::{Load, Shot};
use super::receiver::{Mood, Receiver};
use super::report::Row;
use super::server::{KEY, Server};
use super::throughput::Setup;

const TENANTS: usize = 1_000;
const WEBHOOKS_OF_EACH: usize = 100;
/// Events of `many` go to so many different webhooks, spread over all tenants.
const SHOTS: usize = 10_000;
/// Deliveries that wait in `backlog`.
const BACKLOG: u64 = 1_000_000;
/// Of a hundred first attempts, so many fail while they are made: those taken between keep the circuit closed, so that
/// each is tried and then waits.
const FAIL_PERCENT: u64 = 90;
const BATCH: u64 = 100;
/// How long making them may take.
const BACKLOG_PATIENCE: Duration = Duration::from_secs(600);
/// How long they wait, in milliseconds: longer than it runs.
const BACKLOG_WAIT_MS: u64 = 6 * 60 * 60 * 1_000;
/// Calls at once while setting up.
const CALLS: usize = 64;

/// As `single`, with a hundred thousand webhooks of a thousand tenants.
pub async fn many(span: Duration, connections: usize) -> anyhow::Result<Row> {
    let (server, receiver) = (Arc::new(Server::start().await?), Receiver::start(Mood::Takes).await?);
    eprintln!("registering {} webhooks …", TENANTS * WEBHOOKS_OF_EACH);
    let mut all = JoinSet::new();
    for lane in 0..CALLS {
        let (server, url) = (Arc::clone(&server), receiver.url.clone());
        all.spawn(async move {
            for tenant in (lane..TENANTS).step_by(CALLS) {
                for number in 0..WEBHOOKS_OF_EACH {
                    let webhook = json!({"url": url, "events": [format!("kind.k{number}")], "verify": false});
                    let tenant = format!("t{tenant}");
                    server.call("POST", "/v1/webhooks", Some(&tenant), Some(&webhook)).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    let shot = |at: usize| Shot {
        body: events::of_type(&format!("kind.k{}", at / 7 % WEBHOOKS_OF_EACH)).into(),
        tenant: Some(format!("t{}", at % TENANTS)),
    };
    let server = Arc::try_unwrap(server).map_err(|_| anyhow::anyhow!("a call goes on"))?;
    let setup = Setup { server, receiver, webhooks: 1 };
    setup.measure_shots("many", span, connections, (0..SHOTS).map(shot).collect(), 1).await
}

/// As `single`, beside a million deliveries that wait for their second attempt; the server was killed and
/// started before.
pub async fn backlog(span: Duration, connections: usize) -> anyhow::Result<Row> {
    let failing = Receiver::start(Mood::FailsFirst(FAIL_PERCENT)).await?;
    let receiver = Receiver::start(Mood::Takes).await?;
    let server = Server::start().await?;
    let webhooks = [
        json!({"url": failing.url, "events": ["message.received"], "verify": false,
            "retryConfig": {"schedule": [BACKLOG_WAIT_MS]}}),
        json!({"url": receiver.url, "events": ["kind.k0"], "verify": false}),
    ];
    for webhook in &webhooks {
        server.call("POST", "/v1/webhooks", None, Some(webhook)).await?;
    }
    eprintln!("making {BACKLOG} deliveries that wait …");
    let url = format!("{}/v1/events/batch", server.url);
    let batches = Load::of(url, KEY, events::batch(usize::try_from(BATCH)?), 8);
    // A few more than would do if exactly so many failed.
    let events = BACKLOG * 100 / FAIL_PERCENT + BACKLOG / 500;
    batches.post(events / BATCH).await?;
    let (server, ready, built_mib) = {
        wait_for_backlog(&server, &failing, events / BATCH * BATCH).await?;
        let built_mib = server.usage()?.resident_bytes_max >> 20;
        let (server, ready) = server.killed_and_started().await?;
        (server, ready, built_mib)
    };
    let setup = Setup { server, receiver, webhooks: 1 };
    let shots = vec![Shot { body: events::of_type("kind.k0").into(), tenant: None }];
    let mut row = setup.measure_shots("backlog", span, connections, shots, 1).await?;
    row.note = Some(format!(
        "{BACKLOG} waiting: ready {:.2} s after kill -9 (at most 5), {built_mib} MiB resident while they were made (at most 256)",
        ready.as_secs_f64()
    ));
    Ok(row)
}

/// Every first attempt is made, and so many of them failed.
async fn wait_for_backlog(server: &Server, failing: &Receiver, events: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    while failing.seen().await? < events {
        anyhow::ensure!(
            began.elapsed() < BACKLOG_PATIENCE,
            "{} of {events} were tried",
            failing.seen().await?
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    loop {
        let stats: serde_json::Value =
            serde_json::from_slice(&server.call("GET", "/v1/stats", None, None).await?)?;
        let (seen, taken) = (failing.seen().await?, failing.taken().await?);
        // The last results may be on their way to the disk.
        if stats["stats"]["pending"].as_u64() == Some(seen - taken) {
            anyhow::ensure!(
                stats["stats"]["pending"].as_u64() >= Some(BACKLOG),
                "the backlog is too small: {stats}"
            );
            return Ok(());
        }
        anyhow::ensure!(began.elapsed() < BACKLOG_PATIENCE, "the backlog is not whole: {stats}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
