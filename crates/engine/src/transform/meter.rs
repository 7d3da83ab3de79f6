//! How much processor time a thread has used.
//!
//! It exists because a script's limit is on what it computes: on a busy machine a thread waits for its
//! turn, and that is nobody's script's fault. Read `sandbox.rs` next.

use std::time::Duration;

/// The processor time that this thread has used so far.
#[cfg(unix)]
pub(super) fn used() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or_default())
}

/// Elsewhere, the time that has passed: what the thread waited counts too.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "a limit on computing, which no simulation can hold")]
pub(super) fn used() -> Duration {
    static STARTED: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    STARTED.get_or_init(std::time::Instant::now).elapsed()
}

/// How much further back in the queue for a processor a thread of the slow class stands.
pub(super) const BEHIND: i32 = 10;
/// And one that is lost to a run that does not end: as far back as there is.
pub(super) const LAST: i32 = 19;

/// A thread, as others name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thread(#[cfg(target_os = "linux")] rustix::thread::Pid);

impl Thread {
    /// This one.
    pub(super) fn this() -> Self {
        Self(
            #[cfg(target_os = "linux")]
            rustix::thread::gettid(),
        )
    }

    /// Lets it run after all others. Best effort: only fairness hangs on it. Elsewhere than on Linux a thread cannot
    /// be told apart from its process.
    pub(super) fn step_back(self, how_far: i32) {
        // On Linux the call means one thread, where it is given a thread's id.
        #[cfg(target_os = "linux")]
        let _best_effort = rustix::process::setpriority_process(Some(self.0), how_far);
        #[cfg(not(target_os = "linux"))]
        let _unused = how_far;
    }

    /// The processor time that it has used so far, where that can be known from outside.
    pub(super) fn used(self) -> Option<Duration> {
        #[cfg(target_os = "linux")]
        {
            let stat = format!("/proc/self/task/{}/schedstat", self.0.as_raw_nonzero());
            let text = std::fs::read_to_string(stat).ok()?;
            text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
        }
        #[cfg(not(target_os = "linux"))]
        None
    }
}
