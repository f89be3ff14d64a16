//! The link to the store: where it stands, the one call under way, and when to try again.

use std::time::Duration;

use atrion_core::units::UnitInterval;
use atrion_state::peers::NodeId;

use super::call::CallId;
use super::registers::Horizon;
use super::seats::Seat;
use super::time::Elapsed;
use crate::transport::TransportError;

/// The first wait.
const BASE: Duration = Duration::from_millis(50);
/// The longest wait is at least this,
const CAP: Duration = Duration::from_millis(200);
/// and this for each node of the cluster, so that a store that comes back sees about 200 attempts
/// per second from all of them together.
const CAP_PER_NODE: Duration = Duration::from_millis(5);
/// The longest wait, at least, while the server denies access.
const CAP_DENIED: Duration = Duration::from_secs(5);

/// Where the link stands.
///
/// ```text
///         connect             licence                    open, time, seats, nodes, own state
///  Off ------------> Dormant ---------> Session(Opening) ------> .. ------> Session(Storing)
///   ^                   ^                  ^       | failure                      | committed
///   | closed            | over limit       |       v                              v
///  Leaving <---------- any <---------------+---- Waiting <---------------- Session(Up)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not wanted.
    Off,
    /// Wanted, but not licensed; tried again then, if at all.
    Dormant(Option<Elapsed>),
    /// Failed; tried again then.
    Waiting(Elapsed),
    /// A session is open, or about to be.
    Session(Step),
    /// No longer wanted: the last words are on their way, or about to be.
    Leaving,
}

/// How far a session has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Opening,
    /// Reading the server's clock.
    Clock,
    /// Taking a place under the licence.
    Seat(Seat),
    /// Reading who is there.
    Index,
    /// Reading what an earlier life of this node has stored.
    OwnState,
    /// Storing the first of the own words.
    Storing,
    Up,
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Open,
    Clock,
    Seat {
        seat: Seat,
        /// Of which licence.
        grant: u64,
    },
    Index,
    OwnState,
    /// Looking whether the own words are still stored.
    Check,
    State {
        node: NodeId,
        horizon: Option<Horizon>,
    },
    News {
        sequence: u64,
        life: (NodeId, u64),
        bytes: usize,
        changes: usize,
    },
    Leave,
}

impl Purpose {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "connecting",
            Self::Clock => "reading the server's clock",
            Self::Seat { .. } => "registering under the licence",
            Self::Index => "reading the nodes",
            Self::OwnState | Self::Check | Self::State { .. } => "reading a node's state",
            Self::News { .. } => "publishing",
            Self::Leave => "taking leave",
        }
    }
}

/// The call under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) id: CallId,
    pub(crate) purpose: Purpose,
    pub(crate) started: Elapsed,
    pub(crate) deadline: Elapsed,
}

/// The server's clock at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerClock {
    millis: u64,
    at: Elapsed,
}

impl ServerClock {
    /// It showed `millis` at some time between `asked` and `answered`.
    pub(crate) fn new(millis: u64, asked: Elapsed, answered: Elapsed) -> Self {
        Self { millis, at: asked.plus(answered.since(asked) / 2) }
    }

    pub(crate) const fn read_at(&self) -> Elapsed {
        self.at
    }

    pub(crate) fn millis(&self, now: Elapsed) -> u64 {
        let since = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.millis.saturating_add(since)
    }
}

/// The link's state.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) phase: Phase,
    pub(crate) flight: Option<Flight>,
    /// A session may be open that is to be dropped.
    pub(crate) close_due: bool,
    /// Counts sessions and lives; names are told once in each.
    pub(crate) session: u64,
    pub(crate) clock: Option<ServerClock>,
    last_id: u64,
    failures: u32,
    /// How many nodes there were when the link was last up: they all will come back together.
    crowd: u32,
}

impl Link {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Off,
            flight: None,
            close_due: false,
            session: 1,
            clock: None,
            last_id: 0,
            failures: 0,
            crowd: 1,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.phase == Phase::Session(Step::Up)
    }

    pub(crate) fn in_session(&self) -> bool {
        matches!(self.phase, Phase::Session(_))
    }

    /// Frames arrive: the session is open, or the server has just been asked to open it.
    pub(crate) fn begin(&mut self) {
        self.phase = Phase::Session(Step::Opening);
        self.clock = None;
    }

    pub(crate) fn next_id(&mut self) -> CallId {
        self.last_id += 1;
        CallId(self.last_id)
    }

    pub(crate) fn start(&mut self, purpose: Purpose, now: Elapsed, timeout: Duration) -> CallId {
        let id = self.next_id();
        self.flight = Some(Flight { id, purpose, started: now, deadline: now.plus(timeout) });
        id
    }

    /// Drops the session and the call under way.
    pub(crate) fn drop_session(&mut self) {
        self.flight = None;
        self.close_due = true;
    }

    /// The store works.
    pub(crate) fn succeeded(&mut self, others: usize) {
        self.failures = 0;
        self.crowd = crowd(others);
    }

    /// A failure has ended the session, whatever it was.
    pub(crate) fn fail(
        &mut self,
        error: Option<&TransportError>,
        others: usize,
        now: Elapsed,
        draw: UnitInterval,
    ) {
        self.crowd = self.crowd.max(crowd(others));
        self.failures = self.failures.saturating_add(1);
        let denied = error.is_some_and(|error| !error.is_transient());
        let wait = backoff(self.failures, self.crowd, denied, draw);
        self.phase = Phase::Waiting(now.plus(wait));
    }

    /// What came before does not count any more.
    pub(crate) fn forgive(&mut self) {
        self.failures = 0;
    }
}

/// This node and the others.
fn crowd(others: usize) -> u32 {
    u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1)
}

/// How long to wait after that many failures in a row: doubling, of which half is fixed and half
/// drawn, so that nodes that failed together do not return together. In a large cluster the first
/// wait is long enough to spread them, too.
fn backoff(failures: u32, crowd: u32, denied: bool, draw: UnitInterval) -> Duration {
    let spread = CAP_PER_NODE.saturating_mul(crowd);
    let cap = spread.max(if denied { CAP_DENIED } else { CAP });
    let base = BASE.max(spread / 4);
    let doublings = failures.saturating_sub(1).min(16);
    let half = base.saturating_mul(1 << doublings).min(cap) / 2;
    half + half.mul_f64(draw.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(crowd: u32, denied: bool) -> Vec<u128> {
        (1..=9).map(|n| backoff(n, crowd, denied, UnitInterval::ONE).as_millis()).collect()
    }

    #[test]
    fn waits_double_up_to_a_cap_that_grows_with_the_cluster() {
        assert_eq!(waits(1, false), [50, 100, 200, 200, 200, 200, 200, 200, 200]);
        assert_eq!(waits(200, false), [250, 500, 1000, 1000, 1000, 1000, 1000, 1000, 1000]);
        assert_eq!(waits(1, true), [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        let halved = backoff(3, 1, false, UnitInterval::ZERO);
        assert_eq!(halved, Duration::from_millis(100));
        assert!(
            backoff(u32::MAX, u32::MAX, true, UnitInterval::ONE) < Duration::from_secs(1 << 32)
        );
    }

    #[test]
    fn a_store_that_comes_back_sees_a_bounded_rate_of_attempts() {
        for nodes in [1_u32, 10, 100, 1_000] {
            let mean =
                f64::midpoint(0.5, 1.0) * backoff(9, nodes, false, UnitInterval::ONE).as_secs_f64();
            let rate = f64::from(nodes) / mean;
            assert!(rate < 270.0, "{nodes} nodes: {rate}/s");
        }
    }

    #[test]
    fn the_servers_clock_was_read_half_way() {
        let at = |millis| Elapsed::START.plus(Duration::from_millis(millis));
        let clock = ServerClock::new(1_000_000, at(100), at(140));
        assert_eq!(clock.millis(at(120)), 1_000_000);
        assert_eq!(clock.millis(at(620)), 1_000_500);
    }

    #[test]
    fn a_crowd_is_this_node_and_the_others() {
        assert_eq!([0, 4].map(crowd), [1, 5]);
        assert_eq!(crowd(usize::MAX), u32::MAX);
    }
}
