//! What a trace says.

use std::sync::Arc;

/// What an admitted request was to the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One like any other.
    #[default]
    Plain,
    /// One of the samples that a start-up or an exhale waits for.
    Marked,
    /// A probe of an open or held route.
    Probe,
    /// One that looks whether a route whose requests never return still works.
    Scout,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Marked, Self::Probe, Self::Scout];
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The service was saturated.
    Saturated,
    /// Scars or reported stress exceeded its voltage.
    Scarred,
    /// The breaker was open.
    BreakerOpen,
    /// Other nodes' words held the route.
    Held,
    /// The route was closed by hand.
    ForcedOpen,
    /// Something that a later engine knows.
    Other,
}

impl Reason {
    pub(crate) const ALL: [Self; 6] = [
        Self::Saturated,
        Self::Scarred,
        Self::BreakerOpen,
        Self::Held,
        Self::ForcedOpen,
        Self::Other,
    ];
}

/// What was decided about an arrival.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// It went on.
    Admitted {
        /// As what.
        kind: Kind,
        /// Why it would have been refused, had the route not been shadowed.
        shadowed: Option<Reason>,
    },
    /// It was refused.
    Refused {
        /// Why.
        reason: Reason,
        /// The resistance it met, in ohms: finite and not negative.
        ohms: f32,
    },
}

impl Decision {
    /// Whether it went on.
    pub const fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted { .. })
    }
}

/// A request asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// Index of its route.
    pub route: u32,
    /// Nanoseconds on the instance's clock.
    pub at: u64,
    /// Its voltage: finite and not negative.
    pub volts: f64,
    /// Requests in flight, itself included if it was admitted. `None` if the engine did not look:
    /// on a busy route most requests are only counted, and their latency is not measured.
    pub in_flight: Option<u32>,
    /// What was decided.
    pub decision: Decision,
}

/// How admitted work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Well.
    Success,
    /// In a way that speaks against the service.
    Failure,
    /// It was given up.
    Cancelled,
}

impl Outcome {
    pub(crate) const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Cancelled];
}

/// Admitted work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Index of its route.
    pub route: u32,
    /// Nanoseconds on the instance's clock.
    pub at: u64,
    /// How.
    pub outcome: Outcome,
}

/// Something besides requests that happened to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// The breaker opened.
    Opened,
    /// The breaker closed.
    Closed,
    /// Other nodes' words hold it from now on.
    Held,
    /// They do no longer.
    Released,
    /// Telemetry was reported.
    Reported,
    /// It was opened or closed by hand, or that was ended.
    Forced,
    /// It was shadowed, or no longer.
    Shadowed,
    /// All it had learned was forgotten.
    Reset,
    /// The configuration was replaced.
    Reloaded,
}

impl Mark {
    pub(crate) const ALL: [Self; 9] = [
        Self::Opened,
        Self::Closed,
        Self::Held,
        Self::Released,
        Self::Reported,
        Self::Forced,
        Self::Shadowed,
        Self::Reset,
        Self::Reloaded,
    ];

    /// Whether it acts on later decisions and a replay does not do it again.
    pub const fn is_outside_influence(self) -> bool {
        !matches!(self, Self::Opened | Self::Closed)
    }

    /// A word for tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Held => "held",
            Self::Released => "released",
            Self::Reported => "reported",
            Self::Forced => "forced",
            Self::Shadowed => "shadowed",
            Self::Reset => "reset",
            Self::Reloaded => "reloaded",
        }
    }
}

/// The place of `one` in `all`; the codes of the format are these places.
pub(crate) fn code<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|other| other == one).unwrap_or(0) as u8
}

/// Tells apart the requests of a route that are in flight at the same time. Two that share it are
/// taken one for the other, which must then not matter.
pub type Key = (u64, u64);

/// What a request thread leaves on a [`Tape`](crate::Tape).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Observation {
    /// A request asked; the key is that of its ending, if it was admitted.
    Arrived(Arrival, Option<Key>),
    /// The admitted request of this key ended.
    Ended(Ending, Key),
    /// Something happened to a route.
    Marked {
        /// Index of the route.
        route: u32,
        /// Nanoseconds on the instance's clock.
        at: u64,
        /// What.
        mark: Mark,
    },
}

/// The beginning of a route's recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteStart {
    /// Its name, 1 to [`MOST_NAME_BYTES`](crate::MOST_NAME_BYTES) bytes.
    pub name: Arc<str>,
    /// Nanoseconds on the instance's clock.
    pub at: u64,
    /// State of the instance's random draws: an instance built with this seed draws the same.
    pub seed: u64,
    /// Requests in flight then.
    pub in_flight: u32,
    /// Nobody had ever asked: a replay starts from what the engine knew.
    pub is_new: bool,
}

/// What a [`Reader`](crate::Reader) reads. Routes have the indices of their [`RouteStart`]s, in
/// order; arrivals are numbered from 0, in order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Record {
    /// A route's recording begins.
    Route(RouteStart),
    /// A request asked.
    Arrival(Arrival),
    /// Admitted work ended.
    Ending {
        /// The number of its arrival; `None` if that was before the recording, or lost.
        arrival: Option<u64>,
        /// How and when.
        ending: Ending,
    },
    /// Something happened to a route.
    Mark {
        /// Index of the route.
        route: u32,
        /// Nanoseconds on the instance's clock.
        at: u64,
        /// What.
        mark: Mark,
    },
    /// Observations were dropped about here, because the tape was full.
    Lost {
        /// How many.
        count: u64,
    },
}

/// What a recording came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Arrivals in the file.
    pub arrivals: u64,
    /// Endings in the file.
    pub ends: u64,
    /// Of the endings: those whose arrival is not in the file.
    pub unmatched_ends: u64,
    /// Marks in the file.
    pub marks: u64,
    /// Observations dropped because the tape was full.
    pub dropped: u64,
    /// Observations left out because the file had its full size, could not be written, or because
    /// they held a number that no trace holds.
    pub unwritten: u64,
}
