//! What an element knows while nobody asks for it.

use super::super::LawConfig;
use super::super::breaker::{Breaker, BreakerMode, RestedBreaker};
use super::super::saturation::{RestedSaturation, Saturation};
use super::super::startup::{RestedStartup, Startup};
use super::{Element, Learning};
use crate::time::Timestamp;

/// An [`Element`] at rest, in about a quarter of the space: what it learned, to seven digits.
///
/// Rest is for routes that are calm and idle. [`Element::rest`] refuses all others, and
/// [`wake`](Self::wake) answers with an element that goes on where the first one stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Rested {
    learning: RestedLearning,
    breaker: RestedBreaker,
    last_tick: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
enum RestedLearning {
    Startup { startup: RestedStartup, marks_given: u32, marked_done: u32 },
    Running(RestedSaturation),
}

impl Element {
    /// The element at rest; `None` while it measures an exhale or a start under load, is open or
    /// scarred.
    pub fn rest(&self) -> Option<Rested> {
        let learning = match &self.learning {
            Learning::Startup(s) => RestedLearning::Startup {
                startup: s.rest()?,
                marks_given: self.marks_given,
                marked_done: self.marked_done,
            },
            Learning::Exhale(_) => return None,
            Learning::Running(s) => RestedLearning::Running(s.rest()),
        };
        let calm = self.breaker.mode() == BreakerMode::Closed;
        let breaker = calm.then(|| self.breaker.rest())?;
        Some(Rested { learning, breaker, last_tick: self.last_tick })
    }
}

impl Rested {
    /// The element as it was, the schedule of probes and the demand of long ago excepted. Tick it
    /// before its first use.
    pub fn wake(&self, config: &LawConfig) -> Element {
        let (learning, marks_given, marked_done) = match &self.learning {
            RestedLearning::Startup { startup, marks_given, marked_done } => {
                (Learning::Startup(Startup::woken(startup)), *marks_given, *marked_done)
            }
            RestedLearning::Running(s) => (Learning::Running(Saturation::woken(s)), 0, 0),
        };
        Element {
            learning,
            breaker: Breaker::woken(&self.breaker, config),
            last_tick: self.last_tick,
            last_growth: Timestamp::ZERO,
            marks_given,
            marked_done,
            recent_ln: 0.0,
        }
    }

    /// When the element was last brought up to date.
    pub const fn last_tick(&self) -> Timestamp {
        self.last_tick
    }
}

#[cfg(test)]
#[path = "rested_tests.rs"]
mod tests;
