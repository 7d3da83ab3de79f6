//! `vai-webhooks demo`: the whole way of an event, to watch, in one terminal.
//!
//! A real engine with its API, a real receiver behind a door that fails now and then, and made-up
//! conversations, all in a temporary directory. `conversations` makes what is sent, `door` fails on
//! purpose, `screen` shows it. Read `serve.rs` next for the same without the show.

mod conversations;
mod door;
mod screen;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use vai_webhooks_engine::{Engine, EngineError, EngineOptions, NewWebhook, RetryPolicy, TenantId};
use vai_webhooks_receiver::service::{self, ServiceConfig, ServiceLimits, serve_connections};

use self::conversations::Conversations;
use self::door::Door;
use self::screen::Screen;
use crate::api;
use crate::signals::Signals;
use crate::units::Span;

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End by itself after this time, as 10s; without it, at Ctrl-C
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<Span>,
}

/// How long the demo waits at its end for what is still being retried.
const LAST_RETRIES: Duration = Duration::from_secs(15);
/// Waits between attempts: short ones, so that retries can be watched.
const RETRY_WAITS_MS: [u64; 4] = [1_000, 2_000, 4_000, 4_000];
/// The demo's one webhook.
const WEBHOOK: &str = "demo-crm";

/// Runs the demo.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let signals = Signals::new()?;
    let screen = Arc::new(Screen::new());
    let dir = tempfile::Builder::new().prefix("vai-webhooks-demo-").tempdir()?;
    let secret = vai_webhooks_wire::Secret::from_random(rand::random());
    let receiver_at = TcpListener::bind("127.0.0.1:0").await?;
    let receiver_url = format!("http://{}/webhooks/vai", receiver_at.local_addr()?);
    let api_at = TcpListener::bind("127.0.0.1:0").await?;
    let api_url = format!("http://{}", api_at.local_addr()?);
    let (stop, stopped) = watch::channel(false);

    let door = Arc::new(Door::new(Arc::clone(&screen)));
    let receiver =
        tokio::spawn(run_receiver(receiver_at, &dir, secret.clone(), &screen, &door, stopped.clone()));
    let options = EngineOptions {
        egress_allow: vec!["127.0.0.0/8".parse()?],
        ..EngineOptions::new(dir.path().join("engine"))
    };
    let engine = Arc::new(Engine::open(options).await?);
    let (_, key) = patiently(|| engine.create_key(None, "demo", None)).await?;
    let name = "default".parse()?;
    let tenant = patiently(|| engine.tenant(&name)).await?;
    let server = tokio::spawn(serve_api(api_at, Arc::clone(&engine), stopped));

    screen.begin(&api_url, &receiver_url, &key);
    register(&engine, tenant, &receiver_url, &secret).await?;
    door.open();
    // Beside the rest, so that a second signal ends it at once where the disk holds up what is under way.
    let ending = tokio::spawn(until_end(args.duration, signals));
    let ending = async { drop(ending.await) };
    let sent = Conversations::new(Arc::clone(&screen)).run(&engine, tenant, ending).await?;
    let left = wait_for_deliveries(&engine, tenant).await?;
    let stats = engine.stats(tenant).await?;
    screen.end(&sent, &stats, left);
    stop.send_replace(true);
    let _ended = tokio::join!(receiver, server);
    engine.shutdown(Duration::from_secs(5)).await;
    dir.close()?;
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_receiver(
    listener: TcpListener,
    dir: &tempfile::TempDir,
    secret: vai_webhooks_wire::Secret,
    screen: &Arc<Screen>,
    door: &Arc<Door>,
    stopped: watch::Receiver<bool>,
) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
    let data = dir.path().join("receiver");
    let (screen, door) = (Arc::clone(screen), Arc::clone(door));
    async move {
        let observer: vai_webhooks_receiver::Observer = Arc::new(move |seen| screen.received(seen));
        let address = listener.local_addr()?;
        let config =
            ServiceConfig { observer: Some(observer), ..ServiceConfig::new(address, data, vec![secret]) };
        let receiver = service::open(&config).await?;
        let router = door.before(receiver.router());
        service::serve_router(&receiver, router, listener, &config.limits, until(stopped)).await?;
        Ok(())
    }
}

async fn serve_api(listener: TcpListener, engine: Arc<Engine>, stopped: watch::Receiver<bool>) {
    let (threads, service) = (engine.threads(), api::Service::over(engine));
    let answer = move |request| service.clone().answer(request);
    serve_connections(listener, answer, &ServiceLimits::default(), threads, until(stopped)).await;
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the demo is gone: that is an end too.
    let _gone = stopped.wait_for(|stopped| *stopped).await;
}

async fn until_end(duration: Option<Span>, signals: Signals) {
    let timer = async {
        match duration {
            Some(span) => tokio::time::sleep(span.0).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = timer => {}
        _ = signals.first() => {}
    }
}

async fn register(
    engine: &Engine,
    tenant: TenantId,
    url: &str,
    secret: &vai_webhooks_wire::Secret,
) -> anyhow::Result<()> {
    let mut webhook = NewWebhook::new(url, ["*"]);
    webhook.id = Some(WEBHOOK.parse()?);
    webhook.secret = Some(secret.expose().to_owned());
    webhook.config.retry = RetryPolicy::Schedule { schedule: RETRY_WAITS_MS.to_vec() };
    webhook.config.description = Some("The demo's receiver".to_owned());
    patiently(|| engine.register(tenant, webhook.clone(), None)).await?;
    Ok(())
}

/// What a call gives once the engine is not too busy for it, as it is where the disk stalls.
async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    loop {
        match call().await {
            Err(EngineError::Busy) => tokio::time::sleep(Duration::from_millis(100)).await,
            answer => return answer,
        }
    }
}

/// Waits until nothing is pending; gives what still was at the deadline.
async fn wait_for_deliveries(engine: &Engine, tenant: TenantId) -> anyhow::Result<u64> {
    let deadline = Instant::now() + LAST_RETRIES;
    loop {
        let pending = engine.stats(tenant).await?.pending;
        if pending == 0 || Instant::now() >= deadline {
            return Ok(pending);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
