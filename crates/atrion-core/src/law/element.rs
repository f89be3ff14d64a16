//! One route's element: start-up, saturation and breaker under one roof.

use super::LawConfig;
use super::breaker::{Breaker, BreakerMode};
use super::gate::Gate;
use super::saturation::Saturation;
use super::startup::{Exhale, Learned, Startup, YARDSTICK_REQUESTS};
use super::window::Window;
use crate::math;
use crate::time::Timestamp;

mod rested;

pub use rested::Rested;

/// Learning stops while errors are this frequent: a failing service shows nothing of itself.
const LEARN_BELOW_ERROR_RATE: f64 = 0.3;
/// Nothing came back for this many service times, within these bounds in seconds (and never less
/// than three service times): stalled.
const STALLED_SERVICE_TIMES: f64 = 20.0;
const STALLED_SECS: (f64, f64) = (1.0, 60.0);

/// What a route is doing about knowing its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Knows nothing yet: a small limit grows with every success.
    Startup,
    /// Lets the service drain to measure its bare service time.
    Exhale,
    /// Knows its service and keeps learning.
    Running,
}

#[derive(Clone, Debug, PartialEq)]
enum Learning {
    Startup(Startup),
    Exhale(Exhale),
    Running(Saturation),
}

/// What a tick changed beyond numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// The breaker's new mode, if it changed.
    pub mode: Option<BreakerMode>,
    /// Whether the learning phase changed.
    pub phase_changed: bool,
    /// How many further admissions are to be marked. Marks of an earlier phase are void.
    pub marks: u32,
}

/// One success that must reach the law on its own (see [`Gate::exact`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Latency, s.
    pub secs: f64,
    /// Its natural logarithm, ln s.
    pub ln: f64,
    /// In-flight count at its admission, itself included.
    pub in_flight: u32,
    /// Whether it carried a mark.
    pub marked: bool,
}

/// The learned state of one route: a pure machine fed by samples and ticks.
///
/// Feed it with [`tick`](Self::tick) at least every [`LawConfig::tick_secs`] while there is
/// traffic, and read [`gate`](Self::gate) after every change.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    learning: Learning,
    breaker: Breaker,
    last_tick: Timestamp,
    last_growth: Timestamp,
    marks_given: u32,
    marked_done: u32,
    recent_ln: f64,
}

impl Element {
    /// A route nobody has used. Its first tick hands out the first marks.
    pub fn new(now: Timestamp, config: &LawConfig) -> Self {
        let mut breaker = Breaker::new(config);
        breaker.count_from(0, now);
        Self {
            learning: Learning::Startup(Startup::new(config)),
            breaker,
            last_tick: now,
            last_growth: Timestamp::ZERO,
            marks_given: YARDSTICK_REQUESTS,
            marked_done: 0,
            recent_ln: 0.0,
        }
    }

    /// Marks a new route has to give: see [`TickReport::marks`].
    pub const FIRST_MARKS: u32 = YARDSTICK_REQUESTS;

    /// The learning phase.
    pub const fn phase(&self) -> Phase {
        match self.learning {
            Learning::Startup(_) => Phase::Startup,
            Learning::Exhale(_) => Phase::Exhale,
            Learning::Running(_) => Phase::Running,
        }
    }

    /// Error memory and probing.
    pub const fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// The same, to take probes or restore scars.
    pub fn breaker_mut(&mut self) -> &mut Breaker {
        &mut self.breaker
    }

    /// When the state was last brought up to date.
    pub const fn last_tick(&self) -> Timestamp {
        self.last_tick
    }

    /// C, the learned parallelism in requests; `None` before it is known.
    pub const fn parallelism(&self) -> Option<f64> {
        match &self.learning {
            Learning::Running(s) => Some(s.parallelism),
            _ => None,
        }
    }

    /// R0, the learned bare service time in seconds; `None` before anything is known.
    pub fn service_secs(&self) -> Option<f64> {
        match &self.learning {
            Learning::Running(s) => Some(s.service_secs),
            Learning::Startup(s) => s.yardstick_secs(),
            Learning::Exhale(e) => Some(e.service_secs()),
        }
    }

    /// l0, the mean natural logarithm of the bare service time, ln s; `None` before anything is
    /// known.
    pub fn service_ln(&self) -> Option<f64> {
        match &self.learning {
            Learning::Running(s) => Some(s.service_ln()),
            Learning::Startup(s) => s.yardstick_ln(),
            Learning::Exhale(e) => Some(e.service_ln()),
        }
    }

    /// Contended requests faster than this, in seconds, are as quick as half of those that met no
    /// queue: see [`Window::quick`]. Zero before the service is known.
    pub fn quick_below_secs(&self) -> f64 {
        match &self.learning {
            Learning::Running(s) => s.quick_below_secs(),
            _ => 0.0,
        }
    }

    /// X, the highest throughput the service has shown, 1/s; `None` before it is known.
    pub const fn capacity_rate(&self) -> Option<f64> {
        match &self.learning {
            Learning::Running(s) => Some(s.capacity_rate()),
            _ => None,
        }
    }

    /// How fast a queue drains, 1/s: the throughput shown, or what the learned parallelism does if
    /// little was ever asked of it. `None` before it is known.
    pub fn drain_rate(&self) -> Option<f64> {
        match &self.learning {
            Learning::Running(s) => {
                Some(math::max(s.capacity_rate(), s.parallelism / s.service_secs))
            }
            _ => None,
        }
    }

    /// Whether latency says that requests are queueing, and not that a part of them is slow by
    /// itself.
    pub fn is_congested(&self) -> bool {
        match &self.learning {
            Learning::Running(s) => s.is_queueing(),
            _ => false,
        }
    }

    /// With requests in flight and nothing coming back for this long, in seconds, they may be
    /// lost, and one more may look.
    pub fn stalled_after_secs(&self) -> f64 {
        let service = self.service_secs().unwrap_or(0.0);
        let longest = math::max(STALLED_SECS.1, 3.0 * service);
        math::clamp(STALLED_SERVICE_TIMES * service, STALLED_SECS.0, longest)
    }

    /// The published form of the state. `stress_ohms` is what reported telemetry adds.
    pub fn gate(&self, stress_ohms: f64, config: &LawConfig) -> Gate {
        self.gate_in_series(stress_ohms, 0.0, config)
    }

    /// The same for a route that shares its bottleneck with others, where a request takes
    /// `shared_secs` without a queue, on average.
    pub fn gate_in_series(&self, stress_ohms: f64, shared_secs: f64, config: &LawConfig) -> Gate {
        let (free_zone, queue, passing, wall, exact, uncontended) = match &self.learning {
            Learning::Startup(s) => (f64::from(s.limit()), 1.0, 0.0, true, true, 0),
            Learning::Exhale(e) => (f64::from(e.limit()), 1.0, 0.0, true, true, 0),
            Learning::Running(s) => {
                let (zone, queue) = (s.free_zone(config), s.queue(shared_secs, config));
                (
                    zone,
                    queue,
                    config.queue_passing() * s.passing(),
                    false,
                    false,
                    s.uncontended_limit(),
                )
            }
        };
        Gate {
            floor_ohms: config.base_ohms() + stress_ohms + self.breaker.scar(),
            free_zone,
            queue,
            passing,
            wall,
            open: self.breaker.mode() == BreakerMode::Open,
            exact,
            uncontended,
        }
    }

    /// One success while [`Gate::exact`] holds. Outside of it, nothing happens.
    pub fn sample(&mut self, sample: &Sample) {
        if self.is_frozen() {
            return;
        }
        match &mut self.learning {
            Learning::Startup(s) => {
                s.sample(sample.secs, sample.ln, sample.in_flight, sample.marked);
            }
            Learning::Exhale(e) if sample.marked => e.sample(sample.secs, sample.ln),
            Learning::Exhale(_) | Learning::Running(_) => {}
        }
    }

    /// Brings the state up to `now` with what was seen since the last tick. `refused` says that
    /// somebody was refused for saturation; `draw`, uniform in `[0, 1)`, jitters probes.
    ///
    /// If `now` lies before the last tick the clock stepped back: no time has passed, and every
    /// remembered moment that now lies in the future is taken to be `now`, so that no deadline
    /// is lost.
    pub fn tick(
        &mut self,
        window: &Window,
        refused: bool,
        now: Timestamp,
        draw: f64,
        config: &LawConfig,
    ) -> TickReport {
        let dt_secs = now.secs_since(self.last_tick);
        if now < self.last_tick {
            self.rebase(now);
        }
        self.last_tick = now;
        let endings = window.endings();
        let mode = self.breaker.tick(&endings, dt_secs, now, draw, config);
        self.marked_done = self.marked_done.saturating_add(window.marked_done);
        let next = self.learn(window, refused, dt_secs, now, config);
        let phase_changed = next.is_some();
        if let Some(next) = next {
            self.learning = next;
            self.marks_given = 0;
            self.marked_done = 0;
        }
        TickReport { mode, phase_changed, marks: self.give_marks(config) }
    }

    fn rebase(&mut self, now: Timestamp) {
        self.last_growth = self.last_growth.min(now);
        self.breaker.rebase(now);
        match &mut self.learning {
            Learning::Startup(s) => s.rebase(now),
            Learning::Exhale(e) => e.rebase(now),
            Learning::Running(s) => s.rebase(now),
        }
    }

    fn is_frozen(&self) -> bool {
        self.breaker.mode() == BreakerMode::Open
            || self.breaker.error_rate() >= LEARN_BELOW_ERROR_RATE
    }

    fn learn(
        &mut self,
        window: &Window,
        refused: bool,
        dt_secs: f64,
        now: Timestamp,
        config: &LawConfig,
    ) -> Option<Learning> {
        if self.is_frozen() {
            return None;
        }
        match &mut self.learning {
            Learning::Startup(s) => {
                s.samples(&window.uncontended);
                s.samples(&window.contended);
                let learned = s.tick(window.in_flight, refused, dt_secs, now)?;
                self.recent_ln = s.recent_ln();
                Some(if learned.limit_bound && config.exhale_samples() > 0.0 {
                    Learning::Exhale(Exhale::new(learned, self.recent_ln, now))
                } else {
                    self.running(&learned, now)
                })
            }
            Learning::Exhale(e) => {
                let learned = e.tick(self.marked_done, now, config)?;
                let again = e.again(&learned, now).map(Learning::Exhale);
                Some(again.unwrap_or_else(|| self.running(&learned, now)))
            }
            Learning::Running(s) => {
                s.tick(window, dt_secs, now, config);
                None
            }
        }
    }

    fn running(&self, learned: &Learned, now: Timestamp) -> Learning {
        // After an exhale the present is what was just measured, not the overload before it.
        let recent_ln = if learned.limit_bound { learned.service_ln } else { self.recent_ln };
        Learning::Running(Saturation::new(learned, recent_ln, now))
    }

    /// Start-up wants its yardstick, the exhale its samples. A marked request that failed or was
    /// cancelled in start-up is replaced, or a flaky service would never get a yardstick.
    fn give_marks(&mut self, config: &LawConfig) -> u32 {
        let wanted = match &self.learning {
            Learning::Startup(s) => s.marks_wanted(self.marked_done),
            Learning::Exhale(_) => config.exhale_samples() as u32,
            Learning::Running(_) => 0,
        };
        let marks = wanted.saturating_sub(self.marks_given);
        self.marks_given = self.marks_given.saturating_add(marks);
        marks
    }

    /// An arrival met queue current `current` while the last completion was at `last_done`.
    /// Returns whether the free zone was tentatively enlarged, so that the gate must be
    /// published again.
    pub fn grow(&mut self, current: f64, last_done: Timestamp, now: Timestamp) -> bool {
        const GROW_ABOVE_CURRENT: f64 = 0.2;
        match &mut self.learning {
            Learning::Running(s) if current > GROW_ABOVE_CURRENT => {
                s.grow(last_done, &mut self.last_growth, now)
            }
            _ => false,
        }
    }
}
