//! The served side: CPU shared by everybody on it, then a wait or a pool, then CPU again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use atrion_core::math;

use crate::scenario::{Contention, Service};

/// Seconds of work in each stage; an empty stage is skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Demand {
    pub(crate) cpu_before: f64,
    pub(crate) wait: f64,
    pub(crate) cpu_after: f64,
    /// The wait is nobody's work: it takes no place in the pool.
    pub(crate) detached: bool,
}

impl Demand {
    pub(crate) fn total(&self) -> f64 {
        self.cpu_before + self.wait + self.cpu_after
    }
}

/// Times are not negative, so the order of their bits is their order.
type Due = Reverse<(u64, u32)>;

fn due(at: f64, id: u32) -> Due {
    Reverse((at.to_bits(), id))
}

/// Cores shared equally: with n jobs each runs at `min(1, cores/n)`, times the contention.
#[derive(Debug)]
struct Sharing {
    cores: f64,
    contention: Option<Contention>,
    /// Work that every job would have got that was there from the start; a job ends when this
    /// reaches its value at arrival plus the job's demand.
    work: f64,
    at: f64,
    jobs: BinaryHeap<Due>,
    /// Core-seconds worked.
    used: f64,
}

impl Sharing {
    fn rate(&self) -> f64 {
        let n = self.jobs.len() as f64;
        let excess = self.contention.map_or(0.0, |c| {
            let over = math::max(n - c.knee, 0.0) / c.knee;
            c.strength * over * over
        });
        math::min(1.0, self.cores / math::max(n, 1.0)) / (1.0 + excess)
    }

    fn advance(&mut self, now: f64) {
        let dt = now - self.at;
        self.work += dt * self.rate();
        self.used += dt * math::min(self.jobs.len() as f64, self.cores);
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Waiting,
    After,
}

/// One service. Its clock stands still while the service is paused: the caller converts.
#[derive(Debug)]
pub(crate) struct Machine {
    cpu: Sharing,
    /// Workers behind the waiting stage; `None` is a pure delay.
    pool: Option<usize>,
    queue_limit: usize,
    busy: usize,
    /// Worker-seconds worked, up to `worked_at`.
    worked: f64,
    worked_at: f64,
    queue: VecDeque<u32>,
    waits: BinaryHeap<Due>,
    jobs: Vec<(Demand, Stage)>,
}

impl Machine {
    pub(crate) fn new(service: &Service) -> Self {
        let cpu = Sharing {
            cores: f64::from(service.cores.unwrap_or(1)),
            contention: service.contention,
            work: 0.0,
            at: 0.0,
            jobs: BinaryHeap::new(),
            used: 0.0,
        };
        Self {
            cpu,
            pool: service.workers.map(|n| n as usize),
            queue_limit: service.queue_limit.map_or(usize::MAX, |n| n as usize),
            busy: 0,
            worked: 0.0,
            worked_at: 0.0,
            queue: VecDeque::new(),
            waits: BinaryHeap::new(),
            jobs: Vec::new(),
        }
    }

    /// When the next stage of any job ends.
    pub(crate) fn next(&self) -> f64 {
        let wait =
            self.waits.peek().map_or(f64::INFINITY, |Reverse((bits, _))| f64::from_bits(*bits));
        math::min(wait, self.cpu.next())
    }

    /// Starts job `id`, a small number that may be used again once the job is finished. Answers
    /// `false`, and forgets the job, if the queue is full.
    pub(crate) fn start(&mut self, now: f64, id: u32, demand: Demand) -> bool {
        let index = id as usize;
        if index >= self.jobs.len() {
            self.jobs.resize(index + 1, (Demand::default(), Stage::Before));
        }
        self.set(id, demand, Stage::Before);
        if demand.cpu_before > 0.0 {
            self.cpu.push(now, id, demand.cpu_before);
            true
        } else {
            self.wait(now, id)
        }
    }

    /// Carries out what [`next`](Self::next) announced for `now`; answers with the job that is
    /// finished by it, if one is, and whether it was done.
    pub(crate) fn step(&mut self, now: f64) -> Option<(u32, bool)> {
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
        let (demand, stage) = self.job(id);
        match stage {
            Stage::Before if demand.wait > 0.0 => {
                if !self.wait(now, id) {
                    return Some((id, false));
                }
            }
            Stage::Before | Stage::Waiting if demand.cpu_after > 0.0 => {
                self.set(id, demand, Stage::After);
                self.cpu.push(now, id, demand.cpu_after);
            }
            _ => return Some((id, true)),
        }
        None
    }

    /// Seconds of work done so far by the busier part, per core or worker.
    pub(crate) fn used_secs(&mut self, now: f64) -> f64 {
        self.cpu.advance(now);
        self.note_work(now);
        let pool = self.pool.map_or(0.0, |workers| self.worked / workers as f64);
        math::max(self.cpu.used / self.cpu.cores, pool)
    }

    /// What is at work or waits for it, per core or worker, of the busier part.
    pub(crate) fn load(&self) -> f64 {
        let in_pool = (self.busy + self.queue.len()) as f64;
        let pool = self.pool.map_or(0.0, |workers| in_pool / workers as f64);
        math::max(self.cpu.jobs.len() as f64 / self.cpu.cores, pool)
    }

    fn wait(&mut self, now: f64, id: u32) -> bool {
        let (demand, _) = self.job(id);
        self.set(id, demand, Stage::Waiting);
        if let Some(workers) = self.pool
            && !demand.detached
        {
            if self.busy >= workers {
                if self.queue.len() >= self.queue_limit {
                    return false;
                }
                self.queue.push_back(id);
                return true;
            }
            self.note_work(now);
            self.busy += 1;
        }
        self.waits.push(due(now + demand.wait, id));
        true
    }

    fn leave_pool(&mut self, now: f64, id: u32) {
        if self.pool.is_none() || self.job(id).0.detached {
            return;
        }
        if let Some(next) = self.queue.pop_front() {
            let until = now + self.job(next).0.wait;
            self.waits.push(due(until, next));
        } else {
            self.note_work(now);
            self.busy -= 1;
        }
    }

    fn note_work(&mut self, now: f64) {
        self.worked += self.busy as f64 * (now - self.worked_at);
        self.worked_at = now;
    }

    fn job(&self, id: u32) -> (Demand, Stage) {
        self.jobs.get(id as usize).copied().unwrap_or((Demand::default(), Stage::After))
    }

    fn set(&mut self, id: u32, demand: Demand, stage: Stage) {
        if let Some(job) = self.jobs.get_mut(id as usize) {
            *job = (demand, stage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(secs: f64) -> Demand {
        Demand { cpu_before: secs, ..Demand::default() }
    }

    #[test]
    fn sharing_divides_the_cores_equally() {
        // Two cores, three jobs of 1 s: each runs at 2/3, all end after 1.5 s.
        let mut m = Machine::new(&Service::sharing(2, 1.0));
        for id in 0..3 {
            assert!(m.start(0.0, id, cpu(1.0)));
        }
        for _ in 0..3 {
            let at = m.next();
            assert!((at - 1.5).abs() < 1e-9, "{at}");
            assert!(m.step(at).is_some());
        }
        assert!((m.used_secs(1.5) - 1.5).abs() < 1e-9);
        assert!(m.load() < 1e-9, "nobody is left");
        assert!((m.used_secs(3.0) - 1.5).abs() < 1e-9, "idle cores do not work");
    }

    #[test]
    fn a_pool_serves_in_order_and_then_returns_to_the_cpu() {
        let mut m = Machine::new(&Service::pooled(1, 1.0));
        let demand = Demand { cpu_before: 0.0, wait: 1.0, cpu_after: 0.5, detached: false };
        assert!(m.start(0.0, 0, demand) && m.start(0.0, 1, demand));
        let mut ends = Vec::new();
        while m.next().is_finite() {
            let at = m.next();
            ends.extend(m.step(at).map(|(id, done)| (id, done, at)));
        }
        assert_eq!(ends, [(0, true, 1.5), (1, true, 2.5)]);
    }

    #[test]
    fn a_full_queue_refuses_and_keeps_nothing() {
        let mut m = Machine::new(&Service { queue_limit: Some(1), ..Service::fifo(1, 1.0) });
        let wait = Demand { wait: 1.0, ..Demand::default() };
        assert!(m.start(0.0, 0, wait) && m.start(0.0, 1, wait));
        assert!(!m.start(0.0, 2, wait), "one works, one waits");
        assert!((m.load() - 2.0).abs() < 1e-9);
        assert_eq!(m.step(m.next()), Some((0, true)));
        assert!(m.start(1.0, 0, wait));
    }

    #[test]
    fn contention_halves_the_work_at_twice_the_knee() {
        let contention = Some(Contention { knee: 4.0, strength: 1.0 });
        let mut m = Machine::new(&Service { contention, ..Service::sharing(4, 1.0) });
        for id in 0..8 {
            m.start(0.0, id, cpu(1.0));
        }
        // 8 jobs on 4 cores take 2 s, and twice as long when the cores do half the work.
        assert!((m.next() - 4.0).abs() < 1e-9, "{}", m.next());
    }
}
