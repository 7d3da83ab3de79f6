//! One thread that runs scripts.
//!
//! It keeps the sandboxes of the scripts that it ran last, since loading one costs far more than a run.
//! Read `sandbox.rs` next.

use std::sync::Arc;
use std::time::Duration;

use super::meter::{self, Thread};
use super::pool::{Class, Job, Owner, Shared};
use super::sandbox::{Allowance, Sandbox};
use super::{CPU_TIME_MAX, Made, Run, ScriptErrorKind};

/// Sandboxes that a thread keeps: about half a megabyte each.
const KEPT_MAX: usize = 64;
/// The thread's own stack, in bytes: a script's, and room for the engine below and above it.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// Starts a thread of a class.
pub(super) fn start(shared: &Arc<Shared>, class: Class) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    let run = move || {
        let thread = Thread::this();
        if class == Class::Slow {
            thread.step_back(meter::BEHIND);
        }
        work(&shared, class, thread);
    };
    std::thread::Builder::new().name("vai-script".to_owned()).stack_size(STACK_BYTES).spawn(run).map(drop)
}

/// A sandbox of one version of an owner's script.
struct Kept {
    owner: Owner,
    version: u32,
    sandbox: Sandbox,
}

fn work(shared: &Arc<Shared>, class: Class, thread: Thread) {
    // The one that was used last stands at the end.
    let mut kept: Vec<Kept> = Vec::new();
    while let Some(job) = shared.next(class, thread) {
        let run = one(&mut kept, &job, class.allows());
        let goes_on = match &run.result {
            Err(error) if class == Class::Quick && error.kind == ScriptErrorKind::Limit => {
                shared.begin_again(job)
            }
            _ => shared.ended(job, run),
        };
        if !goes_on {
            return;
        }
    }
}

fn one(kept: &mut Vec<Kept>, job: &Job, allowed: Allowance) -> Run {
    let (owner, version) = (job.script.owner, job.script.version);
    let at = kept.iter().rposition(|it| it.owner == owner && Some(it.version) == version);
    let sandbox = match at.map(|at| kept.remove(at)) {
        Some(kept) => Ok(kept.sandbox),
        // Loading is no run, and does not happen again.
        None => Sandbox::load(&job.script.code, Allowance { time: CPU_TIME_MAX, ..allowed }),
    };
    let without = |result| Run { result, console: Vec::new(), took: Duration::ZERO };
    let (run, again) = match (sandbox, &job.input) {
        (Ok(sandbox), Some(input)) => sandbox.run(input, allowed),
        (Ok(_), None) => (without(Ok(Made::Dropped(None))), None),
        (Err(error), _) => (without(Err(error)), None),
    };
    if let (Some(sandbox), Some(version)) = (again, version) {
        if kept.len() == KEPT_MAX {
            kept.remove(0);
        }
        kept.push(Kept { owner, version, sandbox });
    }
    run
}
