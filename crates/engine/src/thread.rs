//! The engine's threads: each drives a shard, and whatever a program has run beside it.
//!
//! A caller that runs on one of them, as the server's API does, shares it with the sending side, so that fewer threads
//! hand work to each other and compete for a processor (`docs/adr/0007-threads.md`). What is answered to such callers is
//! done here, on their own thread: to wake a hundred of them from another one takes a hundred system calls. Invariants:
//! what is given to a [`Home`] is done, there as long as its thread runs, by who gives it otherwise; a thread runs until
//! its shard has ended and its [`EngineThread`] is dropped. Read `dispatch/shard.rs` next.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// How many steps callers may take before it is the shard's turn, and that of the sockets.
const CALLERS_IN_A_ROW: u32 = 16;
/// How often callers have their turn after the end.
const LAST_TURNS: usize = 1_024;

/// Something small that is to be done on a thread.
type Errand = Box<dyn FnOnce() + Send>;

thread_local! {
    /// Of the thread that this is asked on, where it is one of ours.
    static HERE: RefCell<Option<Home>> = const { RefCell::new(None) };
}

/// A thread that runs. It ends when its shard has and this is dropped.
pub(crate) struct EngineThread {
    handle: Handle,
    _until: oneshot::Sender<()>,
}

impl EngineThread {
    /// Starts a thread that drives `shard`, and goes on for those that run beside it when that has ended.
    pub(crate) fn start(shard: BoxFuture<'static, ()>) -> std::io::Result<Self> {
        let (until, dropped) = oneshot::channel();
        let (tell, started) = mpsc::sync_channel(1);
        let run = move || {
            // Made here, since one cannot be dropped where futures run.
            let runtime = match runtime() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _gone = tell.send(Err(error));
                    return;
                }
            };
            let _gone = tell.send(Ok(runtime.handle().clone()));
            drive(&runtime, shard, dropped);
        };
        std::thread::Builder::new().name("vai-engine".to_owned()).spawn(run)?;
        let handle = started.recv().map_err(std::io::Error::other)??;
        Ok(Self { handle, _until: until })
    }

    /// The way to run something on it.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

fn runtime() -> std::io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.event_interval(CALLERS_IN_A_ROW).enable_all().build()
}

/// What a thread does from its start to its end.
fn drive(runtime: &Runtime, shard: BoxFuture<'static, ()>, until: oneshot::Receiver<()>) {
    let home = Home::default();
    HERE.set(Some(home.clone()));
    runtime.spawn({
        let home = home.clone();
        poll_fn(move |context| home.poll(context))
    });
    runtime.block_on(async {
        if AssertUnwindSafe(shard).catch_unwind().await.is_err() {
            tracing::error!("a part of the webhooks is not sent to any more: a fault of the program");
        }
        let _dropped = until.await;
        // Who was answered last hears of it.
        for _ in 0..LAST_TURNS {
            tokio::task::yield_now().await;
        }
    });
    home.close();
}

/// The way back to a thread of the engine.
#[derive(Clone, Default)]
pub(crate) struct Home(Arc<Shared>);

#[derive(Default)]
struct Shared {
    errands: Mutex<Errands>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct Errands {
    waiting: Vec<Errand>,
    closed: bool,
}

impl Home {
    /// That of this thread, where it is one of the engine's.
    pub(crate) fn here() -> Option<Self> {
        HERE.with_borrow(Clone::clone)
    }

    /// Has something done there; here, where that thread has ended.
    pub(crate) fn run(&self, errand: impl FnOnce() + Send + 'static) {
        let mut errands = self.lock();
        if errands.closed {
            drop(errands);
            return errand();
        }
        errands.waiting.push(Box::new(errand));
        let first = errands.waiting.len() == 1;
        drop(errands);
        if first {
            self.0.waker.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        self.0.waker.register(context.waker());
        self.do_all();
        Poll::Pending
    }

    /// Nobody will look here any more: what waits is done now.
    fn close(&self) {
        self.lock().closed = true;
        self.do_all();
    }

    fn do_all(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        for errand in waiting {
            // A fault in one must not lose the others.
            if catch_unwind(AssertUnwindSafe(errand)).is_err() {
                tracing::error!("an answer was lost: a fault of the program");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Errands> {
        self.0.errands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Home {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread_of(end: oneshot::Receiver<()>) -> EngineThread {
        EngineThread::start(end.map(drop).boxed()).unwrap()
    }

    #[tokio::test]
    async fn an_errand_is_done_on_the_thread_that_asked_for_it() {
        let (_end, on_end) = oneshot::channel();
        let thread = thread_of(on_end);
        let asked = thread.handle().spawn(async { (Home::here().unwrap(), std::thread::current().id()) });
        let (home, id) = asked.await.unwrap();
        let (tell, told) = oneshot::channel();
        home.run(move || tell.send(std::thread::current().id()).unwrap());
        assert_eq!(told.await.unwrap(), id);
        assert!(Home::here().is_none(), "this is no thread of the engine");
    }

    #[tokio::test]
    async fn a_thread_goes_on_after_its_shard_for_those_beside_it() {
        let (end, on_end) = oneshot::channel();
        let thread = thread_of(on_end);
        end.send(()).unwrap();
        assert_eq!(thread.handle().spawn(async { 5 }).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn who_is_answered_last_hears_of_it() {
        let (end, on_end) = oneshot::channel();
        let thread = thread_of(on_end);
        end.send(()).unwrap();
        let (say, home) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let caller = thread.handle().spawn(async move {
            say.send(Home::here().unwrap()).ok().unwrap();
            answered.await.unwrap()
        });
        home.await.unwrap().run(move || answer.send(5).unwrap());
        drop(thread);
        assert_eq!(caller.await.unwrap(), 5);
    }

    #[tokio::test]
    async fn a_fault_in_one_errand_or_in_the_shard_takes_nothing_else_along() {
        fn fault() {
            panic!("as a test wants it")
        }
        let thread = EngineThread::start(async move { fault() }.boxed()).unwrap();
        let home = thread.handle().spawn(async { Home::here().unwrap() }).await.unwrap();
        home.run(fault);
        let (tell, told) = oneshot::channel();
        home.run(move || tell.send(()).unwrap());
        told.await.unwrap();
    }

    #[tokio::test]
    async fn an_errand_is_not_lost_where_its_thread_has_ended() {
        let (end, on_end) = oneshot::channel();
        let thread = thread_of(on_end);
        let home = thread.handle().spawn(async { Home::here().unwrap() }).await.unwrap();
        end.send(()).unwrap();
        drop(thread);
        let (tell, told) = oneshot::channel();
        // Whether the thread has ended by now or not.
        home.run(move || tell.send(()).unwrap());
        told.await.unwrap();
    }
}
