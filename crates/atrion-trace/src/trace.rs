//! A whole trace in memory, its requests put together.

use std::io::Read;
use std::sync::Arc;

use crate::error::TraceError;
use crate::reader::{Finish, Reader};
use crate::record::{Decision, Mark, Outcome, Record};

/// Most requests that are held in memory, some 500 MB; and half as many again of everything else.
pub const MOST_REQUESTS: usize = 5_000_000;

/// One request, from arrival to end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Index of its route.
    pub route: u32,
    /// When it asked, in nanoseconds on the instance's clock.
    pub at: u64,
    /// Its voltage.
    pub volts: f64,
    /// Requests in flight as it was decided about, itself included if it was admitted; `None` if
    /// the engine did not look.
    pub in_flight: Option<u32>,
    /// What was decided.
    pub decision: Decision,
    /// When and how it ended; `None` if it was refused or its end is not in the trace.
    pub end: Option<(u64, Outcome)>,
}

impl Request {
    /// Nanoseconds from admission to end; `None` without an end, or if the clock stepped back.
    pub fn latency_nanos(&self) -> Option<u64> {
        self.end.and_then(|(end, _)| end.checked_sub(self.at))
    }
}

/// A route of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// Its name. A route that was recorded twice is here twice.
    pub name: Arc<str>,
    /// When its recording began.
    pub at: u64,
    /// State of the random draws then.
    pub seed: u64,
    /// Requests in flight then, whose ends match no arrival.
    pub in_flight: u32,
    /// Nobody had asked before.
    pub is_new: bool,
}

/// What happened, in the order in which it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The request of this index asked.
    Arrival(u32),
    /// The request of this index ended.
    End(u32),
    /// Something else happened to a route.
    Mark {
        /// Index of the route.
        route: u32,
        /// When.
        at: u64,
        /// What.
        mark: Mark,
    },
}

/// A trace that was read.
#[derive(Clone, Debug)]
pub struct Trace {
    routes: Vec<RouteInfo>,
    requests: Vec<Request>,
    steps: Vec<Step>,
    unmatched_ends: u64,
    lost: u64,
    finish: Finish,
}

impl Trace {
    /// Reads a trace whole. One that was cut off is read up to its last whole block; see
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`TraceError`] if it is empty, no trace, of another version, damaged, or too long.
    pub fn read(source: impl Read) -> Result<Self, TraceError> {
        let mut reader = Reader::new(source)?;
        let mut trace = Self {
            routes: Vec::new(),
            requests: Vec::new(),
            steps: Vec::new(),
            unmatched_ends: 0,
            lost: 0,
            finish: Finish::Cut { bytes: 0 },
        };
        while reader.read_block(|record| trace.add(record))? {}
        if let Some(finish) = reader.finish() {
            trace.finish = finish;
        }
        Ok(trace)
    }

    fn add(&mut self, record: Record) -> Result<(), TraceError> {
        let next = self.requests.len() as u32;
        if self.requests.len() >= MOST_REQUESTS || self.steps.len() >= 3 * MOST_REQUESTS {
            return Err(TraceError::TooLong { most: MOST_REQUESTS });
        }
        match record {
            Record::Route(start) => self.routes.push(RouteInfo {
                name: start.name,
                at: start.at,
                seed: start.seed,
                in_flight: start.in_flight,
                is_new: start.is_new,
            }),
            Record::Arrival(a) => {
                self.requests.push(Request {
                    route: a.route,
                    at: a.at,
                    volts: a.volts,
                    in_flight: a.in_flight,
                    decision: a.decision,
                    end: None,
                });
                self.steps.push(Step::Arrival(next));
            }
            Record::Ending { arrival, ending } => {
                let index = arrival.and_then(|number| u32::try_from(number).ok());
                let request = index.and_then(|i| self.requests.get_mut(i as usize));
                match (index, request) {
                    // A refused request ends no second time, nor does one that has ended.
                    (Some(index), Some(request))
                        if request.end.is_none()
                            && request.route == ending.route
                            && request.decision.is_admitted() =>
                    {
                        request.end = Some((ending.at, ending.outcome));
                        self.steps.push(Step::End(index));
                    }
                    _ => self.unmatched_ends += 1,
                }
            }
            Record::Mark { route, at, mark } => self.steps.push(Step::Mark { route, at, mark }),
            Record::Lost { count } => self.lost = self.lost.saturating_add(count),
        }
        Ok(())
    }

    /// The routes, by index.
    pub fn routes(&self) -> &[RouteInfo] {
        &self.routes
    }

    /// The requests, in the order of their arrivals.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// What happened, in order. Times may step back by the little that request threads overtake
    /// one another, or by what the instance's clock did.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Ends whose arrival is not in the trace: of requests that were in flight when the recording
    /// began, or whose arrival was dropped.
    pub const fn unmatched_ends(&self) -> u64 {
        self.unmatched_ends
    }

    /// Observations that the trace says were dropped.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether the recording ended well, and its totals.
    pub const fn finish(&self) -> Finish {
        self.finish
    }
}
