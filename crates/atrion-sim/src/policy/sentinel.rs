//! Sentinel's system rule: the original of shedding by capacity times lowest latency.
//!
//! Source: Sentinel (sentinelguard.io, "System Adaptive Protection"; `SystemRuleManager` and
//! `StatisticNode` of the released library, `core/system` of its Go version). Two triggers:
//!
//! - *load*: the one-minute load average is above 2.5 for each core, the wiki's reference value;
//! - *CPU*: the processor was busy for more than 80 % of the last second, with the strategy BBR, as
//!   its Go version has it and its examples set it. (The Java version's CPU rule refuses everybody
//!   above the threshold.)
//!
//! While triggered, a request is refused if more than one is in flight and more than `most
//! completions of a window * windows per second * lowest latency`. The statistics are of the last
//! second in two windows, the present one included; latencies are in whole milliseconds, at least
//! one and at most five seconds; failures complete, too. One rule guards the whole process.
//!
//! The load average is the kernel's: every 5 s, what runs or wants to run, averaged over a minute.
//! What wants to run here is what is on the service's cores, or at work or waiting in its pool of
//! workers, whichever is more per place.

use atrion_core::math;
use atrion_core::time::Timestamp;

use super::{Arrival, Completion, Policy, Tick, Verdict};

/// What has to be high before anybody is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SentinelTrigger {
    /// The one-minute load average for each core.
    Load(f64),
    /// Use of the processor over a second, 0 to 1.
    Cpu(f64),
}

impl SentinelTrigger {
    /// The reference value of the documentation: 2.5 for each core.
    pub const LOAD: Self = Self::Load(2.5);
    /// The value of the examples: 0.8.
    pub const CPU: Self = Self::Cpu(0.8);
}

const WINDOW_MILLIS: u64 = 500;
const WINDOWS_PER_SEC: f64 = 2.0;
const LONGEST_MILLIS: f64 = 5000.0;
/// Ticks between two readings of the processor gauge, and between two of the run queue.
const CPU_TICKS: u32 = 10;
const LOAD_TICKS: u32 = 50;

/// Half a second, by its number since the start.
#[derive(Clone, Copy, Debug)]
struct Window {
    at: u64,
    completions: f64,
    lowest_millis: f64,
}

impl Window {
    const fn new(at: u64) -> Self {
        Self { at, completions: 0.0, lowest_millis: LONGEST_MILLIS }
    }
}

/// The policy.
#[derive(Clone, Debug)]
pub struct Sentinel {
    trigger: SentinelTrigger,
    /// The one before, and the present one.
    windows: [Window; 2],
    in_flight: f64,
    ticks: u32,
    busy: f64,
    cpu: f64,
    load1: f64,
}

impl Sentinel {
    /// Nothing seen yet.
    pub const fn new(trigger: SentinelTrigger) -> Self {
        Self {
            trigger,
            windows: [Window::new(0), Window::new(0)],
            in_flight: 0.0,
            ticks: 0,
            busy: 0.0,
            cpu: 0.0,
            load1: 0.0,
        }
    }

    /// Most completions per second times lowest latency: how many may be in flight.
    pub fn capacity(&mut self, now: Timestamp) -> f64 {
        self.window(now);
        let [a, b] = &self.windows;
        let most = math::max(math::max(a.completions, b.completions), 1.0);
        let lowest = math::max(math::min(a.lowest_millis, b.lowest_millis), 1.0);
        most * WINDOWS_PER_SEC * lowest / 1000.0
    }

    /// The present window, the one before kept beside it.
    fn window(&mut self, now: Timestamp) -> &mut Window {
        let at = millis(now) / WINDOW_MILLIS;
        let [before, present] = &mut self.windows;
        if at > present.at {
            *before = if at == present.at + 1 { *present } else { Window::new(at - 1) };
            *present = Window::new(at);
        }
        present
    }

    fn is_triggered(&self) -> bool {
        match self.trigger {
            SentinelTrigger::Load(limit) => self.load1 > limit,
            SentinelTrigger::Cpu(limit) => self.cpu > limit,
        }
    }
}

const fn millis(now: Timestamp) -> u64 {
    now.as_nanos() / 1_000_000
}

impl Policy for Sentinel {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        if self.is_triggered()
            && self.in_flight > 1.0
            && self.in_flight > self.capacity(arrival.now)
        {
            return Verdict::Refuse;
        }
        self.in_flight += 1.0;
        Verdict::Admit
    }

    fn done(&mut self, completion: &Completion) {
        self.in_flight = math::max(self.in_flight - 1.0, 0.0);
        let began = completion.now.as_nanos() as f64 / 1e6 - completion.latency_secs * 1e3;
        let lasted = millis(completion.now) as f64 - math::floor(math::max(began, 0.0));
        let window = self.window(completion.now);
        window.completions += 1.0;
        window.lowest_millis = math::min(window.lowest_millis, lasted);
    }

    fn tick(&mut self, tick: &Tick) {
        self.ticks += 1;
        self.busy += tick.utilisation;
        if self.ticks.is_multiple_of(CPU_TICKS) {
            self.cpu = self.busy / f64::from(CPU_TICKS);
            self.busy = 0.0;
        }
        if self.ticks.is_multiple_of(LOAD_TICKS) {
            // 5 s of a minute.
            let keeps = math::exp(-5.0 / 60.0);
            self.load1 = keeps * self.load1 + (1.0 - keeps) * tick.load;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, success};

    /// 100 completions in each half second at 50 ms: 200/s times 0.05 s are 10.
    fn known(trigger: SentinelTrigger) -> Sentinel {
        let mut policy = Sentinel::new(trigger);
        for step in 0..200 {
            let at = 10.0 + f64::from(step) * 0.005;
            policy.arrive(&arrival(at, 0));
            policy.done(&success(at, 0, 0.05));
        }
        policy
    }

    fn tick(policy: &mut Sentinel, ticks: u32, utilisation: f64, load: f64) {
        for _ in 0..ticks {
            policy.tick(&Tick { now: Timestamp::from_millis(10_999), utilisation, load });
        }
    }

    /// How many of 30 are admitted at once.
    fn admitted(policy: &mut Sentinel) -> usize {
        (0..30).filter(|slot| policy.arrive(&arrival(10.999, *slot)) == Verdict::Admit).count()
    }

    /// The documented estimate: lowest latency times most completions per second.
    #[test]
    fn capacity_is_the_documented_product() {
        let mut policy = known(SentinelTrigger::LOAD);
        let now = |secs: f64| Timestamp::ZERO.add_secs(secs);
        assert!((policy.capacity(now(10.999)) - 10.0).abs() < 1e-9);
        assert!((policy.capacity(now(11.4)) - 10.0).abs() < 1e-9, "the last window is kept");
        let forgotten = policy.capacity(now(12.1));
        assert!((forgotten - 10.0).abs() < 1e-9, "1 a window, 2/s, at 5 s: {forgotten}");
        let mut fresh = Sentinel::new(SentinelTrigger::LOAD);
        assert!((fresh.capacity(now(0.1)) - 10.0).abs() < 1e-9, "1 a window at 5 s");
    }

    /// The documented condition: the load above its threshold *and* more in flight than fits. An
    /// arrival is compared with those before it, so one more is admitted than fits.
    #[test]
    fn it_refuses_only_above_both_thresholds() {
        let mut calm = known(SentinelTrigger::LOAD);
        tick(&mut calm, 50, 1.0, 30.0);
        // (1 - exp(-1/12)) * 30 = 2.4.
        assert_eq!(admitted(&mut calm), 30);
        let mut loaded = known(SentinelTrigger::LOAD);
        tick(&mut loaded, 50, 1.0, 32.0);
        assert_eq!(admitted(&mut loaded), 11);
    }

    #[test]
    fn the_processor_triggers_within_a_second() {
        for (utilisation, expected) in [(0.79, 30), (0.81, 11)] {
            let mut policy = known(SentinelTrigger::CPU);
            tick(&mut policy, 10, utilisation, 0.0);
            assert_eq!(admitted(&mut policy), expected, "{utilisation}");
        }
    }
}
