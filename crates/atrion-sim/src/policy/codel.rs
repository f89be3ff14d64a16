//! Controlled delay: a queue before the service that sheds by how long its requests waited.
//!
//! Source: K. Nichols, V. Jacobson, A. McGregor, J. Iyengar, *Controlled Delay Active Queue
//! Management*, RFC 8289 (2018). Published settings: target 5 ms, interval 100 ms. When every
//! request waited longer than the target for a whole interval, one is shed, and then another each
//! `interval/sqrt(count)` until the wait is below the target.
//!
//! A queue needs somebody to serve it: as many requests go on at once as the service truly works
//! on, which in reality nobody tells it.

use std::collections::VecDeque;

use atrion_core::math;
use atrion_core::time::Timestamp;

use super::{Arrival, Completion, Policy, Release, Verdict};

/// Settings of [`Codel`].
#[derive(Clone, Copy, Debug)]
pub struct CodelSettings {
    /// Acceptable standing wait in seconds: 0.005.
    pub target_secs: f64,
    /// Seconds that the wait may exceed it: 0.1.
    pub interval_secs: f64,
    /// Requests that go on to the service at once.
    pub workers: u32,
}

impl CodelSettings {
    /// The published settings, before this many workers.
    pub const fn published(workers: u32) -> Self {
        Self { target_secs: 0.005, interval_secs: 0.1, workers }
    }
}

/// The policy.
#[derive(Clone, Debug)]
pub struct Codel {
    settings: CodelSettings,
    queue: VecDeque<(f64, u32)>,
    in_flight: u32,
    decided: VecDeque<Release>,
    /// When the wait will have been above the target for an interval.
    due: Option<f64>,
    shedding: bool,
    next_shed: f64,
    count: u32,
    last_count: u32,
}

impl Codel {
    /// An empty queue.
    pub const fn new(settings: CodelSettings) -> Self {
        Self {
            settings,
            queue: VecDeque::new(),
            in_flight: 0,
            decided: VecDeque::new(),
            due: None,
            shedding: false,
            next_shed: 0.0,
            count: 0,
            last_count: 0,
        }
    }

    /// The head of the queue, and whether it may be shed.
    fn take(&mut self, now: f64) -> Option<(u32, bool)> {
        let Some((since, slot)) = self.queue.pop_front() else {
            self.due = None;
            return None;
        };
        if now - since < self.settings.target_secs || self.queue.is_empty() {
            self.due = None;
            return Some((slot, false));
        }
        let due = *self.due.get_or_insert(now + self.settings.interval_secs);
        Some((slot, now >= due))
    }

    fn law(&self, from: f64) -> f64 {
        from + self.settings.interval_secs / math::sqrt(f64::from(self.count.max(1)))
    }

    fn shed(&mut self, slot: u32) {
        self.decided.push_back(Release { slot, admitted: false });
    }

    /// Takes one request out of the queue to be served, and sheds those before it that are due.
    fn dequeue(&mut self, now: f64) -> Option<u32> {
        let (mut slot, mut may_shed) = self.take(now).or_else(|| {
            self.shedding = false;
            None
        })?;
        if self.shedding {
            self.shedding = may_shed;
            while self.shedding && now >= self.next_shed {
                self.shed(slot);
                self.count += 1;
                let Some(next) = self.take(now) else {
                    self.shedding = false;
                    return None;
                };
                (slot, may_shed) = next;
                self.shedding = may_shed;
                if may_shed {
                    self.next_shed = self.law(self.next_shed);
                }
            }
        } else if may_shed {
            self.shed(slot);
            let next = self.take(now);
            self.shedding = true;
            // Shortly after the last time, go on where that left off.
            let grown = self.count.saturating_sub(self.last_count);
            let recently = now - self.next_shed < 16.0 * self.settings.interval_secs;
            self.count = if grown > 1 && recently { grown } else { 1 };
            self.next_shed = self.law(now);
            self.last_count = self.count;
            slot = next?.0;
        }
        Some(slot)
    }
}

fn secs(now: Timestamp) -> f64 {
    now.secs_since(Timestamp::ZERO)
}

impl Policy for Codel {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        self.queue.push_back((secs(arrival.now), arrival.slot));
        Verdict::Hold
    }

    fn done(&mut self, _completion: &Completion) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn release(&mut self, now: Timestamp) -> Option<Release> {
        while self.decided.is_empty()
            && self.in_flight < self.settings.workers
            && !self.queue.is_empty()
        {
            if let Some(slot) = self.dequeue(secs(now)) {
                self.in_flight += 1;
                self.decided.push_back(Release { slot, admitted: true });
            }
        }
        self.decided.pop_front()
    }

    fn holds(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, success};

    /// The published law: after a first interval of 100 ms, one shed each 100/sqrt(n) ms.
    #[test]
    fn a_standing_queue_is_shed_ever_faster() {
        let mut policy = Codel::new(CodelSettings::published(1));
        for slot in 0..3000 {
            policy.arrive(&arrival(0.0, slot));
        }
        let mut shed = Vec::new();
        for step in 0..1000 {
            let at = f64::from(step) / 1000.0;
            let now = Timestamp::ZERO.add_secs(at);
            while let Some(release) = policy.release(now) {
                if !release.admitted {
                    shed.push(at);
                }
            }
            policy.done(&success(at, 0, 0.001));
        }
        // The wait is above the target from 5 ms on.
        let mut expected = 0.105;
        for (n, at) in shed.iter().take(12).enumerate() {
            assert!((at - expected).abs() < 0.004, "shed {n} at {at}, expected {expected}");
            expected += 0.1 / math::sqrt(n as f64 + 1.0);
        }
        assert!(shed.len() > 12, "{shed:?}");
    }

    #[test]
    fn a_short_wait_sheds_nobody() {
        let mut policy = Codel::new(CodelSettings::published(1));
        for step in 0..2000 {
            let at = f64::from(step) / 100.0;
            policy.arrive(&arrival(at, 0));
            let release = policy.release(Timestamp::ZERO.add_secs(at));
            assert_eq!(release, Some(Release { slot: 0, admitted: true }));
            policy.done(&success(at + 0.009, 0, 0.009));
        }
    }
}
