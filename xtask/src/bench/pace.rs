//! At a given rate: how long an event takes from its call to its arrival, alone and beside a webhook that hangs.

use std::time::Duration;

use serde_json::json;

use super::events;
use super::latency::Spread;
use super::load::Load;
use super::receiver::{Mood, Receiver};
use super::report::Row;
use super::server::{KEY, Server};

/// Connections of a producer that keeps a pace.
const CONNECTIONS: usize = 64;
/// How long the slow webhook of `slow-neighbour` takes to answer, in milliseconds.
const HANG_MS: u64 = 20_000;
/// Its timeout, in milliseconds: the webhook is slow, not dead.
const HANG_TIMEOUT_MS: u64 = 30_000;
/// Events a second of `slow-neighbour`.
const NEIGHBOUR_PER_SEC: u32 = 500;

/// Straight to a receiver, and through the server: latency of both.
pub async fn paced(span: Duration, per_sec: u32, floors_ms: (f64, f64)) -> anyhow::Result<Vec<Row>> {
    let direct = {
        let receiver = Receiver::start(Mood::Takes).await?;
        let load = Load::of(receiver.url.clone(), "", events::message(), CONNECTIONS);
        keep_pace(&load, span, per_sec, &receiver).await?
    };
    let receiver = Receiver::start(Mood::Takes).await?;
    let server = Server::start().await?;
    let webhook = json!({"url": receiver.url, "events": ["*"], "verify": false});
    server.call("POST", "/v1/webhooks", None, Some(&webhook)).await?;
    let through = keep_pace(&to(&server), span, per_sec, &receiver).await?;
    server.stop().await?;
    let (p50, p99) = (through.p50_ms - direct.p50_ms, through.p99_ms - direct.p99_ms);
    let note = format!(
        "over direct: p50 {p50:.2} ms (at most {:.1}), p99 {p99:.2} ms (at most {:.1})",
        floors_ms.0, floors_ms.1
    );
    let row = |mode: String, latency, note| Row { mode, latency: Some(latency), note, ..Row::default() };
    Ok(vec![
        row(format!("direct at {per_sec}/s"), direct, None),
        row(format!("paced at {per_sec}/s"), through, Some(note)),
    ])
}

/// A healthy webhook alone, then beside one that hangs.
pub async fn slow_neighbour(span: Duration) -> anyhow::Result<Vec<Row>> {
    // Long enough for the slow one to take all that it may have.
    let span = span.max(Duration::from_millis(HANG_MS + 5_000));
    let alone = healthy(span, false).await?;
    let beside = healthy(span, true).await?;
    let ratio = beside.p99_ms / alone.p99_ms;
    let note = format!("p99 {ratio:.2} times that alone (at most 1.50)");
    let row = |mode: &str, latency, note| Row {
        mode: mode.to_owned(),
        latency: Some(latency),
        note,
        ..Row::default()
    };
    Ok(vec![row("healthy alone", alone, None), row("slow-neighbour", beside, Some(note))])
}

async fn healthy(span: Duration, with_slow: bool) -> anyhow::Result<Spread> {
    let (receiver, slow) =
        (Receiver::start(Mood::Takes).await?, Receiver::start(Mood::Hangs(HANG_MS)).await?);
    let server = Server::start().await?;
    let mut urls = vec![&receiver.url];
    if with_slow {
        urls.insert(0, &slow.url);
    }
    for url in urls {
        let webhook = json!({"url": url, "events": ["*"], "verify": false, "timeoutMs": HANG_TIMEOUT_MS});
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
    let count = u32::try_from(span.as_secs())? * per_sec;
    load.paced(count, per_sec).await?;
    receiver.until_taken(count.into()).await?;
    receiver.spread().await
}
