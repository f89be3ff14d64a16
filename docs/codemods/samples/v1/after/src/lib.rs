//! A health check that keeps the state of its route itself, in the style of version 1.
#![allow(warnings, reason = "an excerpt of somebody's program")]

#[path = "../../../../protection.rs"]
mod protection;

use std::time::Duration;

use atrion::Priority;
use atrion::Timestamp;

use atrion::core::config::PhysicsConfig;
use atrion::core::telemetry::{TelemetryBuilder, TelemetryError};

pub struct Check {
    state: atrion::Route,
    config: PhysicsConfig,
}

impl Check {
    pub fn new(now: Timestamp) -> Self {
        let config = PhysicsConfig::default();
        Self { state: crate::protection::route("state"), config }
    }

    pub fn report(
        &mut self,
        sample: TelemetryBuilder,
        now: Timestamp,
    ) -> Result<bool, TelemetryError> {
        let decision = self.state.update_physics(&sample.build()?);

        Ok(decision.flow(Priority::Normal).passes())
    }
}

pub fn watch(
    samples: impl IntoIterator<Item = TelemetryBuilder>,
    config: &PhysicsConfig,
) -> Result<usize, TelemetryError> {
    let state = crate::protection::route("state");
    let mut now = Timestamp::ZERO;
    let mut open = 0;
    for sample in samples {
        now = now.saturating_add(Duration::from_millis(100));
        let decision = state.update_physics(&sample.build()?);

        open += usize::from(decision.flow(Priority::Normal).passes());
    }
    Ok(open)
}
