//! Clocks: where the points in time that the physics needs come from.
//!
//! Nothing in Atrion reads the machine's clock except this module. Everything else is handed a
//! [`Clock`] or a [`Timestamp`], so that tests and simulations run on virtual time and a run can
//! be replayed.
//!
//! ```
//! use atrion_state::clock::{Clock, ManualClock, MonotonicClock};
//! use std::time::Duration;
//!
//! let real = MonotonicClock::new();
//! let before = real.now();
//! assert!(real.now() >= before);
//!
//! let manual = ManualClock::new();
//! let shared = manual.clone(); // the same time, seen from elsewhere
//! manual.advance(Duration::from_millis(100));
//! assert_eq!(shared.now().as_nanos(), 100_000_000);
//! ```

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atrion_core::time::Timestamp;

/// A source of [`Timestamp`]s.
///
/// # Contract
///
/// - **Origin.** Arbitrary, but fixed for the life of the value and of all its clones. Readings
///   of unrelated clocks must not be compared.
/// - **Backwards time.** A clock should never step back, but readers must not depend on it:
///   counters of two processor cores may disagree by some nanoseconds, and a test may turn a
///   [`ManualClock`] back on purpose. Whoever subtracts two readings does so with
///   [`Timestamp::since`] or [`Timestamp::nanos_since`], for which a step back is a step of
///   zero. No state may be corrupted, and no deadline lost for good, by a step back.
/// - **Forward jumps** (a suspended machine, a stopped debugger) are allowed in any size.
/// - **Standing still** is allowed: two readings may be equal.
/// - **Cost.** `now` is called on the request path. It neither blocks nor allocates nor panics.
pub trait Clock: Send + Sync + 'static {
    /// The present point in time.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    #[inline]
    fn now(&self) -> Timestamp {
        C::now(self)
    }
}

/// The machine's monotonic clock, read from the processor's time-stamp counter where that is
/// reliable and from the operating system otherwise.
///
/// All monotonic clocks of a process share one origin, set when the first is made, so their
/// readings may be compared with each other. A clone is a copy of a few words.
///
/// The counter is calibrated against the operating system once per process, which keeps the
/// first call of [`MonotonicClock::new`] busy for up to 200 ms. Afterwards its rate is fixed: it
/// may drift from the system's clock by some millionths, which is far below what any constant
/// of the physics is known to.
///
/// The counter is used only where the processor promises a constant rate. Two cores' counters
/// may still disagree by some nanoseconds, so two threads may too, and so may a thread that moves
/// from one core to another; see the backwards rule of [`Clock`].
#[derive(Clone, Debug)]
pub struct MonotonicClock {
    source: quanta::Clock,
    origin: u64,
}

impl MonotonicClock {
    /// The process's monotonic clock.
    pub fn new() -> Self {
        static PROCESS: OnceLock<MonotonicClock> = OnceLock::new();
        PROCESS
            .get_or_init(|| {
                let source = quanta::Clock::new();
                let origin = source.raw();
                Self { source, origin }
            })
            .clone()
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    #[inline]
    fn now(&self) -> Timestamp {
        // Saturates at zero, so a core whose counter lags the origin reads the origin.
        Timestamp::from_nanos(self.source.delta_as_nanos(self.origin, self.source.raw()))
    }
}

/// A clock that moves only when told to, for tests and simulations.
///
/// Clones share the same time. It starts at [`Timestamp::ZERO`].
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that stands at [`Timestamp::ZERO`].
    pub fn new() -> Self {
        Self::default()
    }

    /// A clock that stands at `start`.
    pub fn starting_at(start: Timestamp) -> Self {
        let clock = Self::new();
        clock.set(start);
        clock
    }

    /// Moves the clock forward by `by`, stopping at [`Timestamp::MAX`], and returns the new time.
    pub fn advance(&self, by: Duration) -> Timestamp {
        let step = |now| Timestamp::from_nanos(now).saturating_add(by).as_nanos();
        let mut now = self.nanos.load(Ordering::Acquire);
        loop {
            let next = step(now);
            match self.nanos.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Timestamp::from_nanos(next),
                Err(actual) => now = actual,
            }
        }
    }

    /// Puts the clock to `to`, which may lie in its past: that is how the backwards rule of
    /// [`Clock`] is tested.
    pub fn set(&self, to: Timestamp) {
        self.nanos.store(to.as_nanos(), Ordering::Release);
    }
}

impl Clock for ManualClock {
    #[inline]
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.nanos.load(Ordering::Acquire))
    }
}

#[cfg(test)]
#[path = "clock/tests.rs"]
mod tests;
