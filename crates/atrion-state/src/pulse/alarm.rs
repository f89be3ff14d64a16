//! What the pulse tells of the link: see [`retry::Alarm`] for how often.

use std::time::Duration;

use super::event::PulseEvent;
use super::steady::Elapsed;
use crate::retry;

/// Turns a stream of successes and failures into few events.
#[derive(Clone, Debug)]
pub(super) struct Alarm(retry::Alarm);

impl Alarm {
    pub(super) const fn new(every: Duration) -> Self {
        Self(retry::Alarm::new(every))
    }

    pub(super) const fn is_healthy(&self) -> bool {
        self.0.is_healthy()
    }

    pub(super) fn fail(&mut self, now: Elapsed, reason: &str) -> Option<PulseEvent> {
        let failing = self.0.fail(now.since_start())?;
        Some(PulseEvent::Unhealthy {
            reason: reason.to_owned(),
            failures: failing.failures,
            failing_for: failing.failing_for,
            suppressed: failing.suppressed,
        })
    }

    pub(super) fn succeed(&mut self, now: Elapsed) -> Option<PulseEvent> {
        let recovered = self.0.succeed(now.since_start())?;
        Some(PulseEvent::Healthy { failed_for: recovered.failed_for, failures: recovered.failures })
    }
}
