//! The served side: CPU shared by everybody on it, then a wait or a pool, then CPU again.
//!
//! All of the study's services are this one with some parts empty: FIFO workers are a pool
//! without CPU, pure processor sharing is CPU without a wait.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use atrion_core::math;

/// Seconds of work in each stage; an empty stage is skipped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    pub cpu_before: f64,
    pub wait: f64,
    pub cpu_after: f64,
    /// The wait is nobody's work: it takes no place in the pool.
    pub detached: bool,
}

impl Demand {
    pub fn total(&self) -> f64 {
        self.cpu_before + self.wait + self.cpu_after
    }
}

/// Times are non-negative, so the order of their bits is their order.
type Due = Reverse<(u64, u32)>;

fn due(at: f64, id: u32) -> Due {
    Reverse((at.to_bits(), id))
}

/// `cores` shared equally: with n jobs each runs at `min(1, cores/n)`, times the collapse.
#[derive(Debug)]
struct Sharing {
    cores: f64,
    /// (n*, b): beyond n* jobs everybody slows by `1/(1 + b((n - n*)/n*)^2)`.
    collapse: Option<(f64, f64)>,
    /// Work every job would have got that was there from the start; a job ends when this
    /// reaches its value at arrival plus the job's demand.
    work: f64,
    at: f64,
    jobs: BinaryHeap<Due>,
}

impl Sharing {
    fn rate(&self) -> f64 {
        let n = self.jobs.len() as f64;
        let excess = self.collapse.map_or(0.0, |(knee, b)| {
            let over = math::max(n - knee, 0.0) / knee;
            b * over * over
        });
        math::min(1.0, self.cores / math::max(n, 1.0)) / (1.0 + excess)
    }

    fn advance(&mut self, now: f64) {
        self.work += (now - self.at) * self.rate();
        self.at = now;
    }

    fn push(&mut self, now: f64, id: u32, demand: f64) {
        self.advance(now);
        self.jobs.push(due(self.work + demand, id));
    }

    fn next(&self) -> f64 {
        self.jobs.peek().map_or(f64::INFINITY, |Reverse((bits, _))| {
            self.at + math::max(f64::from_bits(*bits) - self.work, 0.0) / self.rate()
        })
    }
}

/// One service. Its clock stands still while the service is paused: the caller converts.
#[derive(Debug)]
pub struct Service {
    cpu: Sharing,
    /// Workers behind the wait stage; `None` is a pure delay.
    pool: Option<usize>,
    busy: usize,
    queue: VecDeque<u32>,
    waits: BinaryHeap<Due>,
    jobs: Vec<(Demand, Stage)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Waiting,
    After,
}

impl Service {
    pub fn new(cores: usize, collapse: Option<(f64, f64)>, pool: Option<usize>) -> Self {
        let cpu =
            Sharing { cores: cores as f64, collapse, work: 0.0, at: 0.0, jobs: BinaryHeap::new() };
        Self {
            cpu,
            pool,
            busy: 0,
            queue: VecDeque::new(),
            waits: BinaryHeap::new(),
            jobs: Vec::new(),
        }
    }

    /// When the next stage of any job ends.
    pub fn next(&self) -> f64 {
        let wait =
            self.waits.peek().map_or(f64::INFINITY, |Reverse((bits, _))| f64::from_bits(*bits));
        math::min(wait, self.cpu.next())
    }

    /// Starts job `id`, a small number that may be reused once the job is finished.
    pub fn start(&mut self, now: f64, id: u32, demand: Demand) {
        let index = id as usize;
        if index >= self.jobs.len() {
            self.jobs.resize(index + 1, (Demand::default(), Stage::Before));
        }
        self.jobs[index] = (demand, Stage::Before);
        if demand.cpu_before > 0.0 {
            self.cpu.push(now, id, demand.cpu_before);
        } else {
            self.wait(now, id);
        }
    }

    fn wait(&mut self, now: f64, id: u32) {
        let (demand, stage) = &mut self.jobs[id as usize];
        *stage = Stage::Waiting;
        match self.pool {
            Some(workers) if !demand.detached => {
                if self.busy == workers {
                    self.queue.push_back(id);
                    return;
                }
                self.busy += 1;
            }
            _ => {}
        }
        let until = now + demand.wait;
        self.waits.push(due(until, id));
    }

    /// Carries out what [`next`](Self::next) announced for `now`; answers with the job that is
    /// finished by it, if one is.
    pub fn step(&mut self, now: f64) -> Option<u32> {
        let cpu_next = self.cpu.next();
        let wait_next = self.waits.peek().map(|Reverse((bits, _))| f64::from_bits(*bits));
        let id = if wait_next.is_some_and(|at| at <= cpu_next) {
            let Reverse((_, id)) = self.waits.pop()?;
            self.leave_pool(now, id);
            id
        } else {
            self.cpu.advance(now);
            let Reverse((_, id)) = self.cpu.jobs.pop()?;
            id
        };
        let (demand, stage) = self.jobs[id as usize];
        match stage {
            Stage::Before if demand.wait > 0.0 => self.wait(now, id),
            Stage::Before | Stage::Waiting if demand.cpu_after > 0.0 => {
                self.jobs[id as usize].1 = Stage::After;
                self.cpu.push(now, id, demand.cpu_after);
            }
            _ => return Some(id),
        }
        None
    }

    fn leave_pool(&mut self, now: f64, id: u32) {
        if self.pool.is_none() || self.jobs[id as usize].0.detached {
            return;
        }
        if let Some(next) = self.queue.pop_front() {
            let until = now + self.jobs[next as usize].0.wait;
            self.waits.push(due(until, next));
        } else {
            self.busy -= 1;
        }
    }
}

#[test]
fn sharing_divides_the_cores_equally() {
    // Two cores, three jobs of 1 s: each runs at 2/3, all end after 1.5 s.
    let mut s = Service::new(2, None, None);
    for id in 0..3 {
        s.start(0.0, id, Demand { cpu_before: 1.0, ..Demand::default() });
    }
    let ends: Vec<f64> = (0..3)
        .map(|_| {
            let at = s.next();
            assert!(s.step(at).is_some());
            at
        })
        .collect();
    assert!(ends.iter().all(|e| (e - 1.5).abs() < 1e-9), "{ends:?}");
}

#[test]
fn a_pool_serves_in_order_and_then_returns_to_the_cpu() {
    let mut s = Service::new(1, None, Some(1));
    let demand = Demand { cpu_before: 0.0, wait: 1.0, cpu_after: 0.5, detached: false };
    s.start(0.0, 0, demand);
    s.start(0.0, 1, demand);
    let mut ends = Vec::new();
    while s.next().is_finite() {
        let at = s.next();
        if let Some(id) = s.step(at) {
            ends.push((id, at));
        }
    }
    assert_eq!(ends, [(0, 1.5), (1, 2.5)]);
}

#[test]
fn collapse_halves_the_work_at_twice_the_knee() {
    let mut s = Service::new(4, Some((4.0, 1.0)), None);
    for id in 0..8 {
        s.start(0.0, id, Demand { cpu_before: 1.0, ..Demand::default() });
    }
    // 8 jobs on 4 cores take 2 s, and twice as long when the cores do half the work.
    assert!((s.next() - 4.0).abs() < 1e-9, "{}", s.next());
}
