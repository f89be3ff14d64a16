//! How the provider is doing: connection, subscription, failures.

use std::time::Duration;

use atrion_core::units::UnitInterval;

use super::alarm::Alarm;
use super::config::PulseConfig;
use super::event::PulseEvent;
use super::operation::Request;
use super::steady::Elapsed;
use crate::provider::Health;
use crate::retry::backoff;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Untried,
    Down,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscription {
    /// To be made when the time has come.
    Wanted(Elapsed),
    Open,
    Unsupported,
}

/// The state of the link to the provider and when to try again.
#[derive(Debug)]
pub(super) struct Link {
    base: Duration,
    cap: Duration,
    connection: Connection,
    subscription: Subscription,
    stream_ends: u32,
    warmed: bool,
    degraded: bool,
    failures: u32,
    retry_at: Option<Elapsed>,
    alarm: Alarm,
}

impl Link {
    pub(super) fn new(config: &PulseConfig) -> Self {
        Self {
            base: config.backoff_base(),
            cap: config.backoff_cap(),
            connection: Connection::Untried,
            subscription: Subscription::Wanted(Elapsed::START),
            stream_ends: 0,
            warmed: false,
            degraded: false,
            failures: 0,
            retry_at: None,
            alarm: Alarm::new(config.warn_interval()),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.connection == Connection::Up
    }

    /// Whether there is anything to disconnect.
    pub(super) fn was_tried(&self) -> bool {
        self.connection != Connection::Untried
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.is_up() && self.alarm.is_healthy()
    }

    /// When the wait after a failure ends, if one is under way.
    pub(super) fn retry_at(&self) -> Option<Elapsed> {
        self.retry_at
    }

    /// Ends the wait if its time has come, and says whether it has.
    pub(super) fn take_retry(&mut self, now: Elapsed) -> bool {
        self.retry_at.take_if(|at| now >= *at).is_some()
    }

    /// Forgets earlier failures' claim on the time of the next attempt.
    pub(super) fn forgive(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    /// What has to be done before anything can be sent.
    pub(super) fn next_setup(&mut self, now: Elapsed) -> Option<Request> {
        match (self.connection, self.subscription) {
            (Connection::Untried | Connection::Down, _) => {
                self.connection = Connection::Down;
                Some(Request::Connect)
            }
            (Connection::Up, _) if !self.warmed => Some(Request::WarmStart),
            (Connection::Up, Subscription::Wanted(at)) if now >= at => Some(Request::Subscribe),
            (Connection::Up, _) => None,
        }
    }

    pub(super) fn connected(&mut self) {
        self.connection = Connection::Up;
    }

    pub(super) fn warmed(&mut self) {
        self.warmed = true;
    }

    pub(super) fn subscribed(&mut self, shares: bool) {
        self.subscription = if shares { Subscription::Open } else { Subscription::Unsupported };
    }

    /// A remote vector arrived: the subscription works.
    pub(super) fn heard(&mut self) {
        self.stream_ends = 0;
    }

    /// Whether a subscription was open. The next is not made at once: the provider may end that
    /// one just as fast.
    pub(super) fn stream_ended(&mut self, now: Elapsed, draw: UnitInterval) -> bool {
        if self.subscription != Subscription::Open {
            return false;
        }
        self.stream_ends = self.stream_ends.saturating_add(1);
        let wait = backoff(self.base, self.cap, self.stream_ends, draw);
        self.subscription = Subscription::Wanted(now.plus(wait));
        true
    }

    /// The provider says that it is not connected.
    pub(super) fn lost(&mut self) {
        if self.is_up() {
            self.connection = Connection::Down;
        }
        if self.subscription == Subscription::Open {
            self.subscription = Subscription::Wanted(Elapsed::START);
        }
    }

    pub(super) fn succeed(&mut self, now: Elapsed) -> Option<PulseEvent> {
        self.failures = 0;
        if self.degraded {
            return None;
        }
        self.alarm.succeed(now)
    }

    pub(super) fn fail(
        &mut self,
        reason: &str,
        now: Elapsed,
        draw: UnitInterval,
    ) -> Option<PulseEvent> {
        self.failures = self.failures.saturating_add(1);
        let wait = backoff(self.base, self.cap, self.failures, draw);
        self.retry_at = Some(now.plus(wait));
        self.alarm.fail(now, reason)
    }

    /// What the provider says of itself while all its calls succeed. `Disconnected` is a failure
    /// and not handled here.
    pub(super) fn reported(
        &mut self,
        health: Health,
        trouble: Option<&str>,
        now: Elapsed,
    ) -> Option<PulseEvent> {
        self.degraded = health == Health::Degraded;
        if self.degraded {
            let reason = trouble.unwrap_or("the provider reports that its store is away");
            return self.alarm.fail(now, reason);
        }
        if self.failures == 0 {
            return self.alarm.succeed(now);
        }
        None
    }
}
