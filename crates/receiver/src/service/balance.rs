//! Which thread answers a connection's plain requests: where there are fewest, and not where most else is to do.
//!
//! It exists because these threads have work of their own, which nobody can spread: a sender's one busy webhook keeps one of
//! them busy. Ten times a second it is looked at how long each was at work; where one has far more to do than another,
//! some of its connections change over, each between two requests. Invariant: a connection that is told to leave finds
//! another thread. Read `connection.rs` next.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

/// How often it is looked.
const LOOK_MS: u64 = 100;
/// A thread is busy that was at work for so much of the time.
const BUSY_SHARE: f64 = 0.6;
/// By how much of the time two threads may differ.
const DIFFERENCE_SHARE: f64 = 0.2;
/// Of so many connections of a thread, one changes over at a time.
const ONE_OF: usize = 4;

/// The threads, and what is on them.
pub(super) struct Balance {
    threads: Vec<Thread>,
    /// The thread that has too much to do; a number of none where none has.
    crowded: AtomicUsize,
}

struct Thread {
    handle: Handle,
    connections: AtomicUsize,
    /// How many of them are to leave.
    leaving: AtomicUsize,
}

const NONE: usize = usize::MAX;

impl Balance {
    /// Over these threads, which may be none.
    pub(super) fn over(threads: Vec<Handle>) -> Arc<Self> {
        let thread =
            |handle| Thread { handle, connections: AtomicUsize::new(0), leaving: AtomicUsize::new(0) };
        let threads = threads.into_iter().map(thread).collect();
        Arc::new(Self { threads, crowded: AtomicUsize::new(NONE) })
    }

    /// A place on the thread with the fewest connections that has not too much to do; none where there are no threads.
    pub(super) fn place(self: &Arc<Self>) -> Option<Place> {
        let crowded = self.crowded.load(Ordering::Relaxed);
        let threads = self.threads.iter().enumerate();
        let (at, thread) = threads
            .min_by_key(|(at, thread)| (*at == crowded, thread.connections.load(Ordering::Relaxed)))?;
        thread.connections.fetch_add(1, Ordering::Relaxed);
        Some(Place { balance: Arc::clone(self), at })
    }

    /// Keeps the balance.
    pub(super) async fn keep(&self) -> Infallible {
        if self.threads.len() < 2 {
            return std::future::pending().await;
        }
        let mut before: Vec<Duration> = self.threads.iter().map(Thread::at_work).collect();
        let mut looked = Instant::now();
        loop {
            sleep(Duration::from_millis(LOOK_MS)).await;
            let span = looked.elapsed().as_secs_f64();
            looked = Instant::now();
            let now: Vec<Duration> = self.threads.iter().map(Thread::at_work).collect();
            let shares: Vec<f64> = now
                .iter()
                .zip(&before)
                .map(|(now, before)| now.saturating_sub(*before).as_secs_f64() / span)
                .collect();
            before = now;
            self.settle(&shares);
        }
    }

    /// Lets connections of the busiest thread leave, or all stay: each thread was at work for such a share of the time.
    fn settle(&self, shares: &[f64]) {
        let order = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1);
        let shares = || shares.iter().copied().enumerate();
        let (Some((busiest, most)), Some((_, least))) = (shares().max_by(order), shares().min_by(order))
        else {
            return;
        };
        let crowded = most >= BUSY_SHARE && most - least > DIFFERENCE_SHARE;
        self.crowded.store(if crowded { busiest } else { NONE }, Ordering::Relaxed);
        for (at, thread) in self.threads.iter().enumerate() {
            let here = thread.connections.load(Ordering::Relaxed);
            let leaving = if crowded && at == busiest { here.div_ceil(ONE_OF) } else { 0 };
            thread.leaving.store(leaving, Ordering::Relaxed);
        }
    }
}

impl Thread {
    /// How long it has been at work since it began.
    fn at_work(&self) -> Duration {
        let metrics = self.handle.metrics();
        (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum()
    }
}

/// A connection's place on a thread, until it is dropped.
pub(super) struct Place {
    balance: Arc<Balance>,
    at: usize,
}

impl Place {
    /// The thread.
    pub(super) fn thread(&self) -> &Handle {
        &self.here().handle
    }

    /// Whether this connection is to leave for another thread. Says so once for each that is to.
    pub(super) fn is_to_leave(&self) -> bool {
        let leaving = &self.here().leaving;
        leaving.load(Ordering::Relaxed) > 0
            && leaving
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |leaving| leaving.checked_sub(1))
                .is_ok()
    }

    fn here(&self) -> &Thread {
        &self.balance.threads[self.at]
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.here().connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_two() -> Arc<Balance> {
        let here = Handle::current();
        Balance::over(vec![here.clone(), here])
    }

    #[tokio::test]
    async fn each_goes_where_there_are_fewest() {
        let balance = of_two();
        let places: Vec<Place> = (0..4).filter_map(|_| balance.place()).collect();
        assert_eq!(places.iter().map(|place| place.at).collect::<Vec<_>>(), [0, 1, 0, 1]);
        drop(places);
        assert_eq!(balance.threads[1].connections.load(Ordering::Relaxed), 0);
        assert!(Balance::over(Vec::new()).place().is_none());
    }

    #[tokio::test]
    async fn a_quarter_leaves_a_thread_that_has_far_more_to_do_and_goes_elsewhere() {
        let balance = of_two();
        let places: Vec<Place> = (0..16).filter_map(|_| balance.place()).collect();
        let leaving = |at| places.iter().filter(|place| place.at == at && place.is_to_leave()).count();
        balance.settle(&[0.9, 0.65]);
        assert_eq!((leaving(0), leaving(1)), (2, 0));
        assert_eq!(leaving(0), 0, "each is told once");
        assert_eq!(balance.place().map(|place| place.at), Some(1));
        // Neither a small difference nor one between threads with little to do is any reason.
        for even in [[0.9, 0.75], [0.5, 0.1]] {
            balance.settle(&[0.9, 0.65]);
            balance.settle(&even);
            assert_eq!(leaving(0), 0, "{even:?}");
        }
    }
}
