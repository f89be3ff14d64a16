//! The open-loop replay: the recorded outcomes, fed to the shipped engine.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

use atrion_core::math;
use atrion_core::time::Timestamp;
use atrion_core::units::Volts;
use atrion_engine::{Atrion, OwnedPermit, Route};
use atrion_state::clock::ManualClock;
use atrion_trace::{Mark, Outcome, Request, Step, Trace};
use serde::Serialize;

use super::tiers::{Tier, count, success_secs};
use super::{ReplayError, Setting, route_name, secs_between, span};

/// Stretches that the time of a trace is divided into.
const BINS: f64 = 240.0;
const NARROWEST_SECS: f64 = 0.01;
/// Successes whose median latency stands for that of a request that has none.
const RECENT: usize = 101;

/// What happened within one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct OpenBin {
    /// When it begins, in seconds since the first request.
    pub from_secs: f64,
    /// Requests that asked.
    pub asked: u64,
    /// Requests refused in the recorded run.
    pub recorded_refused: u64,
    /// Requests refused in the replay.
    pub refused: u64,
    /// Resistance that the next arrival would have met at its end, in ohms; the last one known if
    /// nothing happened.
    pub ohms: f64,
    /// Whether the breaker was open at its end.
    pub open: bool,
}

/// What one configuration would have decided about one route's requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenLoop {
    /// The configuration's name.
    pub config: String,
    /// The route's name.
    pub route: String,
    /// Seconds from the first request to the last end.
    pub secs: f64,
    /// As recorded, lowest voltage first.
    pub recorded: Vec<Tier>,
    /// As replayed.
    pub replayed: Vec<Tier>,
    /// Admitted then, refused in the replay.
    pub newly_refused: u64,
    /// Refused then, admitted in the replay. How they would have fared is not known: each is taken
    /// to be in flight for the median latency of that time, and nothing is learned from it.
    pub newly_admitted: u64,
    /// When the first decision differed, in seconds since the first request.
    pub first_difference_secs: Option<f64>,
    /// When the breaker opened (true) and closed, as recorded.
    pub recorded_modes: Vec<(f64, bool)>,
    /// The same in the replay.
    pub modes: Vec<(f64, bool)>,
    /// Width of the bins.
    pub bin_secs: f64,
    /// The replay over time.
    pub bins: Vec<OpenBin>,
}

impl OpenLoop {
    /// Percent of the requests about which the same was decided.
    pub fn agreement_percent(&self) -> f64 {
        let asked: u64 = self.replayed.iter().map(|tier| tier.asked).sum();
        let differ = self.newly_refused + self.newly_admitted;
        if asked == 0 { 100.0 } else { 100.0 - 100.0 * differ as f64 / asked as f64 }
    }
}

/// Feeds what was recorded of these routes to the engine under this configuration, in the recorded
/// order and at the recorded times.
///
/// All routes share one instance, as they did; replay all of them to get the recorded decisions
/// again. The engine starts without knowledge.
///
/// # Errors
/// [`ReplayError`] for a route that is unknown or has no requests.
pub fn open_loop(
    trace: &Trace,
    routes: &[u32],
    setting: &Setting,
) -> Result<Vec<OpenLoop>, ReplayError> {
    let first = routes.first().and_then(|index| trace.routes().get(*index as usize));
    let (at, seed) = first.map_or((0, 1), |route| (route.at, route.seed));
    let clock = ManualClock::starting_at(Timestamp::from_nanos(at));
    let atrion =
        Atrion::builder().clock(clock.clone()).seed(seed).config(setting.config.clone()).build()?;
    let mut tracks = BTreeMap::new();
    for index in routes {
        // A name that was recorded twice is two routes here.
        let name = route_name(trace, *index)?;
        let own = if tracks.values().any(|t: &Track| t.report.route == name) {
            format!("{name}#{index}")
        } else {
            name.clone()
        };
        let route = atrion.route(&own);
        tracks.insert(*index, Track::new(trace, *index, name, route, setting)?);
    }
    for step in trace.steps() {
        match *step {
            Step::Arrival(index) | Step::End(index) => {
                let Some(request) = trace.requests().get(index as usize) else { continue };
                let Some(track) = tracks.get_mut(&request.route) else { continue };
                if matches!(step, Step::Arrival(_)) {
                    track.arrive(index, request, &clock);
                } else {
                    track.end(index, request, &clock);
                }
            }
            Step::Mark { route, at, mark } => {
                if let Some(track) = tracks.get_mut(&route) {
                    track.mark(at, mark);
                }
            }
            _ => {}
        }
    }
    Ok(tracks.into_values().map(Track::finish).collect())
}

/// One route under replay.
struct Track {
    route: Route,
    report: OpenLoop,
    first_at: u64,
    permits: HashMap<u32, OwnedPermit>,
    /// Permits of requests that have no end of their own, by when they leave.
    ghosts: BTreeMap<(u64, Reverse<u32>), OwnedPermit>,
    recent: VecDeque<f64>,
    /// Requests without an end leave after this, if ends may be missing.
    longest_nanos: Option<u64>,
    was_open: bool,
    bin: usize,
}

impl Track {
    fn new(
        trace: &Trace,
        index: u32,
        name: String,
        route: Route,
        setting: &Setting,
    ) -> Result<Self, ReplayError> {
        let Some((first_at, last_at)) = span(trace, index) else {
            return Err(ReplayError::NoRequests { route: name });
        };
        let secs = secs_between(first_at, last_at);
        let bin_secs = math::max(secs / BINS, NARROWEST_SECS);
        let bins = (0..=(secs / bin_secs) as usize)
            .map(|n| OpenBin { from_secs: n as f64 * bin_secs, ..OpenBin::default() })
            .collect();
        let own = trace.requests().iter().filter(|r| r.route == index);
        let longest = own.filter_map(Request::latency_nanos).max().unwrap_or(0);
        let report = OpenLoop {
            config: setting.name.clone(),
            route: name,
            secs,
            recorded: Vec::new(),
            replayed: Vec::new(),
            newly_refused: 0,
            newly_admitted: 0,
            first_difference_secs: None,
            recorded_modes: Vec::new(),
            modes: Vec::new(),
            bin_secs,
            bins,
        };
        Ok(Self {
            route,
            report,
            first_at,
            permits: HashMap::new(),
            ghosts: BTreeMap::new(),
            recent: VecDeque::with_capacity(RECENT),
            longest_nanos: (trace.lost() > 0).then_some(longest),
            was_open: false,
            bin: 0,
        })
    }

    /// Moves on to `at`; what has no end of its own leaves on the way.
    fn advance(&mut self, at: u64, clock: &ManualClock) {
        while let Some(ghost) = self.ghosts.first_entry()
            && ghost.key().0 <= at
        {
            clock.set(Timestamp::from_nanos(ghost.key().0));
            ghost.remove().cancel();
        }
        let bin = self.bin_of(at);
        for passed in self.bin..bin {
            self.note_state(passed);
        }
        self.bin = self.bin.max(bin);
        clock.set(Timestamp::from_nanos(at));
    }

    fn bin_of(&self, at: u64) -> usize {
        let index = (secs_between(self.first_at, at) / self.report.bin_secs) as usize;
        index.min(self.report.bins.len().saturating_sub(1))
    }

    fn note_state(&mut self, bin: usize) {
        let (ohms, open) = (self.route.resistance().get(), self.route.is_open());
        if let Some(bin) = self.report.bins.get_mut(bin) {
            (bin.ohms, bin.open) = (ohms, open);
        }
    }

    fn note_mode(&mut self, at: u64) {
        if self.route.is_open() != self.was_open {
            self.was_open = !self.was_open;
            self.report.modes.push((secs_between(self.first_at, at), self.was_open));
        }
    }

    fn arrive(&mut self, index: u32, request: &Request, clock: &ManualClock) {
        self.advance(request.at, clock);
        let was_admitted = request.decision.is_admitted();
        // A trace holds finite voltages only.
        let volts = Volts::try_new(request.volts).unwrap_or(Volts::ZERO);
        let permit = self.route.admit_owned(volts).ok();
        let admitted = permit.is_some();
        count(&mut self.report.recorded, request.volts, !was_admitted);
        count(&mut self.report.replayed, request.volts, !admitted);
        let bin = self.bin_of(request.at);
        if let Some(bin) = self.report.bins.get_mut(bin) {
            bin.asked += 1;
            bin.recorded_refused += u64::from(!was_admitted);
            bin.refused += u64::from(!admitted);
        }
        self.report.newly_refused += u64::from(was_admitted && !admitted);
        self.report.newly_admitted += u64::from(admitted && !was_admitted);
        if admitted != was_admitted && self.report.first_difference_secs.is_none() {
            self.report.first_difference_secs = Some(secs_between(self.first_at, request.at));
        }
        if let Some(permit) = permit {
            let stay = if was_admitted {
                self.longest_nanos.filter(|_| request.end.is_none())
            } else {
                Some(self.usual_nanos())
            };
            match stay {
                None => drop(self.permits.insert(index, permit)),
                Some(0) => permit.cancel(),
                Some(nanos) => {
                    let leaves = request.at.saturating_add(nanos);
                    self.ghosts.insert((leaves, Reverse(index)), permit);
                }
            }
        }
        self.note_mode(request.at);
    }

    fn end(&mut self, index: u32, request: &Request, clock: &ManualClock) {
        let Some((at, outcome)) = request.end else { return };
        self.advance(at, clock);
        if let Some(secs) = success_secs(request) {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(secs);
        }
        if let Some(permit) = self.permits.remove(&index) {
            match outcome {
                Outcome::Success => permit.success(),
                Outcome::Failure => permit.failure(),
                Outcome::Cancelled => permit.cancel(),
            }
        }
        self.note_mode(at);
    }

    fn mark(&mut self, at: u64, mark: Mark) {
        if matches!(mark, Mark::Opened | Mark::Closed) {
            let at = secs_between(self.first_at, at);
            self.report.recorded_modes.push((at, mark == Mark::Opened));
        }
    }

    /// The median of the latest latencies.
    fn usual_nanos(&self) -> u64 {
        let mut recent: Vec<f64> = self.recent.iter().copied().collect();
        let middle = recent.len() / 2;
        if recent.is_empty() {
            return 0;
        }
        (*recent.select_nth_unstable_by(middle, f64::total_cmp).1 * 1e9) as u64
    }

    fn finish(mut self) -> OpenLoop {
        for bin in self.bin..self.report.bins.len() {
            self.note_state(bin);
        }
        self.report
    }
}
