//! As fast as it goes: one event a call, a hundred a call, ten webhooks, a receiver that fails now and then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::events;
use super::load::{Load, Shot};
use super::receiver::{Mood, Receiver};
use super::report::Row;
use super::server::{KEY, Server};
use super::usage::Usage;

/// Events in one call of `batch`.
const BATCH: usize = 100;
/// Webhooks of `fanout`.
const FANOUT: usize = 10;
/// Webhooks of the baseline of `many`.
pub const FEW: usize = 10;
/// Of a hundred first attempts, so many fail in `flaky`.
const FLAKY_PERCENT: u64 = 2;
/// How long a failed delivery waits in `flaky`, in milliseconds.
const FLAKY_WAIT_MS: u64 = 100;

/// Producers straight to a receiver: the ceiling.
pub async fn direct(span: Duration, connections: usize) -> anyhow::Result<Row> {
    straight("direct", Mood::Takes, span, connections).await
}

/// The same over bare connections of hyper's, without what producers and receivers usually have around them.
pub async fn bare(span: Duration, connections: usize) -> anyhow::Result<Row> {
    straight("direct, bare", Mood::Bare, span, connections).await
}

async fn straight(mode: &str, mood: Mood, span: Duration, connections: usize) -> anyhow::Result<Row> {
    let receiver = Receiver::start(mood).await?;
    let load = Load::of(receiver.url.clone(), "", events::message(), connections);
    let load = Load { bare: matches!(mood, Mood::Bare), ..load };
    let before = used(&receiver)?;
    let count = load.run(span).await?;
    let per_sec = count as f64 / span.as_secs_f64();
    Ok(Row {
        mode: mode.to_owned(),
        delivered_per_sec: Some(per_sec),
        load_cpu_us: Some(used(&receiver)?.cpu_us_each(before, count)),
        ..Row::default()
    })
}

/// A script as users write them: 20 lines.
pub const SCRIPT: &str = include_str!("script.js");

/// One event a call.
pub async fn single(span: Duration, connections: usize) -> anyhow::Result<Row> {
    let mode = if connections == 1 { "single, 1 connection" } else { "single" };
    let setup = Setup::of(Mood::Takes, 1).await?;
    setup.measure(mode, span, connections, events::message(), 1).await
}

/// A hundred events a call.
pub async fn batch(span: Duration, connections: usize) -> anyhow::Result<Row> {
    let setup = Setup::of(Mood::Takes, 1).await?;
    setup.measure("batch", span, connections, events::batch(BATCH), BATCH as u64).await
}

/// Each event to ten webhooks.
pub async fn fanout(span: Duration, connections: usize) -> anyhow::Result<Row> {
    let setup = Setup::of(Mood::Takes, FANOUT).await?;
    setup.measure("fanout", span, connections, events::message(), 1).await
}

/// As `single`, while a few first attempts fail.
pub async fn flaky(span: Duration, connections: usize) -> anyhow::Result<Row> {
    let setup = Setup::of(Mood::FailsFirst(FLAKY_PERCENT), 1).await?;
    setup.measure("flaky", span, connections, events::message(), 1).await
}

/// As `single`, with each event's data held against the schema of its type.
pub async fn schema(span: Duration, connections: usize) -> anyhow::Result<Row> {
    let setup = Setup::of(Mood::Takes, 1).await?;
    let enforce = json!({"eventSchemas": "enforce"});
    setup.server.call("PATCH", "/v1/settings", None, Some(&enforce)).await?;
    setup.measure("schema", span, connections, events::message(), 1).await
}

/// As `single`, with each event's body made by a script.
pub async fn transform(span: Duration, connections: usize) -> anyhow::Result<Row> {
    let (server, receiver) = (Server::start().await?, Receiver::start(Mood::Takes).await?);
    let webhook = json!({"url": receiver.url, "events": ["*"], "verify": false, "dataTransform": SCRIPT});
    server.call("POST", "/v1/webhooks", None, Some(&webhook)).await?;
    let setup = Setup { server, receiver, webhooks: 1 };
    setup.measure("transform", span, connections, events::message(), 1).await
}

/// As `single`, spread over ten webhooks of which each takes a type of its own.
pub async fn single_of_few(span: Duration, connections: usize) -> anyhow::Result<Row> {
    let (server, receiver) = (Server::start().await?, Receiver::start(Mood::Takes).await?);
    let mut shots = Vec::new();
    for number in 0..FEW {
        let event_type = format!("kind.k{number}");
        let webhook = json!({"url": receiver.url, "events": [event_type], "verify": false});
        server.call("POST", "/v1/webhooks", None, Some(&webhook)).await?;
        shots.push(Shot { body: events::of_type(&event_type).into(), tenant: None });
    }
    let setup = Setup { server, receiver, webhooks: 1 };
    setup.measure_shots("single, 10 webhooks", span, connections, shots, 1).await
}

/// A server, and one receiver for all its webhooks.
pub struct Setup {
    pub server: Server,
    pub receiver: Receiver,
    /// Webhooks that take each event.
    pub webhooks: usize,
}

impl Setup {
    async fn of(mood: Mood, webhooks: usize) -> anyhow::Result<Self> {
        let (server, receiver) = (Server::start().await?, Receiver::start(mood).await?);
        for _ in 0..webhooks {
            let webhook = json!({"url": receiver.url, "events": ["*"], "verify": false,
                "retryConfig": {"schedule": [FLAKY_WAIT_MS, FLAKY_WAIT_MS, FLAKY_WAIT_MS]}});
            server.call("POST", "/v1/webhooks", None, Some(&webhook)).await?;
        }
        Ok(Self { server, receiver, webhooks })
    }

    async fn measure(
        self,
        mode: &str,
        span: Duration,
        connections: usize,
        body: String,
        events: u64,
    ) -> anyhow::Result<Row> {
        self.measure_shots(mode, span, connections, vec![Shot { body: body.into(), tenant: None }], events)
            .await
    }

    /// Posts for `span`, waits for the last arrival, and stops the server.
    pub async fn measure_shots(
        self,
        mode: &str,
        span: Duration,
        connections: usize,
        shots: Vec<Shot>,
        events: u64,
    ) -> anyhow::Result<Row> {
        let path = if events == 1 { "/v1/events" } else { "/v1/events/batch" };
        let load = Load {
            url: format!("{}{path}", self.server.url),
            key: KEY,
            shots: Arc::new(shots),
            connections,
            bare: false,
        };
        let row = self.measured(mode, span, &load, events).await?;
        self.server.stop().await?;
        Ok(row)
    }

    /// The same on a server that goes on.
    pub async fn measured(
        &self,
        mode: &str,
        span: Duration,
        load: &Load,
        events: u64,
    ) -> anyhow::Result<Row> {
        let (engine, load_before) = (self.server.usage()?, used(&self.receiver)?);
        let from = self.receiver.taken().await?;
        let began = Instant::now();
        let accepted = load.run(span).await? * events;
        let accepted_per_sec = accepted as f64 / began.elapsed().as_secs_f64();
        let deliveries = accepted * self.webhooks as u64;
        self.receiver.until_taken(from + deliveries).await?;
        let delivered_per_sec = deliveries as f64 / began.elapsed().as_secs_f64();
        let usage = self.server.usage()?;
        Ok(Row {
            mode: mode.to_owned(),
            accepted_per_sec: Some(accepted_per_sec),
            delivered_per_sec: Some(delivered_per_sec),
            engine_cpu_us: Some(usage.cpu_us_each(engine, deliveries)),
            load_cpu_us: Some(used(&self.receiver)?.cpu_us_each(load_before, deliveries)),
            resident_mib: Some(usage.resident_bytes_max >> 20),
            ..Row::default()
        })
    }
}

/// What producers and the receiver have used.
fn used(receiver: &Receiver) -> anyhow::Result<Usage> {
    let (producers, receiver) = (Usage::own()?, receiver.usage()?);
    Ok(Usage { cpu: producers.cpu + receiver.cpu, ..producers })
}
