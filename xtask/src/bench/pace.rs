//! At a given rate: how long an event takes from its call to its arrival, alone and beside a webhook that is slow.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::events;
use super::latency::Spread;
use super::load::Load;
use super::receiver::{Mood, Receiver};
use super::report::Row;
use super::server::{KEY, Server};
use super::throughput::SCRIPT;
use crate::root;

/// How long `paced` measures one of the two before it is the other's turn.
const ROUND: Duration = Duration::from_secs(2);
/// What is written before each sync of the disk: a page of the store's.
const SYNC_BYTES: usize = 8 * 1024;
/// Connections of a producer that keeps a pace.
const CONNECTIONS: usize = 64;
/// How long the slow webhook of `slow-neighbour` takes to answer, in milliseconds.
const HANG_MS: u64 = 20_000;
/// Its timeout, in milliseconds: the webhook is slow, not dead.
const HANG_TIMEOUT_MS: u64 = 30_000;
/// A script that always runs into its time limit.
const ENDLESS: &str = "event => { for (;;); }";
/// One moment in which the machine stands still would be a hundredth of much less.
const SCRIPT_SPAN_MIN: Duration = Duration::from_secs(20);
/// Events a second of `slow-neighbour` and `slow-script`.
const NEIGHBOUR_PER_SEC: u32 = 500;

/// Straight to a receiver, and through the server: latency of both, in short rounds by turns, of which the usual one is
/// shown. On a machine that is shared, whoever is measured while a processor is taken away looks slow.
pub async fn paced(span: Duration, per_sec: u32, floors_ms: (f64, f64)) -> anyhow::Result<Vec<Row>> {
    let (straight, behind) = (Receiver::start(Mood::Takes).await?, Receiver::start(Mood::Takes).await?);
    let server = Server::start().await?;
    let webhook = json!({"url": behind.url, "events": ["*"], "verify": false});
    server.call("POST", "/v1/webhooks", None, Some(&webhook)).await?;
    let to_receiver = Load::of(straight.url.clone(), "", events::message(), CONNECTIONS);
    let to_server = to(&server);
    let (mut synced, mut direct, mut through) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..(span.as_secs() / ROUND.as_secs()).max(1) {
        synced.push(tokio::task::spawn_blocking(move || syncs(per_sec)).await??);
        direct.push(keep_pace(&to_receiver, ROUND, per_sec, &straight).await?);
        through.push(keep_pace(&to_server, ROUND, per_sec, &behind).await?);
    }
    server.stop().await?;
    let (synced, direct, through) = (Spread::usual(&synced), Spread::usual(&direct), Spread::usual(&through));
    let (p50, p99) = (through.p50_ms - direct.p50_ms, through.p99_ms - direct.p99_ms);
    let note = format!(
        "over direct: p50 {p50:.2} ms (at most {:.1}), p99 {p99:.2} ms (at most {:.1})",
        floors_ms.0, floors_ms.1
    );
    let row = |mode: String, latency, note| Row { mode, latency: Some(latency), note, ..Row::default() };
    Ok(vec![
        row(format!("disk's sync at {per_sec}/s"), synced, None),
        row(format!("direct at {per_sec}/s"), direct, None),
        row(format!("paced at {per_sec}/s"), through, Some(note)),
    ])
}

/// How long the disk takes to sync a page for one round, at this pace at most: what no durable event can be quicker than.
fn syncs(per_sec: u32) -> anyhow::Result<Spread> {
    let mut file = tempfile::tempfile_in(root().join("target"))?;
    let (page, gap) = ([1; SYNC_BYTES], Duration::from_secs(1) / per_sec);
    let began = Instant::now();
    let mut took_us = Vec::new();
    while began.elapsed() < ROUND {
        let at = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        took_us.push(u64::try_from(at.elapsed().as_micros())?);
        std::thread::sleep(gap.saturating_sub(at.elapsed()));
    }
    Ok(Spread::of(took_us))
}

/// A healthy webhook alone, then beside one that hangs.
pub async fn slow_neighbour(span: Duration) -> anyhow::Result<Vec<Row>> {
    // Long enough for the slow one to take all that it may have.
    let span = span.max(Duration::from_millis(HANG_MS + 5_000));
    let slow = Receiver::start(Mood::Hangs(HANG_MS)).await?;
    let neighbour = json!({"url": slow.url, "timeoutMs": HANG_TIMEOUT_MS});
    let healthy = json!({"timeoutMs": HANG_TIMEOUT_MS});
    alone_and_beside(span, ["healthy alone", "slow-neighbour"], &healthy, &neighbour).await
}

/// A webhook without a script and one with, each alone, then beside one whose script always runs into its limit.
pub async fn slow_script(span: Duration) -> anyhow::Result<Vec<Row>> {
    let span = span.max(SCRIPT_SPAN_MIN);
    let other = Receiver::start(Mood::Takes).await?;
    let neighbour = json!({"url": other.url, "dataTransform": ENDLESS});
    let (plain, scripted) = (json!({}), json!({"dataTransform": SCRIPT}));
    let mut rows = alone_and_beside(span, ["healthy alone", "slow-script"], &plain, &neighbour).await?;
    let names = ["scripted alone", "slow-script, scripted"];
    rows.extend(alone_and_beside(span, names, &scripted, &neighbour).await?);
    Ok(rows)
}

async fn alone_and_beside(
    span: Duration,
    names: [&str; 2],
    healthy: &Value,
    neighbour: &Value,
) -> anyhow::Result<Vec<Row>> {
    let alone = beside(span, healthy, None).await?;
    let both = beside(span, healthy, Some(neighbour)).await?;
    let note = format!("p99 {:.2} times that alone (at most 1.50)", both.p99_ms / alone.p99_ms);
    let row = |mode: &str, latency, note| Row {
        mode: mode.to_owned(),
        latency: Some(latency),
        note,
        ..Row::default()
    };
    Ok(vec![row(names[0], alone, None), row(names[1], both, Some(note))])
}

/// How long events take to a healthy webhook, beside another where there is one.
async fn beside(span: Duration, healthy: &Value, neighbour: Option<&Value>) -> anyhow::Result<Spread> {
    let (receiver, server) = (Receiver::start(Mood::Takes).await?, Server::start().await?);
    let mut healthy = healthy.clone();
    healthy["url"] = json!(receiver.url);
    for webhook in neighbour.into_iter().chain([&healthy]) {
        let mut webhook = webhook.clone();
        webhook["events"] = json!(["*"]);
        webhook["verify"] = json!(false);
        server.call("POST", "/v1/webhooks", None, Some(&webhook)).await?;
    }
    let spread = keep_pace(&to(&server), span, NEIGHBOUR_PER_SEC, &receiver).await?;
    server.stop().await?;
    Ok(spread)
}

fn to(server: &Server) -> Load {
    Load::of(format!("{}/v1/events", server.url), KEY, events::message(), CONNECTIONS)
}

async fn keep_pace(load: &Load, span: Duration, per_sec: u32, receiver: &Receiver) -> anyhow::Result<Spread> {
    let (count, before) = (u32::try_from(span.as_secs())? * per_sec, receiver.taken().await?);
    load.paced(count, per_sec).await?;
    receiver.until_taken(before + u64::from(count)).await?;
    receiver.take_spread().await
}
