//! One connection, from its first request to its last.
//!
//! It begins with plain requests (`plain.rs`), on a thread of the caller's where there is one, and is hyper's from the first
//! other one on, where the service itself runs: what may take long is never on those threads. Invariants: it ends when it was
//! idle for too long, and after its request in progress when the service stops; whoever drops it ends it on every thread.
//! Read `activity.rs` next.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use bytes::BytesMut;
use futures_util::stream::FuturesUnordered;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;

use super::activity::Activity;
use super::balance::{Balance, Place};
use super::begun::Begun;
use super::body::Body;
use super::plain::{End, Plain};

/// How long a connection may be idle while the service is at its limit of connections.
const CROWDED_IDLE_MS: u64 = 1_000;
/// How long an idle connection gets to say goodbye before it is dropped.
const GOODBYE_MS: u64 = 1_000;
/// The longest head of an HTTP/1.1 request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest head of an HTTP/2 request, in bytes.
const H2_HEAD_BYTES_MAX: u32 = 64 * 1024;
/// Requests that one HTTP/2 connection may have in progress.
const H2_STREAMS_MAX: u32 = 256;

/// A request as it comes from a connection.
pub(super) type Request = hyper::Request<Body>;

/// What all connections are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Changed each time the service finds itself without room.
    pub(super) crowded: u64,
    pub(super) stopping: bool,
}

/// What a connection knows, wherever it runs.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) server: Arc<auto::Builder<TokioExecutor>>,
    pub(super) idle: Duration,
    pub(super) rest_wait: Duration,
    pub(super) heard: watch::Receiver<Word>,
    pub(super) activity: Activity,
}

impl Connection {
    /// The connection, from its first request to its last.
    pub(super) async fn run<F, A>(
        self,
        stream: TcpStream,
        _room: OwnedSemaphorePermit,
        balance: Arc<Balance>,
        answer: F,
    ) where
        F: Fn(Request) -> A + Clone + Send + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        // Answers are small and are waited for. Where this fails the connection is gone anyway.
        stream.set_nodelay(true).ok();
        let begun = match balance.place() {
            None => match self.clone().plain(stream, answer.clone(), None).await {
                Some((stream, End::Other(read))) => Some((stream, read)),
                _ => None,
            },
            Some(place) => self.plain_on(place, &balance, stream, answer.clone()).await,
        };
        if let Some((stream, read)) = begun {
            self.hyper(stream, read, answer).await;
        }
    }

    /// Its plain requests, on one thread after the other; it comes back with the first other one.
    async fn plain_on<F, A>(
        &self,
        first: Place,
        balance: &Arc<Balance>,
        mut stream: TcpStream,
        answer: F,
    ) -> Option<(TcpStream, BytesMut)>
    where
        F: Fn(Request) -> A + Clone + Send + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let mut place = Some(first);
        while let Some(here) = place {
            let (this, answer, moved) = (self.clone(), answer.clone(), stream.into_std().ok()?);
            let thread = here.thread().clone();
            let plain = async move {
                let (stream, end) = this.plain(TcpStream::from_std(moved).ok()?, answer, Some(&here)).await?;
                Some((stream.into_std().ok()?, end))
            };
            // Ends with this, wherever it is.
            let mut there = JoinSet::new();
            there.spawn_on(plain, &thread);
            let (back, end) = there.join_next().await?.ok()??;
            stream = TcpStream::from_std(back).ok()?;
            match end {
                End::Other(read) => return Some((stream, read)),
                End::Elsewhere => place = balance.place(),
            }
        }
        None
    }

    /// Its plain requests; gives how they ended, or nothing where the connection is over.
    async fn plain<F, A>(
        mut self,
        mut stream: TcpStream,
        answer: F,
        place: Option<&Place>,
    ) -> Option<(TcpStream, End)>
    where
        F: Fn(Request) -> A,
        A: Future<Output = Response>,
    {
        let (activity, rest_wait) = (self.activity.clone(), self.rest_wait);
        // Asked only when it was woken itself, and not at every step of a request.
        let mut leave = FuturesUnordered::from_iter([self.until_leave()]);
        let plain = Plain {
            stream: &mut stream,
            activity: &activity,
            rest_wait,
            place,
            leave: &mut leave,
            stopping: false,
        };
        let end = plain.serve(answer).await?;
        Some((stream, end))
    }

    /// All that comes after what was read.
    async fn hyper<F, A>(mut self, stream: TcpStream, read: BytesMut, answer: F)
    where
        F: Fn(Request) -> A + Clone + Send + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let server = Arc::clone(&self.server);
        let requests = self.activity.clone();
        let mut leave = std::pin::pin!(self.until_leave());
        let service = service_fn(move |request: hyper::Request<_>| {
            let in_progress = requests.begin();
            let answer = answer(request.map(Body::Coming));
            async move {
                let answer = answer.await;
                drop(in_progress);
                Ok::<_, Infallible>(answer)
            }
        });
        let (coming, going) = stream.into_split();
        let stream = tokio::io::join(Begun { read: read.freeze(), rest: coming }, going);
        let mut served = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            biased;
            // A client that breaks off is its own business.
            _ = served.as_mut() => return,
            leave = leave.as_mut() => {
                served.as_mut().graceful_shutdown();
                if let Leave::Idle = leave {
                    tokio::time::timeout(Duration::from_millis(GOODBYE_MS), served).await.ok();
                    return;
                }
            }
        }
        served.await.ok();
    }

    /// Waits for a reason to close: a shutdown, or too long without a request.
    async fn until_leave(&mut self) -> Leave {
        let mut crowded = self.heard.borrow().crowded;
        let mut idle_max = self.idle;
        loop {
            if self.heard.borrow_and_update().stopping {
                return Leave::Stopping;
            }
            let idle_for = self.activity.idle_for().unwrap_or_default();
            if idle_for >= idle_max {
                return Leave::Idle;
            }
            tokio::select! {
                () = tokio::time::sleep(idle_max - idle_for) => {
                    // It was busy meanwhile: a crowd that was there before concerns it no more.
                    if self.activity.idle_for().unwrap_or_default() < idle_max {
                        idle_max = self.idle;
                    }
                }
                changed = self.heard.changed() => {
                    let now = self.heard.borrow().crowded;
                    if changed.is_err() {
                        return Leave::Stopping;
                    } else if now != crowded {
                        idle_max = self.idle.min(Duration::from_millis(CROWDED_IDLE_MS));
                        crowded = now;
                    }
                }
            }
        }
    }
}

/// Why a connection is closed by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    Idle,
    Stopping,
}

/// What speaks HTTP where requests are not plain.
pub(super) fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        // A head that is slow is of no request in progress: its connection is idle.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(H2_HEAD_BYTES_MAX)
        .max_concurrent_streams(H2_STREAMS_MAX);
    server
}
