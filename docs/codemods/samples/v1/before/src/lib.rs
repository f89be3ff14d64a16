//! A health check that keeps the state of its route itself, in the style of version 1.
#![allow(warnings, reason = "an excerpt of somebody's program")]

use std::time::Duration;

use atrion::Priority;
use atrion::Timestamp;
use atrion::core::breaker::{RouteState, update_physics};
use atrion::core::config::PhysicsConfig;
use atrion::core::telemetry::{TelemetryBuilder, TelemetryError};

pub struct Check {
    state: RouteState,
    config: PhysicsConfig,
}

impl Check {
    pub fn new(now: Timestamp) -> Self {
        let config = PhysicsConfig::default();
        Self { state: RouteState::new(now, &config), config }
    }

    pub fn report(
        &mut self,
        sample: TelemetryBuilder,
        now: Timestamp,
    ) -> Result<bool, TelemetryError> {
        let (next, decision) = update_physics(&self.state, sample, now, &self.config)?;
        self.state = next;
        Ok(decision.flow(Priority::Normal).passes())
    }
}

pub fn watch(
    samples: impl IntoIterator<Item = TelemetryBuilder>,
    config: &PhysicsConfig,
) -> Result<usize, TelemetryError> {
    let mut state = RouteState::new(Timestamp::ZERO, config);
    let mut now = Timestamp::ZERO;
    let mut open = 0;
    for sample in samples {
        now = now.saturating_add(Duration::from_millis(100));
        let (next, decision) = update_physics(&state, sample, now, config)?;
        state = next;
        open += usize::from(decision.flow(Priority::Normal).passes());
    }
    Ok(open)
}
