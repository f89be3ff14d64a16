//! The aggregator: any number of routes in, a bounded number of series out.

use std::collections::HashMap;
use std::sync::Arc;

use atrion_core::math;
use atrion_core::time::Timestamp;

use crate::label::label_value;
use crate::odometer::Odometer;
use crate::sample::{BASIC, COUNTERS, Counters, Gauges, Reading, TALLIED};
use crate::top::{TopConfig, displaces};

/// How slowly a score follows the traffic, in seconds.
const SCORE_SECS: f64 = 60.0;
/// A refusal or a failure counts as so many requests, and so does a second of trouble.
const TROUBLE: f64 = 10.0;

/// One route, or what was one, with a label value of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteRow {
    /// The label value; see [`label_value`].
    pub label: Arc<str>,
    /// What was counted while it had the value. Never goes down.
    pub totals: Counters<u64>,
    /// How it is now; `None` while it has lost its place to others, or is forgotten.
    pub now: Option<Gauges>,
}

/// All routes without a label value of their own, added up.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OtherRow {
    /// What was counted while they had none. Never goes down.
    pub totals: Counters<u64>,
    /// How many they are.
    pub routes: u64,
    /// Their requests in flight.
    pub in_flight: u64,
    /// How many of them have an open breaker.
    pub open: u64,
    /// How many of them are held.
    pub held: u64,
    /// How many of them are shadowed.
    pub shadow: u64,
    /// How many of them are forced open by hand.
    pub forced_open: u64,
    /// How many of them are forced closed by hand.
    pub forced_closed: u64,
}

impl OtherRow {
    fn add(&mut self, gained: &[u32; COUNTERS], gauges: &Gauges) {
        self.totals.add(gained);
        self.routes += 1;
        self.in_flight += u64::from(gauges.in_flight);
        self.open += u64::from(gauges.open);
        self.held += u64::from(gauges.held);
        self.shadow += u64::from(gauges.shadow);
        self.forced_open += u64::from(gauges.forced_open);
        self.forced_closed += u64::from(gauges.forced_closed);
    }
}

/// What is known of a route that exists.
#[derive(Debug)]
struct Known {
    basic: Odometer<BASIC>,
    /// Apart from the basic ones, since it may begin anew by itself.
    tally: Odometer<TALLIED>,
    score: f64,
    round: u64,
    /// Its place in the rows, from when it first got a value.
    row: Option<usize>,
}

impl Known {
    fn new(row: Option<usize>) -> Self {
        let (basic, tally) = (Odometer::default(), Odometer::default());
        Self { basic, tally, score: 0.0, round: 0, row }
    }

    fn gained(&mut self, reading: &Reading) -> [u32; COUNTERS] {
        let basic = self.basic.advance(&reading.basic());
        let tally = reading.tally.map_or([0; TALLIED], |t| self.tally.advance(&t.to_array()));
        let mut all = basic.into_iter().chain(tally);
        std::array::from_fn(|_| all.next().unwrap_or_default())
    }
}

/// The bookkeeping of a row.
#[derive(Debug)]
struct Held {
    name: Arc<str>,
    row: RouteRow,
    score: f64,
    since: Timestamp,
}

/// A route without a value that may get one in this round.
#[derive(Debug)]
struct Candidate {
    name: Arc<str>,
    score: f64,
    gained: [u32; COUNTERS],
    gauges: Gauges,
}

/// Turns readings of routes into rows: the busiest and the most troubled by name, the rest as one
/// sum.
///
/// Pure: takes the time, does no I/O. A round is [`begin`](Self::begin), one
/// [`observe`](Self::observe) for each route that exists, [`finish`](Self::finish).
///
/// **Totals** only grow, whatever happens to the route or to its label value, and all rows and the
/// sum together are what was counted. What a route counts goes to its own row while it is among
/// the top, else to the sum: a series that changes its owner would say things that never happened.
///
/// **The top** are those of the highest score: requests a second, smoothed over a minute, where a
/// refusal or a failure counts as ten, and so does each second with an open breaker, a hold or a
/// manual override. A route keeps its place for [`TopConfig::min_stay_secs`], and is then replaced
/// only by one that scores more than twice as much. In the life of an aggregator no more than
/// [`TopConfig::names`] values are made.
#[derive(Debug)]
pub struct Aggregator {
    config: TopConfig,
    known: HashMap<Arc<str>, Known>,
    rows: Vec<Held>,
    /// Who has a row, by name and by label value.
    by_name: HashMap<Arc<str>, usize>,
    labels: HashMap<Arc<str>, usize>,
    other: OtherRow,
    candidates: Vec<Candidate>,
    /// The least score worth keeping as a candidate.
    bar: f64,
    named: usize,
    seen: usize,
    round: u64,
    now: Timestamp,
    round_secs: Option<f64>,
}

impl Aggregator {
    /// One that has seen nothing.
    pub fn new(config: TopConfig) -> Self {
        Self {
            config,
            known: HashMap::new(),
            rows: Vec::new(),
            by_name: HashMap::new(),
            labels: HashMap::new(),
            other: OtherRow::default(),
            candidates: Vec::new(),
            bar: f64::NEG_INFINITY,
            named: 0,
            seen: 0,
            round: 0,
            now: Timestamp::ZERO,
            round_secs: None,
        }
    }

    /// Begins a round at `now`. A round that was begun and not finished is finished first.
    pub fn begin(&mut self, now: Timestamp) {
        if self.seen > 0 {
            self.finish();
        }
        self.round_secs = (self.round > 0).then(|| now.secs_since(self.now));
        self.round += 1;
        self.now = now;
        self.other = OtherRow { totals: self.other.totals, ..OtherRow::default() };
    }

    /// Takes in one route. A second time in one round is ignored.
    pub fn observe(&mut self, name: &Arc<str>, reading: &Reading, gauges: &Gauges) {
        if !self.known.contains_key(name) {
            let row = self.by_name.get(name).copied();
            self.known.insert(Arc::clone(name), Known::new(row));
        }
        let Some(known) = self.known.get_mut(name) else { return };
        if known.round == self.round {
            return;
        }
        self.seen += 1;
        known.round = self.round;
        let gained = known.gained(reading);
        known.score = score(known.score, &gained, gauges, self.round_secs);
        let score = known.score;
        match known.row.and_then(|row| self.rows.get_mut(row)) {
            Some(held) if held.row.now.is_some() => {
                held.row.totals.add(&gained);
                held.row.now = Some(*gauges);
                held.score = score;
            }
            _ => {
                self.consider(Candidate { name: Arc::clone(name), score, gained, gauges: *gauges })
            }
        }
    }

    /// Ends the round: decides who has a value of its own from now on.
    pub fn finish(&mut self) {
        let round = self.round;
        if self.seen < self.known.len() {
            self.known.retain(|_, known| known.round == round);
            for held in &mut self.rows {
                if held.row.now.is_some() && !self.known.contains_key(&held.name) {
                    held.row.now = None;
                    self.named -= 1;
                }
            }
        }
        self.seen = 0;
        self.candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut stale = self.replaceable();
        for candidate in std::mem::take(&mut self.candidates) {
            let worst = stale.last().copied();
            let place = if self.named < self.config.limit() {
                Some(None)
            } else {
                worst.filter(|(_, score)| displaces(candidate.score, *score)).map(Some)
            };
            let row = place.and_then(|place| Some((place, self.row_for(&candidate.name)?)));
            let Some((place, row)) = row else {
                self.other.add(&candidate.gained, &candidate.gauges);
                continue;
            };
            if let Some((index, _)) = place {
                stale.pop();
                self.dismiss(index);
            }
            self.admit(row, &candidate);
        }
        self.bar = f64::NEG_INFINITY;
    }

    /// The rows: all routes that have or had a value of their own.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &RouteRow> {
        self.rows.iter().map(|held| &held.row)
    }

    /// All the others.
    pub const fn other(&self) -> &OtherRow {
        &self.other
    }

    /// Label values made so far.
    pub const fn names(&self) -> usize {
        self.rows.len()
    }

    /// Keeps a candidate, if it may be among the best.
    fn consider(&mut self, candidate: Candidate) {
        if candidate.score <= self.bar {
            self.other.add(&candidate.gained, &candidate.gauges);
            return;
        }
        self.candidates.push(candidate);
        let keep = self.config.limit();
        if self.candidates.len() >= 2 * keep.max(1) {
            self.candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
            self.bar = self.candidates.get(keep - 1).map_or(self.bar, |c| c.score);
            for rejected in self.candidates.drain(keep..) {
                self.other.add(&rejected.gained, &rejected.gauges);
            }
        }
    }

    /// Those that have had their place for long enough, best first.
    fn replaceable(&self) -> Vec<(usize, f64)> {
        let min_stay = self.config.min_stay_secs();
        let mut stale: Vec<_> = self
            .rows
            .iter()
            .enumerate()
            .filter(|(_, h)| h.row.now.is_some() && self.now.secs_since(h.since) >= min_stay)
            .map(|(index, held)| (index, held.score))
            .collect();
        stale.sort_by(|a, b| b.1.total_cmp(&a.1));
        stale
    }

    /// The row of this name; made if there is room for another name.
    fn row_for(&mut self, name: &Arc<str>) -> Option<usize> {
        if let Some(&row) = self.by_name.get(name) {
            return Some(row);
        }
        if self.rows.len() >= self.config.names() {
            return None;
        }
        let label = label_value(name);
        // Two names under one value would be one series that two routes write.
        if self.labels.contains_key(&label) {
            return None;
        }
        let index = self.rows.len();
        let row = RouteRow { label: Arc::clone(&label), totals: Counters::default(), now: None };
        self.rows.push(Held { name: Arc::clone(name), row, score: 0.0, since: self.now });
        self.by_name.insert(Arc::clone(name), index);
        self.labels.insert(label, index);
        Some(index)
    }

    fn admit(&mut self, index: usize, candidate: &Candidate) {
        if let Some(held) = self.rows.get_mut(index) {
            held.row.totals.add(&candidate.gained);
            held.row.now = Some(candidate.gauges);
            held.score = candidate.score;
            held.since = self.now;
            self.named += 1;
        }
        if let Some(known) = self.known.get_mut(&candidate.name) {
            known.row = Some(index);
        }
    }

    /// Takes a place away. What this round brought has been counted already.
    fn dismiss(&mut self, index: usize) {
        if let Some(gauges) = self.rows.get_mut(index).and_then(|held| held.row.now.take()) {
            self.other.add(&[0; COUNTERS], &gauges);
            self.named -= 1;
        }
    }
}

/// The next score: what happened in `secs`, blended into what was.
fn score(before: f64, gained: &[u32; COUNTERS], gauges: &Gauges, secs: Option<f64>) -> f64 {
    let gained = Counters::from_array(*gained);
    let (completed, refused) = (f64::from(gained.completed), f64::from(gained.refused));
    let bad = refused + f64::from(gained.shadow_refused) + gauges.error_rate * completed;
    let events = completed + f64::from(gained.cancelled) + refused + TROUBLE * bad;
    let trouble = if gauges.is_troubled() { TROUBLE } else { 0.0 };
    let next = match secs {
        // How long the first round's counts took is not known: about a minute, say.
        None => events / SCORE_SECS + trouble,
        Some(secs) if secs > 0.0 => {
            let kept = math::exp(-secs / SCORE_SECS);
            before * kept + (1.0 - kept) * (events / secs + trouble)
        }
        Some(_) => before + events / SCORE_SECS,
    };
    if next.is_finite() { next } else { before }
}

#[cfg(test)]
mod tests;
