//! How much room the disk has left, looked at twice a second at most.
//!
//! It exists so that new events are refused while there is still room to record what becomes of those that were accepted:
//! a full disk fails a commit, and a failed commit ends the process. Read `queue.rs` next.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::store::StoreError;

/// How long what was seen is believed, in milliseconds.
const BELIEVED_MS: i64 = 500;
const MIB: u64 = 1024 * 1024;

/// The disk that the store is on.
pub(super) struct Disk {
    dir: PathBuf,
    reserve_bytes: u64,
    free_bytes: AtomicU64,
    /// When to look again, in milliseconds of the clock's elapsed time.
    look_at_ms: AtomicI64,
}

impl Disk {
    /// The disk of `dir`, of which so much is kept; 0: nothing.
    pub(super) fn of(dir: &Path, reserve_bytes: u64) -> Self {
        let free_bytes = AtomicU64::new(u64::MAX);
        Self { dir: dir.to_owned(), reserve_bytes, free_bytes, look_at_ms: AtomicI64::new(0) }
    }

    /// Whether there is room for new events, at `now` of the clock's elapsed time.
    pub(super) fn check(&self, now: Duration) -> Result<(), StoreError> {
        self.check_with(now, || free_bytes(&self.dir))
    }

    fn check_with(&self, now: Duration, look: impl Fn() -> u64) -> Result<(), StoreError> {
        if self.reserve_bytes == 0 {
            return Ok(());
        }
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let look_at_ms = self.look_at_ms.load(Ordering::Relaxed);
        let next_ms = now_ms.saturating_add(BELIEVED_MS);
        let due = now_ms >= look_at_ms;
        // One caller looks; the others believe what was seen last.
        if due
            && self
                .look_at_ms
                .compare_exchange(look_at_ms, next_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.free_bytes.store(look(), Ordering::Relaxed);
        }
        let free = self.free_bytes.load(Ordering::Relaxed);
        if free > self.reserve_bytes {
            return Ok(());
        }
        Err(StoreError::DiskReserve { free_mib: free / MIB, reserve_mib: self.reserve_bytes.div_ceil(MIB) })
    }
}

/// What a process without privileges may still write, in bytes. Where the system does not say, there is room: the
/// commit itself says otherwise.
#[cfg(unix)]
fn free_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(u64::MAX, |seen| seen.f_bavail.saturating_mul(seen.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_dir: &Path) -> u64 {
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_the_reserve_nothing_new_is_taken_until_there_is_room_again() {
        let disk = Disk::of(Path::new("."), 100 * MIB);
        let at = |ms: u64, free: u64| disk.check_with(Duration::from_millis(ms), || free);
        assert_eq!(at(0, 101 * MIB), Ok(()));
        assert_eq!(at(499, 0), Ok(()), "seen half a second ago");
        assert_eq!(at(500, 7 * MIB), Err(StoreError::DiskReserve { free_mib: 7, reserve_mib: 100 }));
        assert!(at(999, 101 * MIB).is_err());
        assert_eq!(at(1_000, 101 * MIB), Ok(()));
    }

    #[test]
    fn without_a_reserve_nobody_looks() {
        let disk = Disk::of(Path::new("."), 0);
        assert_eq!(disk.check_with(Duration::ZERO, || unreachable!()), Ok(()));
    }

    #[test]
    fn the_disk_of_a_real_directory_has_some_room_and_an_end() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Disk::of(dir.path(), 1).check(Duration::ZERO), Ok(()));
        assert!(Disk::of(dir.path(), u64::MAX - 1).check(Duration::ZERO).is_err());
    }
}
