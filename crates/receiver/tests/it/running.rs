//! A service on a port of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vai_webhooks_receiver::service::{ServiceConfig, ServiceError, parse_secrets, serve};

use crate::request::{SECRETS, key};

/// Waits in tests end with a failure after this: long enough for a disk that stalls and cores that others use.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A service that runs until [`Running::stop`].
pub struct Running {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServiceError>>,
}

impl Running {
    /// Starts one with the secrets of the tests.
    pub async fn start(directory: &Path) -> Self {
        Self::start_with(directory, |_| {}).await
    }

    /// As [`start`](Self::start), with changes to its configuration.
    pub async fn start_with(directory: &Path, change: impl FnOnce(&mut ServiceConfig)) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mut config =
            ServiceConfig::new(address, directory, parse_secrets(SECRETS).expect("good secrets"));
        config.key = Some(key());
        change(&mut config);
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            stopped.await.ok();
        };
        let task = tokio::spawn(serve(config, listener, shutdown));
        Self { address, stop: Some(stop), task }
    }

    /// Tells it to stop.
    pub fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
    }

    /// Stops it and returns what `serve` returned.
    pub async fn stop(mut self) -> Result<(), ServiceError> {
        self.begin_stop();
        self.ended().await
    }

    /// Waits until `serve` returns by itself.
    pub async fn ended(self) -> Result<(), ServiceError> {
        let Self { stop, task, .. } = self;
        let result = task.await.expect("serve does not panic");
        drop(stop);
        result
    }
}

/// An independent look into the store's file: the ids it holds, in order.
pub fn stored_ids(directory: &Path) -> Vec<String> {
    let file = rusqlite::Connection::open(directory.join("receiver.db")).expect("the store's file");
    let mut query = file.prepare("SELECT id FROM events ORDER BY seq").expect("the table");
    let ids = query.query_map([], |row| row.get(0)).expect("a query");
    ids.collect::<Result<_, _>>().expect("rows")
}

/// Serves a router as an embedding program may: with axum's own server.
pub async fn serve_plain(router: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
