//! The route machine for callers who supply telemetry: BOOTSTRAP, OPERATIONAL, CIRCUIT_BREAKER.
//!
//! [`RouteState`] is a plain value. Every method takes the old state and returns the new one; it
//! reads no clock, draws no random numbers and cannot fail, because [`Telemetry`] is checked
//! before it gets here. Time that stands still or steps back is a step of zero.
//!
//! ```text
//!              bootstrap_secs after the first look
//! BOOTSTRAP ─────────────────────────────────────▶ OPERATIONAL ◀──────────────┐
//!                                                       │                     │ scar < recovery_ohms,
//!                          R ≥ break threshold, trauma  │                     │ no trauma
//!                                                       ▼                     │
//!                                                CIRCUIT_BREAKER ─────────────┘
//! ```
//!
//! An open circuit gets no ordinary traffic, so it must not wait for any. There are three ways
//! out, and each is bounded in time: successful probes ([`RouteState::begin_probe`]), reports
//! that the service is healthy, and mere time, which needs nobody.
//!
//! The in-flight count of a request path says more, sooner, than any telemetry; [`law`](crate::law)
//! is the machine for that. This one is for callers who have telemetry only. Whoever at least counts
//! what it lets through between two reports asks [`Decision::flow_after`], and comes close to it.

mod forecast;
mod outlook;
mod probing;
mod state;

pub use outlook::Outlook;
pub use probing::Probing;
pub use state::RouteState;

use core::time::Duration;

use crate::flow::{self, Flow, Rejection};
use crate::resistance::Parts;
use crate::telemetry::{Telemetry, TelemetryBuilder, TelemetryError};
use crate::time::Timestamp;
use crate::units::{Ohms, Volts};

use crate::config::PhysicsConfig;

/// What a route lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It only listens: resistance is fixed a little above the base, nothing scars. Only a queue
    /// acts, where callers report how many requests are in flight.
    #[default]
    Bootstrap,
    /// Requests pass if their voltage exceeds the resistance.
    Operational,
    /// Only probes pass.
    CircuitBreaker,
}

impl Mode {
    /// The published name, in upper case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bootstrap => "BOOTSTRAP",
            Self::Operational => "OPERATIONAL",
            Self::CircuitBreaker => "CIRCUIT_BREAKER",
        }
    }
}

impl core::fmt::Display for Mode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a route answers at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The mode.
    pub mode: Mode,
    /// The resistance, part by part, as of the report.
    pub parts: Parts,
    /// How it moves until the next report; `None` if the reports do not say how many requests are
    /// in flight.
    pub outlook: Option<Outlook>,
    /// Requests that may look at an open circuit until the next report, whatever their voltage.
    /// What becomes of them is taken from the reports.
    pub probes: u32,
}

impl Decision {
    /// The resistance.
    pub fn resistance(&self) -> Ohms {
        self.parts.total()
    }

    /// Whether a request of this voltage passes, and why not, as of the report.
    pub fn flow(&self, voltage: impl Into<Volts>) -> Flow {
        flow::decide(voltage.into(), self.resistance(), self.mode == Mode::CircuitBreaker)
    }

    /// The resistance when `admitted` requests passed in the time `since` the report.
    ///
    /// Without an [`outlook`](Self::outlook) it is the one of the report.
    pub fn resistance_after(&self, admitted: u64, since: Duration) -> Ohms {
        match &self.outlook {
            Some(outlook) => {
                let mut parts = self.parts;
                parts.saturation = outlook.ohms(admitted as f64, since.as_secs_f64());
                parts.total()
            }
            None => self.resistance(),
        }
    }

    /// Whether one more request of this voltage passes when `admitted` have passed in the time
    /// `since` the report.
    ///
    /// Count what you let through, one atomic will do, and start over with each report. Then a
    /// surge between two reports meets the resistance it causes, and an open circuit lets its
    /// [`probes`](Self::probes) look.
    ///
    /// ```
    /// use atrion_core::breaker::{RouteState, update_physics};
    /// use atrion_core::config::PhysicsConfig;
    /// use atrion_core::flow::Priority;
    /// use atrion_core::telemetry::Telemetry;
    /// use atrion_core::time::Timestamp;
    /// use std::time::Duration;
    ///
    /// // Ten places, half of them in use: 50 requests ended within the last second.
    /// let config = PhysicsConfig::builder().bootstrap_secs(0.0).build()?;
    /// let sample = Telemetry::builder().saturation(0.5).in_flight(5).outcomes(50, 0);
    /// let route = RouteState::new(Timestamp::ZERO, &config);
    /// let (_, decision) = update_physics(&route, sample, Timestamp::from_secs(1), &config)?;
    ///
    /// assert!(decision.flow(Priority::Normal).passes());
    /// // A flash crowd: a thousand at once would be too many.
    /// let at_once = |admitted| decision.flow_after(Priority::Normal, admitted, Duration::ZERO);
    /// assert!(at_once(10).passes() && !at_once(1000).passes());
    /// // Full, the service ends a hundred a second, so ten more may pass a tenth later.
    /// let most = (0..).find(|n| !at_once(*n).passes()).unwrap();
    /// let later = |n| decision.flow_after(Priority::Normal, n, Duration::from_millis(100));
    /// assert!(later(most + 9).passes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flow_after(&self, voltage: impl Into<Volts>, admitted: u64, since: Duration) -> Flow {
        if self.mode == Mode::CircuitBreaker {
            let looks = admitted < u64::from(self.probes);
            return if looks { Flow::Pass } else { Flow::Reject(Rejection::CircuitOpen) };
        }
        flow::decide(voltage.into(), self.resistance_after(admitted, since), false)
    }
}

/// One step of the published engine: state and telemetry in, state and decision out.
///
/// This is the stateless way in for those who keep the state themselves. The sample may be
/// unchecked; one that cannot be used is refused, and the state that was passed in stays valid.
///
/// # Errors
/// [`TelemetryError`] if the sample has a number out of range, or none at all.
///
/// ```
/// use atrion_core::breaker::{Mode, RouteState, update_physics};
/// use atrion_core::config::PhysicsConfig;
/// use atrion_core::flow::Priority;
/// use atrion_core::telemetry::Telemetry;
/// use atrion_core::time::Timestamp;
///
/// let config = PhysicsConfig::default();
/// let mut state = RouteState::new(Timestamp::ZERO, &config);
/// for tick in 1..=50 {
///     let dead = Telemetry::builder().outcomes(0, 10); // ten requests, all failed
///     let now = Timestamp::from_millis(100 * tick);
///     (state, _) = update_physics(&state, dead, now, &config)?;
/// }
/// let decision = state.decision(Timestamp::from_secs(5), &config);
/// assert_eq!(decision.mode, Mode::CircuitBreaker);
/// assert!(!decision.flow(Priority::Critical).passes());
///
/// // Nobody sends anything any more, and the route is passable again all the same.
/// let later = state.advance(Timestamp::from_secs(60), &config);
/// assert!(later.decision(Timestamp::from_secs(60), &config).flow(Priority::Bulk).passes());
///
/// let nonsense = Telemetry::builder().error_rate(f64::NAN);
/// assert!(update_physics(&state, nonsense, Timestamp::from_secs(6), &config).is_err());
/// # Ok::<(), atrion_core::telemetry::TelemetryError>(())
/// ```
pub fn update_physics(
    state: &RouteState,
    sample: impl Into<TelemetryBuilder>,
    now: Timestamp,
    config: &PhysicsConfig,
) -> Result<(RouteState, Decision), TelemetryError> {
    let sample: Telemetry = sample.into().build()?;
    Ok(state.report(&sample, now, config))
}

#[cfg(test)]
mod tests;
