//! What waits and what runs, owner by owner: the pool without its threads.
//!
//! Pure but for a look at the processor time of a run that takes suspiciously long. Read `worker.rs` next.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Class, Job, Owner, QUICK_RUN_MAX, Script, endless, unavailable};
use crate::tenant::TenantId;
use crate::transform::meter::Thread;
use crate::transform::{Input, Run, ScriptError, ScriptErrorKind};

/// After so many doublings it is not longer that a script stays among the slow ones.
const STRIKES_MAX: u32 = 6;
/// So many quick runs in a row, and what was before is forgotten.
const FORGIVEN_AFTER: i32 = 100;
/// A webhook whose script ran into a limit rests so many times as long as that took: the processor is for others.
const REST: u32 = 3;
/// A run that has used so much processor time between two looks, many times its limit, is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(500);
/// Threads that may be lost to runs that do not end.
const LOST_MAX: usize = 32;
/// Runs that may wait, for all webhooks together. Attempts have limits that are lower.
const WAITING_MAX: usize = 65_536;
/// Webhooks whose class is remembered while they have nothing to run.
const REMEMBERED_MAX: usize = 16_384;

/// What waits and runs of one owner.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<Job>,
    running: usize,
    /// Whether it stands in a ring.
    queued: bool,
    /// Quick runs in a row; below zero, so many are missing until it is among the quick ones again.
    quick_runs: i32,
    /// How often it was slow: each time it takes twice as long to come back.
    strikes: u32,
    /// Until when it is not its turn, after a run into a limit.
    rests_until: Duration,
    /// Runs that were given up and have not ended.
    lost: usize,
    /// The version that was given up last.
    given_up: Option<u32>,
}

impl Lane {
    fn class(&self) -> Class {
        if self.quick_runs >= 0 { Class::Quick } else { Class::Slow }
    }

    fn was_quick(&mut self) {
        self.quick_runs = self.quick_runs.saturating_add(1);
        if self.quick_runs >= FORGIVEN_AFTER {
            self.strikes = 0;
        }
    }

    fn was_slow(&mut self) {
        self.quick_runs = -(1 << self.strikes);
        self.strikes = (self.strikes + 1).min(STRIKES_MAX);
    }

    fn is_forgettable(&self) -> bool {
        !self.queued && self.running == 0 && self.lost == 0 && self.given_up.is_none()
    }
}

/// A run under way.
struct Running {
    version: Option<u32>,
    class: Class,
    thread: Thread,
    /// The thread's processor time when the run was looked at last.
    seen: Option<Duration>,
}

/// What waits and what runs.
#[derive(Default)]
pub(super) struct State {
    lanes: HashMap<Owner, Lane>,
    quick: VecDeque<Owner>,
    slow: VecDeque<Owner>,
    waiting: usize,
    /// Runs under way, by number.
    running: HashMap<u64, Running>,
    /// Threads that are lost, by the tenant that they are lost to.
    lost: HashMap<TenantId, usize>,
    started: bool,
    closed: bool,
    next: u64,
}

/// Which classes of threads have something new to do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wake {
    pub(super) quick: bool,
    pub(super) slow: bool,
}

impl Wake {
    fn and(self, other: Self) -> Self {
        Self { quick: self.quick || other.quick, slow: self.slow || other.slow }
    }
}

/// A run that waits now.
pub(super) struct Pushed {
    pub(super) number: u64,
    pub(super) wake: Wake,
}

/// What a thread does next.
pub(super) enum Next {
    /// This run.
    Run(Job),
    /// Nothing, until something comes or this moment has.
    Wait(Option<Duration>),
}

/// What a look at a run came to.
pub(super) enum Look {
    /// It goes on, or has ended.
    Fine,
    /// It was given up: this thread of this class is lost for now.
    GivenUp { class: Class, thread: Thread },
}

impl State {
    /// Whether this is the first call.
    pub(super) fn starts(&mut self) -> bool {
        !std::mem::replace(&mut self.started, true)
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        // Dropping a job's reply tells whoever waits for it.
        self.lanes.clear();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn push(
        &mut self,
        script: Script,
        input: Option<Input>,
        reply: oneshot::Sender<Run>,
    ) -> Result<Pushed, ScriptError> {
        if self.waiting >= WAITING_MAX {
            return Err(unavailable("too many scripts wait for their turn"));
        }
        if self.lanes.len() > REMEMBERED_MAX {
            self.lanes.retain(|_, lane| !lane.is_forgettable());
        }
        let owner = script.owner;
        let tenant_waits = self.lost.contains_key(&owner.tenant());
        let lane = self.lanes.entry(owner).or_default();
        if script.version.is_some() && lane.given_up == script.version {
            return Err(endless());
        }
        if lane.lost > 0 || (tenant_waits && lane.quick_runs <= 0) {
            return Err(unavailable("an earlier run of a script of this tenant has not ended yet"));
        }
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        lane.waiting.push_back(Job { script, input, reply, number });
        Ok(Pushed { number, wake: self.queue(owner) })
    }

    /// Puts an owner into the ring of its class, if it has something to run now.
    fn queue(&mut self, owner: Owner) -> Wake {
        let Some(lane) = self.lanes.get_mut(&owner) else { return Wake::default() };
        let class = lane.class();
        let free = class == Class::Quick || lane.running == 0;
        if lane.queued || lane.waiting.is_empty() || !free {
            return Wake::default();
        }
        lane.queued = true;
        self.ring(class).push_back(owner);
        Wake { quick: class == Class::Quick, slow: class == Class::Slow }
    }

    /// The next run of a class, at `now`.
    pub(super) fn next(&mut self, class: Class, thread: Thread, now: Duration) -> (Next, Wake) {
        let mut wake = Wake::default();
        let mut first = None;
        for _ in 0..self.ring(class).len() {
            let Some(owner) = self.ring(class).pop_front() else { break };
            let Some(lane) = self.lanes.get_mut(&owner) else { continue };
            if lane.class() == class && lane.rests_until > now {
                let until = lane.rests_until;
                first = Some(first.map_or(until, |first| until.min(first)));
                self.ring(class).push_back(owner);
                continue;
            }
            lane.queued = false;
            if lane.class() != class {
                wake = wake.and(self.queue(owner));
                continue;
            }
            let Some(job) = lane.waiting.pop_front() else { continue };
            lane.running += 1;
            self.waiting -= 1;
            self.running
                .insert(job.number, Running { version: job.script.version, class, thread, seen: None });
            return (Next::Run(job), wake.and(self.queue(owner)));
        }
        (Next::Wait(first), wake)
    }

    fn ring(&mut self, class: Class) -> &mut VecDeque<Owner> {
        match class {
            Class::Quick => &mut self.quick,
            Class::Slow => &mut self.slow,
        }
    }

    /// A run ended at `now`. Answers whether its thread goes on.
    pub(super) fn ended(&mut self, job: &Job, run: &Run, now: Duration) -> (bool, Wake) {
        let owner = job.script.owner;
        let goes_on = self.leaves(job);
        if let Some(lane) = self.lanes.get_mut(&owner) {
            let in_limits = !matches!(&run.result, Err(error) if error.kind != ScriptErrorKind::Code);
            if goes_on && run.took <= QUICK_RUN_MAX && in_limits {
                lane.was_quick();
            } else {
                lane.was_slow();
                lane.rests_until = if in_limits { Duration::ZERO } else { now + run.took * REST };
            }
        }
        (goes_on, self.queue(owner))
    }

    /// A run was broken off, to begin again among the slow ones.
    pub(super) fn begin_again(&mut self, job: Job) -> (bool, Wake) {
        let owner = job.script.owner;
        let goes_on = self.leaves(&job);
        if let Some(lane) = self.lanes.get_mut(&owner) {
            lane.was_slow();
            if goes_on {
                lane.waiting.push_front(job);
                self.waiting += 1;
            }
        }
        (goes_on, self.queue(owner))
    }

    /// A run is under way no more. Answers whether its thread goes on: not, where it had been given up.
    fn leaves(&mut self, job: &Job) -> bool {
        let owner = job.script.owner;
        let was_lost = self.running.remove(&job.number).is_none();
        if let Some(lane) = self.lanes.get_mut(&owner) {
            if was_lost {
                lane.lost = lane.lost.saturating_sub(1);
            } else {
                lane.running -= 1;
            }
        }
        if was_lost && let Some(lost) = self.lost.get_mut(&owner.tenant()) {
            *lost -= 1;
            if *lost == 0 {
                self.lost.remove(&owner.tenant());
            }
        }
        !was_lost
    }

    /// Looks at a run that has not ended for long, and gives it up where it computes on and on.
    pub(super) fn look(&mut self, number: u64, owner: Owner) -> Look {
        let Some(running) = self.running.get_mut(&number) else { return Look::Fine };
        let used = running.thread.used().unwrap_or(Duration::MAX);
        let seen = *running.seen.get_or_insert(used);
        let computes = used == Duration::MAX || used.saturating_sub(seen) >= GIVEN_UP_AFTER;
        if !computes || self.lost.values().sum::<usize>() >= LOST_MAX {
            return Look::Fine;
        }
        let (version, class, thread) = (running.version, running.class, running.thread);
        self.running.remove(&number);
        *self.lost.entry(owner.tenant()).or_default() += 1;
        if let Some(lane) = self.lanes.get_mut(&owner) {
            lane.running -= 1;
            lane.lost += 1;
            lane.was_slow();
            lane.given_up = version;
            // What waits behind it is told at once: dropping a job's reply does that.
            let waiting = std::mem::take(&mut lane.waiting);
            self.waiting -= waiting.len();
        }
        Look::GivenUp { class, thread }
    }
}
