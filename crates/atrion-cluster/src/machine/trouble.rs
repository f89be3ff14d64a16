//! Failures, and what happens because time has passed.

use std::time::Duration;

use atrion_core::units::UnitInterval;

use super::ClusterCore;
use super::echo::Echo;
use super::event::Event;
use super::link::{Flight, Phase, Step};
use super::time::Elapsed;
use crate::transport::TransportError;

/// Silent nodes and healed routes are looked for this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// What found no room in the inbox is made good this often at most.
const MAKE_GOOD_EVERY: Duration = Duration::from_secs(5);

impl ClusterCore {
    pub(crate) fn call_failed(
        &mut self,
        flight: &Flight,
        error: &TransportError,
        now: Elapsed,
        draw: UnitInterval,
    ) {
        let name = flight.purpose.name();
        self.failed(Some(error), || format!("{name}: {error}"), now, draw);
    }

    /// The session is of no use any more: tries again with a new one, later.
    pub(crate) fn failed(
        &mut self,
        error: Option<&TransportError>,
        reason: impl FnOnce() -> String,
        now: Elapsed,
        draw: UnitInterval,
    ) {
        match self.link.phase {
            Phase::Session(_) => {}
            Phase::Leaving => return self.closed(),
            Phase::Off | Phase::Dormant(_) | Phase::Waiting(_) => return,
        }
        self.stats.failures += 1;
        let reason = reason();
        self.trouble = Some(reason.clone());
        self.drop_session();
        self.link.fail(error, self.registers.live(), now, draw);
        if let Some(event) = self.alarm.fail(now, || reason) {
            self.events.tell(event);
        }
    }

    /// Gives up the session and everything that belongs to it.
    pub(crate) fn drop_session(&mut self) {
        self.link.drop_session();
        self.outbox.restore(&self.own);
        self.reads.clear();
        self.echo = Echo::default();
    }

    pub(crate) fn timers(&mut self, now: Elapsed, draw: UnitInterval) {
        if let Some(flight) = self.link.flight.take_if(|flight| flight.deadline <= now) {
            self.stats.timeouts += 1;
            let (name, after) = (flight.purpose.name(), now.since(flight.started));
            self.failed(None, || format!("{name} did not end within {after:.1?}"), now, draw);
        }
        if self.echo_at().is_some_and(|at| at <= now) {
            self.stats.half_dead += 1;
            let reason = || "own frames do not come back".to_owned();
            self.failed(None, reason, now, draw);
        }
        self.settle_conflict(now, draw);
        match self.link.phase {
            Phase::Waiting(until) if until <= now => self.link.begin(),
            Phase::Dormant(Some(until)) if until <= now => self.begin(),
            _ => {}
        }
        if self.sweep_at <= now {
            self.sweep_at = now.plus(self.sweep_every());
            self.make_good(now);
            for (id, name) in self.registers.sweep(now) {
                self.reads.forget(id);
                self.events.tell_of_node(Event::NodeLeft { id, name }, now);
            }
        }
    }

    /// What was missed is read anew, but not all the time: a channel full of other people's messages
    /// must not make every node read everything in a loop.
    pub(crate) fn make_good(&mut self, now: Elapsed) {
        if self.pace.missed.is_some() && self.pace.made_good_at.plus(MAKE_GOOD_EVERY) <= now {
            (self.pace.missed, self.pace.made_good_at) = (None, now);
            self.pace.index_wanted = true;
        }
    }

    pub(crate) fn sweep_every(&self) -> Duration {
        (self.config.lifetime / 8).clamp(Duration::from_millis(1), SWEEP_EVERY)
    }

    /// When own frames will have been missing for too long.
    fn echo_at(&self) -> Option<Elapsed> {
        let patience = self.config.interval.saturating_mul(3).max(Duration::from_secs(1));
        self.echo.deadline(patience).filter(|_| self.link.in_session())
    }

    pub(crate) fn next_timer(&self) -> Option<Elapsed> {
        let flight = self.link.flight.map(|flight| flight.deadline);
        let next = match self.link.phase {
            Phase::Off => return None,
            Phase::Leaving => return Some(flight.unwrap_or(Elapsed::NEVER)),
            Phase::Dormant(at) => at,
            Phase::Waiting(until) => Some(until),
            Phase::Session(_) if flight.is_some() => flight,
            Phase::Session(Step::Up) => Some(self.routine_at()),
            Phase::Session(_) => Some(Elapsed::NEVER),
        };
        let sweep = Some(self.sweep_at);
        [next, self.echo_at(), self.identity.conflict_at(), sweep].into_iter().flatten().min()
    }

    /// When something is due on a link that is up and idle.
    fn routine_at(&self) -> Elapsed {
        let seat = self.seats.next().map(|(at, _)| at);
        let index = self.pace.index_wanted.then_some(Elapsed::NEVER);
        let others = [seat, index, self.reads.next()];
        let first = others.into_iter().flatten().min().unwrap_or(Elapsed::FOREVER);
        first.min(self.clock_at()).min(self.check_at()).min(self.commit_at())
    }
}
