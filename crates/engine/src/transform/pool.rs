//! The threads that run scripts, and whose turn it is.
//!
//! It exists so that no script runs on a thread that serves requests or sends, and so that a script that
//! computes for long holds up nobody but its own webhook. There are two classes of threads. Every script begins
//! among the quick ones, where a run is broken off after a moment and begun again on the thread for slow ones,
//! which stands back behind everything else on the machine; from there a script comes back once it was quick
//! often enough. Within a class webhooks take turns. Invariants: a webhook's slow runs are one at a time; a run
//! that does not end is given up and its thread replaced; that version is not run again, and what its tenant has
//! that is not known to be quick waits until the thread is free. Threads start with the first script.
//! Read `lanes.rs` and `worker.rs` next.

mod lanes;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use self::lanes::{Look, Next, Pushed, State, Wake};
use super::meter::{self, Thread};
use super::sandbox::Allowance;
use super::{Input, Run, ScriptError, ScriptErrorKind, worker};
use crate::clock::Clock;
use crate::key::WebhookNo;
use crate::tenant::TenantId;

/// A run of at most so much is quick; on a thread for quick ones no run takes more.
const QUICK_RUN_MAX: Duration = Duration::from_millis(5);
/// How often a run is looked at that has not ended, in milliseconds.
const LOOK_EVERY_MS: i64 = 5_000;

/// Whose script it is, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A webhook's.
    Webhook(TenantId, WebhookNo),
    /// Somebody tries one out.
    Trial(TenantId),
}

impl Owner {
    fn tenant(self) -> TenantId {
        match self {
            Self::Webhook(tenant, _) | Self::Trial(tenant) => tenant,
        }
    }
}

/// A script as the pool knows it: equal names mean equal code.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) owner: Owner,
    /// The version of the owner's script; `None` is never kept for a next run.
    pub(crate) version: Option<u32>,
    pub(crate) code: Arc<str>,
}

/// One run that waits.
pub(super) struct Job {
    pub(super) script: Script,
    /// Without one, the script is only loaded.
    pub(super) input: Option<Input>,
    reply: oneshot::Sender<Run>,
    number: u64,
}

/// The two classes of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Quick,
    Slow,
}

impl Class {
    /// What a run may use on a thread of this class.
    pub(super) fn allows(self) -> Allowance {
        match self {
            Self::Quick => Allowance { time: QUICK_RUN_MAX, ..Allowance::FULL },
            Self::Slow => Allowance { gives_way: true, ..Allowance::FULL },
        }
    }
}

/// The threads and what waits for them.
pub(super) struct Shared {
    state: Mutex<State>,
    quick: Condvar,
    slow: Condvar,
    clock: Arc<dyn Clock>,
    threads: usize,
}

/// The pool. Its threads end when it is dropped.
pub(crate) struct Pool(Arc<Shared>);

impl Pool {
    /// A pool with so many threads for quick scripts.
    pub(crate) fn new(clock: Arc<dyn Clock>, threads: usize) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            quick: Condvar::new(),
            slow: Condvar::new(),
            clock,
            threads: threads.max(1),
        };
        Self(Arc::new(shared))
    }

    /// Runs a script over an event, when it is its turn.
    pub(crate) async fn run(&self, script: Script, input: Input) -> Run {
        self.ask(script, Some(input)).await
    }

    /// Compiles a script and runs its outermost level, to say what is wrong with it.
    pub(crate) async fn check(&self, owner: Owner, code: &str) -> Result<(), ScriptError> {
        let script = Script { owner, version: None, code: code.into() };
        self.ask(script, None).await.result.map(drop)
    }

    async fn ask(&self, script: Script, input: Option<Input>) -> Run {
        let owner = script.owner;
        let (number, mut answer) = match self.0.push(script, input) {
            Ok(pushed) => pushed,
            Err(error) => return failed(error),
        };
        loop {
            let look_again = self.0.clock.now().saturating_add(LOOK_EVERY_MS);
            match select(&mut answer, self.0.clock.sleep_until(look_again)).await {
                Either::Left((Ok(run), _)) => return run,
                Either::Left((Err(_), _)) => return failed(unavailable("it was not run to its end")),
                Either::Right(_) if self.0.give_up(number, owner) => return failed(endless()),
                Either::Right(_) => {}
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.lock().close();
        self.0.quick.notify_all();
        self.0.slow.notify_all();
    }
}

fn unavailable(message: &str) -> ScriptError {
    ScriptError::new(ScriptErrorKind::Unavailable, message)
}

fn endless() -> ScriptError {
    let message =
        "the script was given up, far beyond its time limit, within steps that cannot be broken off";
    ScriptError::new(ScriptErrorKind::Limit, message)
}

fn failed(error: ScriptError) -> Run {
    Run { result: Err(error), console: Vec::new(), took: Duration::ZERO }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, wake: Wake) {
        if wake.quick {
            self.quick.notify_one();
        }
        if wake.slow {
            self.slow.notify_one();
        }
    }

    fn push(
        self: &Arc<Self>,
        script: Script,
        input: Option<Input>,
    ) -> Result<(u64, oneshot::Receiver<Run>), ScriptError> {
        let mut state = self.lock();
        if state.starts() {
            let classes = std::iter::repeat_n(Class::Quick, self.threads).chain([Class::Slow]);
            for class in classes {
                worker::start(self, class)
                    .map_err(|_| unavailable("no thread could be started to run the script"))?;
            }
        }
        let (reply, answer) = oneshot::channel();
        let Pushed { number, wake } = state.push(script, input, reply)?;
        drop(state);
        self.wake(wake);
        Ok((number, answer))
    }

    /// The next run for a thread of this class; `None` when the pool is closed. Waits for it.
    pub(super) fn next(&self, class: Class, thread: Thread) -> Option<Job> {
        let mut state = self.lock();
        while !state.is_closed() {
            let now = self.clock.elapsed();
            let (next, wake) = state.next(class, thread, now);
            self.wake(wake);
            let own = match class {
                Class::Quick => &self.quick,
                Class::Slow => &self.slow,
            };
            state = match next {
                Next::Run(job) => return Some(job),
                Next::Wait(None) => own.wait(state).unwrap_or_else(PoisonError::into_inner),
                Next::Wait(Some(until)) => {
                    let waited = own.wait_timeout(state, until.saturating_sub(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        None
    }

    /// A run ended. Answers whether its thread goes on: not, where it had been given up and replaced.
    pub(super) fn ended(&self, job: Job, run: Run) -> bool {
        let (goes_on, wake) = self.lock().ended(&job, &run, self.clock.elapsed());
        self.wake(wake);
        // Whoever asked may have given up.
        let _gone = job.reply.send(run);
        goes_on
    }

    /// A run was broken off on a thread for quick ones: it begins again on the other. Answers as `ended` does.
    pub(super) fn begin_again(&self, job: Job) -> bool {
        let (goes_on, wake) = self.lock().begin_again(job);
        self.wake(wake);
        goes_on
    }

    /// Gives up a run that goes on far beyond its time, and lets another thread take the place of its own. Answers
    /// whether it did.
    fn give_up(self: &Arc<Self>, number: u64, owner: Owner) -> bool {
        let Look::GivenUp { class, thread } = self.lock().look(number, owner) else { return false };
        thread.step_back(meter::LAST);
        if let Err(error) = worker::start(self, class) {
            tracing::error!(%error, "no thread could be started in place of one that a script holds");
        }
        tracing::warn!(?owner, "a script does not end: it was given up");
        true
    }
}

#[cfg(test)]
mod tests;
