//! A real server for the commands: the engine, its API and an endpoint, on ports that the system picks.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use clap::Parser;
use tempfile::TempDir;
use tokio::net::TcpListener;
use vai_webhooks_engine::{Engine, EngineOptions, Redacted};

use super::arguments::{Command, Line};
use crate::client::{self, Call, Screen};

const ADMIN_KEY: &str = "an-admin-key-for-these-tests";

/// A server and an endpoint; both end with the test's runtime.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) endpoint: String,
    answer: Arc<AtomicU16>,
    _data: TempDir,
}

/// What came of a command.
pub(super) struct Ran {
    pub(super) result: anyhow::Result<ExitCode>,
    pub(super) out: String,
}

impl Server {
    pub(super) async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let options = EngineOptions {
            egress_allow: vec!["127.0.0.0/8".parse().unwrap()],
            admin_key: Some(Redacted(ADMIN_KEY.to_owned())),
            ..EngineOptions::new(data.path())
        };
        let engine = Arc::new(Engine::open(options).await.unwrap());
        let url = serve(crate::api::Service::over(engine).router()).await;

        let answer = Arc::new(AtomicU16::new(200));
        let status = Arc::clone(&answer);
        let handler = move || {
            let status = StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap();
            async move { (status, "said the\u{1b}[2J endpoint") }
        };
        let endpoint = serve(Router::new().route("/hook", post(handler))).await + "/hook";
        Self { url, endpoint, answer, _data: data }
    }

    /// What the endpoint answers from now on.
    pub(super) fn answer(&self, status: u16) {
        self.answer.store(status, Ordering::SeqCst);
    }

    /// Runs a command with the admin key; again where the engine is busy, as it may be where the disk stalls.
    pub(super) async fn run(&self, args: &[&str]) -> Ran {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        loop {
            pace.tick().await;
            let ran = run(&[args, &["--url", &self.url, "--key", ADMIN_KEY]].concat()).await;
            match &ran.result {
                Err(error) if format!("{error:#}").contains("the engine is busy") => {}
                _ => return ran,
            }
        }
    }

    /// Runs a command that must succeed; its output.
    pub(super) async fn good(&self, args: &[&str]) -> String {
        let Ran { result, out } = self.run(args).await;
        assert_eq!(result.unwrap(), ExitCode::SUCCESS, "{args:?}: {out}");
        out
    }

    /// The same with `--json`, read.
    pub(super) async fn json(&self, args: &[&str]) -> serde_json::Value {
        let out = self.good(&[args, &["--json"]].concat()).await;
        serde_json::from_str(&out).unwrap()
    }

    /// Runs a command that must be refused; what it says.
    pub(super) async fn refused(&self, args: &[&str]) -> String {
        format!("{:#}", self.run(args).await.result.unwrap_err())
    }
}

/// Runs a command line.
pub(super) async fn run(args: &[&str]) -> Ran {
    let line = Line::parse_from(std::iter::once("vai-webhooks").chain(args.iter().copied()));
    let mut out = Vec::new();
    let mut screen = Screen::new(&mut out, false);
    let result = match line.command {
        Command::Webhook(Call { connection, command }) => {
            client::webhook(connection, command, &mut screen).await
        }
        Command::Event(Call { connection, command }) => client::event(connection, command, &mut screen).await,
        Command::EventTypes(Call { connection, command }) => {
            client::event_types(connection, command, &mut screen).await
        }
        Command::Transform(Call { connection, command }) => {
            client::transform(connection, command, &mut screen).await
        }
        Command::Key(Call { connection, command }) => client::key(connection, command, &mut screen).await,
        Command::Verify(args) => client::verify::run(&args, &mut screen),
    };
    Ran { result, out: String::from_utf8(out).unwrap() }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
