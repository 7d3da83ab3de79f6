//! Accepts connections and serves requests on them, so that no client can take the service from others.
//!
//! It exists in place of `axum::serve`, which bounds neither connections nor idle time. Invariants: at
//! most `connections_max` connections; at that number, all that were idle for `CROWDED_IDLE_MS` are
//! closed to make room; an idle connection is closed after `connection_idle_ms` in any case. At a
//! shutdown each connection ends after its request in progress, and at the deadline all do. Read `connection.rs` next.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::ServiceLimits;
use super::activity::Activity;
use super::balance::Balance;
use super::connection::{Connection, Request, Word, server};

/// How long accepting rests after it failed, as it does where the process has no more file handles.
const ACCEPT_REST_MS: u64 = 100;
/// How long the service waits for room before it asks idle connections again to leave.
const ROOM_WAIT_MS: u64 = 500;
/// How long the rest of a plain request's body is waited for, before its connection is hyper's.
const REST_WAIT_MS: u64 = 1_000;

/// Answers requests until `stop` completes and the connections have ended, or the deadline has passed.
pub(super) async fn serve<F, A>(
    listener: TcpListener,
    answer: F,
    limits: &ServiceLimits,
    threads: Vec<Handle>,
    stop: impl Future<Output = ()>,
) where
    F: Fn(Request) -> A + Clone + Send + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let (word, _) = watch::channel(Word::default());
    let server = Arc::new(server());
    let mut open = JoinSet::new();
    {
        let mut stop = std::pin::pin!(stop);
        let room = Arc::new(Semaphore::new(limits.connections_max));
        let idle = Duration::from_millis(limits.connection_idle_ms);
        let rest_wait = Duration::from_millis(limits.body_timeout_ms.min(REST_WAIT_MS));
        let balance = Balance::over(threads);
        let mut balanced = std::pin::pin!(balance.keep());
        loop {
            let (stream, room) = tokio::select! {
                () = &mut stop => break,
                next = next(&listener, &room, &word) => next,
                never = &mut balanced => match never {},
            };
            while open.try_join_next().is_some() {}
            let heard = word.subscribe();
            let activity = Activity::new();
            let connection = Connection { server: server.clone(), idle, rest_wait, heard, activity };
            open.spawn(connection.run(stream, room, balance.clone(), answer.clone()));
        }
    }
    drop(listener);
    word.send_modify(|word| word.stopping = true);
    let ended = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_millis(limits.shutdown_ms), ended).await.is_err() {
        tracing::warn!(connections = open.len(), "closing connections that did not end within the deadline");
    }
    open.shutdown().await;
}

/// The next connection, when there is room for it.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    word: &watch::Sender<Word>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let ask_for_room = || word.send_modify(|word| word.crowded += 1);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                ask_for_room();
                tokio::time::sleep(Duration::from_millis(ACCEPT_REST_MS)).await;
                continue;
            }
        };
        loop {
            if let Ok(place) = room.clone().try_acquire_owned() {
                return (stream, place);
            }
            ask_for_room();
            let place = room.clone().acquire_owned();
            if let Ok(Ok(place)) = tokio::time::timeout(Duration::from_millis(ROOM_WAIT_MS), place).await {
                return (stream, place);
            }
        }
    }
}
