//! Says once that the link is down, then at a bounded rate, then once that it is up again.

use std::time::Duration;

use super::event::PulseEvent;
use super::steady::Elapsed;

/// Turns a stream of successes and failures into few events.
///
/// At most one [`PulseEvent::Unhealthy`] is raised in any `every`, however the link flaps, and a
/// [`PulseEvent::Healthy`] only after an `Unhealthy` that was raised.
#[derive(Clone, Debug)]
pub(super) struct Alarm {
    every: Duration,
    failures: u32,
    failing_since: Option<Elapsed>,
    raised_at: Option<Elapsed>,
    announced: bool,
    suppressed: u64,
}

impl Alarm {
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            failures: 0,
            failing_since: None,
            raised_at: None,
            announced: false,
            suppressed: 0,
        }
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.failing_since.is_none()
    }

    pub(super) fn fail(&mut self, now: Elapsed, reason: &str) -> Option<PulseEvent> {
        self.failures = self.failures.saturating_add(1);
        let since = *self.failing_since.get_or_insert(now);
        let due = self.raised_at.is_none_or(|raised| now.since(raised) >= self.every);
        if !due {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.raised_at = Some(now);
        self.announced = true;
        Some(PulseEvent::Unhealthy {
            reason: reason.to_owned(),
            failures: self.failures,
            failing_for: now.since(since),
            suppressed: std::mem::take(&mut self.suppressed),
        })
    }

    pub(super) fn succeed(&mut self, now: Elapsed) -> Option<PulseEvent> {
        let failures = std::mem::take(&mut self.failures);
        let since = self.failing_since.take()?;
        std::mem::take(&mut self.announced)
            .then(|| PulseEvent::Healthy { failed_for: now.since(since), failures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Elapsed {
        Elapsed::START.plus(Duration::from_secs(secs))
    }

    #[test]
    fn warns_once_then_at_a_bounded_rate_then_reports_recovery() {
        let mut alarm = Alarm::new(Duration::from_secs(60));
        let raised: Vec<u64> =
            (0..150).filter(|second| alarm.fail(at(*second), "refused").is_some()).collect();
        assert_eq!(raised, [0, 60, 120]);
        assert_eq!(
            alarm.succeed(at(150)),
            Some(PulseEvent::Healthy { failed_for: Duration::from_secs(150), failures: 150 })
        );
        assert_eq!(alarm.succeed(at(151)), None);
    }

    #[test]
    fn a_flapping_link_is_as_quiet_as_a_dead_one() {
        let mut alarm = Alarm::new(Duration::from_secs(60));
        let mut raised = Vec::new();
        for second in 0..120 {
            raised.extend(alarm.fail(at(second), "reset"));
            raised.extend(alarm.succeed(at(second)));
        }
        assert_eq!(raised.len(), 4, "{raised:?}");
        assert!(matches!(raised[2], PulseEvent::Unhealthy { suppressed: 59, .. }));
    }
}
