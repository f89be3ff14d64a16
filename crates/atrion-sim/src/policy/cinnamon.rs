//! A PI controller that moves a threshold of priority, before a queue ordered by priority.
//!
//! Source: J. Holdgaard Thomsen et al., *PID Controller for Cinnamon*, Uber Engineering, 30
//! November 2023 (uber.com/blog/pid-controller-for-cinnamon), and the articles before and after it.
//! Published: the share to be refused comes from a controller without a D term that compares what
//! enters the queue with what leaves it plus the room for more; the share becomes a threshold by
//! the distribution of the priorities seen last; every tier is divided into cohorts; requests
//! that waited too long are given up.
//!
//! Not published with numbers, or not known to us, and chosen here: the gains, the period of
//! half a second, 1000 remembered priorities, 128 cohorts, a wait of a third of the deadline, and
//! that the room of a free place is what a busy one did in the period.
//! The published tuner of the number in flight is replaced by the truth. So this is
//! "Cinnamon-like", and kinder than life.

use std::collections::{BTreeMap, VecDeque};

use atrion_core::math;
use atrion_core::time::Timestamp;

use super::{Arrival, Completion, Policy, Release, Tick, Verdict};
use crate::rng::Rng;

/// Settings of [`Cinnamon`].
#[derive(Clone, Copy, Debug)]
pub struct CinnamonSettings {
    /// Proportional gain: 0.1.
    pub proportional: f64,
    /// Integral gain per period: 0.5.
    pub integral: f64,
    /// Seconds between two steps: 0.5.
    pub period_secs: f64,
    /// Seconds that a request may wait.
    pub wait_secs: f64,
    /// Requests that go on to the service at once.
    pub workers: u32,
}

impl CinnamonSettings {
    /// The settings described above, for this deadline and this many workers.
    pub const fn chosen(deadline_secs: f64, workers: u32) -> Self {
        Self {
            proportional: 0.1,
            integral: 0.5,
            period_secs: 0.5,
            wait_secs: deadline_secs / 3.0,
            workers,
        }
    }
}

/// Priorities that are remembered.
const REMEMBERED: usize = 1000;
const COHORTS: f64 = 128.0;

/// Worth in volts (as bits, which are ordered like the values) and cohort.
type Priority = (u64, u8);

/// The policy.
#[derive(Clone, Debug)]
pub struct Cinnamon {
    settings: CinnamonSettings,
    /// Highest priority last; within one, first come first.
    queue: BTreeMap<(Priority, std::cmp::Reverse<u64>), (f64, u32)>,
    order: u64,
    in_flight: u32,
    remembered: VecDeque<Priority>,
    threshold: Option<Priority>,
    integral: f64,
    share: f64,
    next_step: f64,
    asked: f64,
    entered: f64,
    left: f64,
    /// In flight at each tick of the period, summed up.
    busy: f64,
    ticks: f64,
    rng: Rng,
}

impl Cinnamon {
    /// Nothing seen yet. The seed deals out the cohorts.
    pub fn new(settings: CinnamonSettings, seed: u64) -> Self {
        Self {
            settings,
            queue: BTreeMap::new(),
            order: 0,
            in_flight: 0,
            remembered: VecDeque::new(),
            threshold: None,
            integral: 0.0,
            share: 0.0,
            next_step: 0.0,
            asked: 0.0,
            entered: 0.0,
            left: 0.0,
            busy: 0.0,
            ticks: 0.0,
            rng: Rng::new(seed, 53),
        }
    }

    /// The share of requests that the controller wants refused.
    pub const fn share(&self) -> f64 {
        self.share
    }

    fn step(&mut self) {
        let s = &self.settings;
        let busy = self.busy / math::max(self.ticks, 1.0);
        let room = self.left * (f64::from(s.workers) - busy) / math::max(busy, 1.0);
        let error = (self.entered - self.left - room) / math::max(self.asked, 1.0);
        let error = math::clamp(error, -1.0, 1.0);
        self.integral = math::clamp(self.integral + s.integral * error, 0.0, 1.0);
        self.share = math::clamp(self.integral + s.proportional * error, 0.0, 1.0);
        (self.asked, self.entered, self.left) = (0.0, 0.0, 0.0);
        (self.busy, self.ticks) = (0.0, 0.0);
        let mut sorted: Vec<Priority> = self.remembered.iter().copied().collect();
        sorted.sort_unstable();
        let index = (self.share * sorted.len() as f64) as usize;
        self.threshold =
            if index == 0 { None } else { sorted.get(index.min(sorted.len() - 1)).copied() };
    }
}

fn secs(now: Timestamp) -> f64 {
    now.secs_since(Timestamp::ZERO)
}

impl Policy for Cinnamon {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        let cohort = (self.rng.uniform() * COHORTS) as u8;
        let priority = (arrival.volts.to_bits(), cohort);
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(priority);
        self.asked += 1.0;
        if self.threshold.is_some_and(|threshold| priority < threshold) {
            return Verdict::Refuse;
        }
        self.entered += 1.0;
        self.order += 1;
        let key = (priority, std::cmp::Reverse(self.order));
        self.queue.insert(key, (secs(arrival.now), arrival.slot));
        Verdict::Hold
    }

    fn done(&mut self, _completion: &Completion) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn tick(&mut self, tick: &Tick) {
        let now = secs(tick.now);
        self.busy += f64::from(self.in_flight);
        self.ticks += 1.0;
        if now >= self.next_step {
            self.next_step = now + self.settings.period_secs - 1e-6;
            self.step();
        }
    }

    fn release(&mut self, now: Timestamp) -> Option<Release> {
        if self.in_flight >= self.settings.workers {
            return None;
        }
        let (_, (since, slot)) = self.queue.pop_last()?;
        let admitted = secs(now) - since <= self.settings.wait_secs;
        if admitted {
            self.in_flight += 1;
            self.left += 1.0;
        }
        Some(Release { slot, admitted })
    }

    fn holds(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::success;

    /// Offers `per_tick` requests each 100 ms to a service that does `done_per_tick`.
    fn drive(policy: &mut Cinnamon, ticks: u32, per_tick: u32, done_per_tick: u32) -> [f64; 2] {
        let mut refused = [0.0; 2];
        for tick in 0..ticks {
            let now = Timestamp::ZERO.add_secs(f64::from(tick) / 10.0);
            for slot in 0..per_tick {
                let critical = slot % 10 == 0;
                let volts = if critical { 100.0 } else { 5.0 };
                let arrival = Arrival { now, slot, route: 0, volts };
                if policy.arrive(&arrival) == Verdict::Refuse && tick > ticks / 2 {
                    refused[usize::from(critical)] += 1.0;
                }
            }
            for slot in 0..done_per_tick {
                while policy.release(now).is_some() {}
                policy.done(&success(0.0, slot, 0.05));
            }
            while policy.release(now).is_some() {}
            policy.tick(&Tick { now, utilisation: 1.0, load: 1.0 });
        }
        refused
    }

    /// The published aim: a steady share, equal to what does not fit, and the least first.
    #[test]
    fn the_share_settles_at_what_does_not_fit_and_hits_the_low_tier_only() {
        let mut policy = Cinnamon::new(CinnamonSettings::chosen(0.2, 16), 1);
        let refused = drive(&mut policy, 600, 400, 100);
        assert!((policy.share() - 0.75).abs() < 0.06, "{}", policy.share());
        assert!(refused[0] > 0.0 && refused[1] < 1.0, "{refused:?}");
    }

    #[test]
    fn nothing_is_refused_while_everything_fits() {
        let mut policy = Cinnamon::new(CinnamonSettings::chosen(0.2, 16), 1);
        let [low, critical] = drive(&mut policy, 300, 70, 100);
        assert!(low + critical < 1.0, "{low} and {critical} refused");
    }
}
