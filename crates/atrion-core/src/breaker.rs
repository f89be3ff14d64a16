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
//! is the machine for that. This one is for callers who have telemetry only.

mod forecast;
mod probing;
mod state;

pub use probing::Probing;
pub use state::RouteState;

use crate::flow::{self, Flow};
use crate::resistance::Parts;
use crate::telemetry::{Telemetry, TelemetryBuilder, TelemetryError};
use crate::time::Timestamp;
use crate::units::{Ohms, Volts};

use crate::config::PhysicsConfig;

/// What a route lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It only listens: resistance is fixed a little above the base, nothing scars.
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
    /// The resistance, part by part.
    pub parts: Parts,
}

impl Decision {
    /// The resistance.
    pub fn resistance(&self) -> Ohms {
        self.parts.total()
    }

    /// Whether a request of this voltage passes, and why not.
    pub fn flow(&self, voltage: impl Into<Volts>) -> Flow {
        flow::decide(voltage.into(), self.resistance(), self.mode == Mode::CircuitBreaker)
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
    let next = state.observe(&sample, now, config);
    Ok((next, next.decision(now, config)))
}

#[cfg(test)]
mod tests;
