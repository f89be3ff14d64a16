//! When a refused request would pass.

use core::time::Duration;

use super::RouteState;
use crate::config::PhysicsConfig;
use crate::time::Timestamp;
use crate::units::Volts;

/// Nothing is promised beyond this.
const HORIZON: Duration = Duration::from_secs(24 * 3600);
/// How exactly the moment is found.
const RESOLUTION_NANOS: u64 = 1_000_000;

impl RouteState {
    /// How long until a request of this voltage passes, if nothing new happens: zero if it
    /// passes now, `None` if it does not within a day.
    ///
    /// This is what a `Retry-After` should say, with jitter, so that those who were refused
    /// together do not return together. Without news, resistance only falls (staleness aside,
    /// which is bounded), so the moment is found by bisection, to a millisecond: some forty
    /// evaluations of the state, so ask for a request that was refused, not for every one.
    /// Probes may end it sooner.
    ///
    /// ```
    /// use atrion_core::breaker::RouteState;
    /// use atrion_core::config::PhysicsConfig;
    /// use atrion_core::flow::Priority;
    /// use atrion_core::telemetry::Telemetry;
    /// use atrion_core::time::Timestamp;
    /// use std::time::Duration;
    ///
    /// let config = PhysicsConfig::builder().bootstrap_secs(0.0).build()?;
    /// let now = Timestamp::from_secs(1);
    /// let full = Telemetry::builder().saturation(1.2).build().unwrap();
    /// let route = RouteState::new(Timestamp::ZERO, &config).observe(&full, now, &config);
    ///
    /// let high = route.passable_after(Priority::High, now, &config);
    /// assert_eq!(high, Some(Duration::ZERO));
    /// let low = route.passable_after(Priority::Low, now, &config).unwrap();
    /// let bulk = route.passable_after(Priority::Bulk, now, &config).unwrap();
    /// assert!(Duration::ZERO < low && low < bulk && bulk < Duration::from_secs(10));
    /// # Ok::<(), atrion_core::error::ConfigError>(())
    /// ```
    pub fn passable_after(
        &self,
        voltage: impl Into<Volts>,
        now: Timestamp,
        config: &PhysicsConfig,
    ) -> Option<Duration> {
        let voltage = voltage.into();
        let passes = |nanos: u64| {
            let then = now.saturating_add(Duration::from_nanos(nanos));
            self.decision(then, config).flow(voltage).passes()
        };
        if passes(0) {
            return Some(Duration::ZERO);
        }
        let horizon = HORIZON.as_nanos() as u64;
        let mut refused = 0;
        let mut passed = RESOLUTION_NANOS;
        while !passes(passed) {
            if passed >= horizon {
                return None;
            }
            refused = passed;
            passed = passed.saturating_mul(2).min(horizon);
        }
        while passed - refused > RESOLUTION_NANOS {
            let middle = refused + (passed - refused) / 2;
            if passes(middle) { passed = middle } else { refused = middle }
        }
        Some(Duration::from_nanos(passed))
    }
}
