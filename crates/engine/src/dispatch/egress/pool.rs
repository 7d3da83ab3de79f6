//! Connections that are kept: which there are, who may use them, and when they are given up.
//!
//! Invariants: an HTTP/1.1 connection is used by one request at a time, and by the runtime that made it, whose reactor
//! knows its socket; an HTTP/2 connection is shared; nothing is kept for longer than the idle time. Read `http1.rs`
//! next.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::Authority;
use hyper::rt::Executor as _;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, sleep};

use super::http1::Http1;
use super::http2::Http2;

/// Where a connection leads, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    https: bool,
    authority: Authority,
    runtime: Id,
}

impl Origin {
    /// The authority as it is spelled, in one piece: its own hash and comparison go letter by letter, for the sake of
    /// spellings that a registered URL no longer has.
    fn parts(&self) -> (bool, &str, Id) {
        (self.https, self.authority.as_str(), self.runtime)
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.parts().hash(hasher);
    }
}

impl Origin {
    /// For the runtime that this is called in.
    pub(super) fn new(https: bool, authority: Authority) -> Self {
        Self { https, authority, runtime: Handle::current().id() }
    }
}

/// A connection that can take a request.
pub(super) enum Conn {
    One(Http1),
    Two(Http2),
}

/// Connections that are not in use, and those that can be shared.
pub(super) struct Pool {
    state: Mutex<State>,
    idle_timeout: Duration,
    idle_per_host_max: usize,
}

#[derive(Default)]
struct State {
    /// By a hash that is asked twice for each attempt.
    kept: HashMap<Origin, Kept, foldhash::quality::RandomState>,
    /// Runtimes in which a sweep is under way: a few.
    swept: Vec<Id>,
}

#[derive(Default)]
struct Kept {
    /// Since when each has been idle; the one that was used last is last.
    one: Vec<(Instant, Http1)>,
    /// With when it was used last.
    two: Option<(Instant, Http2)>,
}

impl Pool {
    pub(super) fn new(idle_timeout: Duration, idle_per_host_max: usize) -> Self {
        Self { state: Mutex::default(), idle_timeout, idle_per_host_max }
    }

    /// A connection that was kept. It may have been closed by its other side meanwhile.
    pub(super) fn take(&self, origin: &Origin) -> Option<Conn> {
        let mut state = self.lock();
        let kept = state.kept.get_mut(origin)?;
        if let Some((used, two)) = &mut kept.two {
            if !two.is_closed() {
                *used = Instant::now();
                return Some(Conn::Two(two.clone()));
            }
            kept.two = None;
        }
        let (since, one) = kept.one.pop()?;
        (since.elapsed() < self.idle_timeout).then_some(Conn::One(one))
    }

    /// Keeps a connection that is not in use any more.
    pub(super) fn keep(self: &Arc<Self>, origin: Origin, one: Http1) {
        let runtime = origin.runtime;
        let mut state = self.lock();
        let kept = &mut state.kept.entry(origin).or_default().one;
        if kept.len() < self.idle_per_host_max {
            kept.push((Instant::now(), one));
        }
        self.sweep_in(&mut state, runtime);
    }

    /// Shares a connection. Where another one came first, that one is shared: answers with the one to use.
    pub(super) fn share(self: &Arc<Self>, origin: Origin, two: Http2) -> Http2 {
        let runtime = origin.runtime;
        let mut state = self.lock();
        let kept = &mut state.kept.entry(origin).or_default().two;
        let shared = match kept.take() {
            Some((_, first)) if !first.is_closed() => first,
            _ => two,
        };
        *kept = Some((Instant::now(), shared.clone()));
        self.sweep_in(&mut state, runtime);
        shared
    }

    /// Shares it no more.
    pub(super) fn leave(&self, origin: &Origin, two: &Http2) {
        let mut state = self.lock();
        let Some(kept) = state.kept.get_mut(origin) else { return };
        if kept.two.as_ref().is_some_and(|(_, shared)| shared.is_same(two)) {
            kept.two = None;
        }
    }

    /// Lets a task of the runtime give up what is idle for too long, as long as there is anything.
    #[expect(clippy::disallowed_methods, reason = "sockets live in real time, whatever clock the engine has")]
    fn sweep_in(self: &Arc<Self>, state: &mut State, runtime: Id) {
        if !state.swept.contains(&runtime) {
            state.swept.push(runtime);
            let pool = Arc::clone(self);
            TokioExecutor::new().execute(async move {
                while let Some(next) = pool.sweep(runtime) {
                    sleep(next).await;
                }
            });
        }
    }

    /// Gives up what is idle for too long; says when to look again, `None` where nothing is kept.
    fn sweep(&self, runtime: Id) -> Option<Duration> {
        let now = Instant::now();
        let mut next: Option<Duration> = None;
        let mut still = |since: Instant| {
            let left = self.idle_timeout.saturating_sub(now - since);
            if !left.is_zero() {
                next = Some(next.map_or(left, |next| next.min(left)));
            }
            !left.is_zero()
        };
        let mut state = self.lock();
        state.kept.retain(|origin, kept| {
            if origin.runtime == runtime {
                kept.one.retain(|(since, _)| still(*since));
                kept.two.take_if(|(used, two)| two.is_closed() || !still(*used));
            }
            !kept.one.is_empty() || kept.two.is_some()
        });
        if next.is_none() {
            state.swept.retain(|swept| *swept != runtime);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
