//! Readiness and liveness, as data.
//!
//! The rule is the project's: fail towards traffic. A process whose Redis, PostgreSQL or licence is
//! gone still serves, and still protects itself; taking it out of the load balancer would move its
//! traffic to others and help nobody. So nothing that lies behind the provider makes it unready,
//! with one exception that ends by itself: a fresh process may wait for what the others know.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_engine::{Atrion, ObserverHealth};
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::provider::Health;

/// Answers the probes of an orchestrator.
///
/// - [`liveness`](Self::liveness): the process runs. Never false: nothing that Atrion knows is made
///   better by a restart, which would lose what it learned.
/// - [`readiness`](Self::readiness): send it traffic. False only from [`drain`](Self::drain) on, and
///   in the first moments if [`wait_for_provider`](Self::wait_for_provider) says so.
///
/// ```
/// use atrion_engine::Atrion;
/// use atrion_observe::Probe;
///
/// let atrion = Atrion::builder().build()?;
/// let probe = Probe::new(&atrion);
/// assert!(probe.readiness().ready);
/// probe.drain(); // a shutdown has begun
/// assert!(!probe.readiness().ready);
/// assert!(probe.liveness().live);
/// # Ok::<(), atrion_engine::BuildError>(())
/// ```
pub struct Probe {
    atrion: Atrion,
    clock: Box<dyn Clock>,
    started: Timestamp,
    patience: Duration,
    heard: AtomicBool,
    draining: AtomicBool,
}

/// What a liveness probe is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Liveness {
    /// The process runs. Always true.
    pub live: bool,
}

/// What a readiness probe is told. Answer 200 if `ready`, 503 if not; the rest is for people.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Readiness {
    /// Send it traffic.
    pub ready: bool,
    /// Why not.
    pub waiting: Option<Waiting>,
    /// How the provider's link is; `None` without a provider.
    pub link: Option<Link>,
    /// Nodes of the cluster believed to be alive, this one included; zero if nobody can tell.
    pub nodes: usize,
    /// How the licence stands; `None` if none is needed.
    pub license: Option<LicenseHealth>,
    /// Routes that exist.
    pub routes: usize,
    /// Look-ups that found no room for a route of their own, since the start.
    pub overflowed: u64,
    /// Events that observers did not get because they did not keep up, since the start.
    pub events_dropped: u64,
}

/// Why a process is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Waiting {
    /// For what the others know; not for long.
    ForProvider,
    /// For its end.
    Draining,
}

/// How the provider's link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Link {
    /// The last exchange worked.
    Healthy,
    /// The store does not serve; local protection goes on.
    Degraded,
    /// Not connected yet, or not any more.
    Disconnected,
}

/// How the licence stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LicenseHealth {
    /// A stable word, such as `expiring`.
    pub status: &'static str,
    /// The status in a sentence. Never shows the key.
    pub message: String,
    /// Days until it ends, or in grace until the grace does.
    pub days_left: Option<u32>,
}

impl Probe {
    /// A probe of this instance, which is ready at once.
    pub fn new(atrion: &Atrion) -> Self {
        Self::with_clock(atrion, MonotonicClock::new())
    }

    /// One that reads the time from here.
    pub fn with_clock(atrion: &Atrion, clock: impl Clock) -> Self {
        Self {
            atrion: atrion.clone(),
            started: clock.now(),
            clock: Box::new(clock),
            patience: Duration::ZERO,
            heard: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// Not ready until the provider's link has worked for the first time, for `patience` at most:
    /// so a fresh process hears what the others know before its first request. Once ready it stays
    /// so, whatever becomes of the link. Some seconds are plenty; without a provider this does
    /// nothing.
    #[must_use]
    pub const fn wait_for_provider(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// From now on not ready: the process is about to end. For good.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// What to tell a liveness probe.
    pub const fn liveness(&self) -> Liveness {
        Liveness { live: true }
    }

    /// What to tell a readiness probe. Never waits.
    pub fn readiness(&self) -> Readiness {
        let health = self.atrion.health();
        let waited = self.clock.now().since(self.started);
        let draining = self.draining.load(Relaxed);
        let waiting = decide(draining, self.heard.load(Relaxed), health, waited, self.patience);
        if waiting != Some(Waiting::ForProvider) {
            self.heard.store(true, Relaxed);
        }
        let stats = self.atrion.stats();
        let ObserverHealth { dropped, .. } = stats.observer;
        Readiness {
            ready: waiting.is_none(),
            waiting,
            link: health.map(Link::from),
            nodes: self.atrion.nodes().len(),
            license: self.atrion.vitals().and_then(|vitals| vitals.license).map(|view| {
                LicenseHealth {
                    status: view.status,
                    message: view.message,
                    days_left: view.days_left,
                }
            }),
            routes: stats.routes,
            overflowed: stats.overflowed,
            events_dropped: dropped,
        }
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl From<Health> for Link {
    fn from(health: Health) -> Self {
        match health {
            Health::Healthy => Self::Healthy,
            Health::Disconnected => Self::Disconnected,
            // Degraded, and what later versions may tell apart from it.
            _ => Self::Degraded,
        }
    }
}

/// Why it is not ready, if it is not. `heard`: it was ready before.
fn decide(
    draining: bool,
    heard: bool,
    health: Option<Health>,
    waited: Duration,
    patience: Duration,
) -> Option<Waiting> {
    if draining {
        return Some(Waiting::Draining);
    }
    let is_up = health.is_none_or(|health| health == Health::Healthy);
    (!heard && !is_up && waited < patience).then_some(Waiting::ForProvider)
}

#[cfg(test)]
mod tests {
    use atrion_state::clock::ManualClock;
    use atrion_state::in_memory::InMemoryProvider;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn trouble_of_the_provider_makes_nobody_unready() {
        let later = Duration::from_secs(60);
        for health in [Some(Health::Degraded), Some(Health::Disconnected), None] {
            assert_eq!(decide(false, false, health, Duration::ZERO, Duration::ZERO), None);
            assert_eq!(decide(false, false, health, later, PATIENCE), None);
            assert_eq!(decide(false, true, health, Duration::ZERO, PATIENCE), None);
        }
    }

    #[test]
    fn a_fresh_process_waits_for_its_first_link_but_not_for_ever() {
        let early = |health| decide(false, false, health, Duration::from_secs(4), PATIENCE);
        assert_eq!(early(Some(Health::Disconnected)), Some(Waiting::ForProvider));
        assert_eq!(early(Some(Health::Degraded)), Some(Waiting::ForProvider));
        assert_eq!(early(Some(Health::Healthy)), None);
        assert_eq!(early(None), None);
        assert_eq!(decide(false, false, Some(Health::Degraded), PATIENCE, PATIENCE), None);
    }

    #[test]
    fn who_drains_is_not_ready_whatever_else() {
        let healthy = Some(Health::Healthy);
        assert_eq!(decide(true, true, healthy, PATIENCE, PATIENCE), Some(Waiting::Draining));
    }

    #[test]
    fn once_ready_always_ready_until_the_end() {
        let clock = ManualClock::new();
        let atrion = Atrion::builder().provider(InMemoryProvider::new()).build().unwrap();
        let probe = Probe::with_clock(&atrion, clock.clone()).wait_for_provider(PATIENCE);
        let told = probe.readiness();
        assert_eq!((told.ready, told.link), (false, Some(Link::Disconnected)));
        clock.advance(PATIENCE);
        assert!(probe.readiness().ready);
        // A clock that steps back does not take it back.
        clock.set(Timestamp::ZERO);
        assert!(probe.readiness().ready);
        probe.drain();
        assert_eq!(probe.readiness().waiting, Some(Waiting::Draining));
        assert!(probe.liveness().live);
    }
}
