//! Long jobs on a pool of workers, each with a lease that shows by heartbeats that it lives.
//!
//! ```sh
//! cargo run -p atrion-examples --bin worker_pool
//! ```
//!
//! One job hangs: its lease expires, so that its place is another's, and it is done once more. One
//! job turns out to be enormous, and somebody cancels it.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use atrion::{Atrion, Event, LeaseChange, LeaseOver, LeaseToken, Observer, Priority, Route};

/// A job that says nothing for this long is taken for dead.
const SILENCE: Duration = Duration::from_secs(1);

/// Says what happens to leases; runs on a thread of its own.
struct Print;

impl Observer for Print {
    fn event(&self, event: &Event) {
        if let Event::Lease { change: LeaseChange::Expired, held_for, .. } = event {
            println!("a lease expired after {held_for:.1?}: its place is free");
        }
    }
}

#[derive(Clone, Copy)]
struct Job {
    number: usize,
    pages: u32,
    hangs: bool,
}

/// The queue, and who works on what.
struct Pool {
    reports: Route,
    queue: Mutex<VecDeque<Job>>,
    running: Mutex<HashMap<usize, LeaseToken>>,
    left: AtomicUsize,
}

impl Pool {
    fn new(reports: Route, jobs: usize) -> Self {
        let queue = (1..=jobs).map(|number| Job {
            number,
            pages: if number == 4 { 100_000 } else { 10 },
            hangs: number == 3,
        });
        Self {
            reports,
            queue: Mutex::new(queue.collect()),
            running: Mutex::default(),
            left: jobs.into(),
        }
    }

    /// Works until nothing is left to do, by this worker or another.
    fn work(&self) {
        while self.left.load(SeqCst) > 0 {
            let Some(job) = lock(&self.queue).pop_front() else {
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            match self.render(job) {
                Ok(()) => println!("report {}: done", job.number),
                Err(Stopped::Refused(wait)) => {
                    thread::sleep(wait);
                    lock(&self.queue).push_back(job);
                    continue;
                }
                Err(Stopped::Over(LeaseOver::Cancelled)) => {
                    println!("report {}: cancelled", job.number);
                }
                // Whatever it wrote is not to be used: somebody else may have its place by now.
                Err(Stopped::Over(why)) => {
                    println!("report {}: {why}; once more", job.number);
                    lock(&self.queue).push_back(Job { hangs: false, ..job });
                    continue;
                }
            }
            self.left.fetch_sub(1, SeqCst);
        }
    }

    /// Page by page, with a sign of life after each.
    fn render(&self, job: Job) -> Result<(), Stopped> {
        let lease = self.reports.lease(Priority::Low, SILENCE)?;
        lock(&self.running).insert(job.number, lease.token());
        for page in 0..job.pages {
            let hangs = job.hangs && page == 4;
            thread::sleep(if hangs { 2 * SILENCE } else { Duration::from_millis(20) });
            lease.heartbeat()?;
        }
        lease.success();
        Ok(())
    }
}

/// Why a job did not get to its end.
enum Stopped {
    Refused(Duration),
    Over(LeaseOver),
}

impl From<atrion::Shed> for Stopped {
    fn from(shed: atrion::Shed) -> Self {
        Self::Refused(shed.retry_after())
    }
}

impl From<LeaseOver> for Stopped {
    fn from(over: LeaseOver) -> Self {
        Self::Over(over)
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn main() -> Result<(), Box<dyn Error>> {
    let atrion = Atrion::builder().observer(Print).build()?;
    // A route of their own: what is long for a page is short for a report.
    let pool = Pool::new(atrion.route("jobs/report"), 12);
    thread::scope(|scope| {
        for _worker in 0..4 {
            scope.spawn(|| pool.work());
        }
        // Somebody sees what report 4 is like.
        while !lock(&pool.running).contains_key(&4) {
            thread::sleep(Duration::from_millis(5));
        }
        if let Some(token) = lock(&pool.running).get(&4) {
            token.cancel();
        }
    });
    let counts = pool.reports.counts();
    println!(
        "{} done, {} given up, {} in flight",
        counts.completed, counts.cancelled, counts.in_flight
    );
    Ok(())
}
