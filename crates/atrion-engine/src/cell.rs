//! One route's state as the request path sees it.
//!
//! Arrivals and completions touch a few atomics. The learned state sits behind a mutex that is
//! only ever *tried*: whoever passes a tick deadline and gets it computes the next state on its
//! own thread, everybody else goes on with the published one. Nobody waits.
//!
//! All atomics are relaxed. Each word is meaningful by itself, and a reader that sees one word of
//! the new state beside another of the old decides as if the tick had come a moment earlier or
//! later; no decision rests on an order between words. `tests/loom.rs` explores this.

use std::sync::atomic::Ordering::Relaxed;

use atrion_core::breaker::RouteState;
use atrion_core::law::{BreakerMode, Element, Gate, Hearsay, LawConfig};
use atrion_core::time::Timestamp;

use crate::counter::{LogSum, Probes, TimeSum, Traffic};
use crate::lanes::Lanes;
use crate::shed::{Parts, Reason};
use crate::shim::{AtomicU32, AtomicU64, Mutex};

/// What a cell needs from outside: time, numbers, chance, and somebody to tell.
pub(crate) trait Env {
    fn now(&self) -> Timestamp;
    fn with_law<R>(&self, f: impl FnOnce(&LawConfig) -> R) -> R;
    /// Ohms that a telemetry-driven state adds to the base at `now`.
    fn stress(&self, reported: &RouteState, now: Timestamp) -> f64;
    /// Uniform in `[0, 1)`.
    fn draw(&self) -> f64;
    /// The scar is not what it was.
    fn scar_changed(&self);
    /// Counters for a hot route, if there are any left.
    fn lanes(&self) -> Option<Lanes>;
    /// The breaker changed its mode.
    fn mode_changed(&self, mode: BreakerMode, now: Timestamp);
    /// From now on requests are held back because of what other nodes said, or no longer.
    fn held_changed(&self, held: bool, now: Timestamp);
    /// Service time of the process's element in seconds, if there is one, it knows it, and nobody
    /// else is looking at it just now.
    fn shared_secs(&self) -> Option<f64>;
    /// The state is up to date as of `now`. Called under the lock.
    fn ticked(&self, now: Timestamp);
    /// The same, with no lock held.
    fn after_tick(&self, now: Timestamp);
    /// A shadowed route admitted what it would have refused.
    fn shadowed(&self, volts: f64, refusal: &Refusal);
}

/// A latency measured by nobody: most requests of a very busy route are only counted.
const UNMEASURED: Timestamp = Timestamp::MAX;
/// A deadline further away than this was set before the clock stepped back.
const FARTHEST_TICK_NANOS: u64 = 2_000_000_000;
/// A clock that is behind the last tick by less than this did not step back: counters of different
/// cores may disagree.
const CORES_DISAGREE_NANOS: u64 = 100_000;
/// Measured requests per tick that are plenty for every average of the law.
const PLENTY_PER_TICK: f64 = 256.0;
/// At most one request in 2^6 is measured, so that a sudden silence is still noticed.
const SPARSEST_SAMPLING: u32 = 6;
/// Shorter latencies count as this: below it a route measures what it and the clock cost
/// themselves, and a second thread that makes them dearer would look like a queue.
const SHORTEST_NANOS: u64 = 1 << 10;
/// Longest latency the sums can hold 2^24 of, some 18 minutes; longer ones count as this.
const LONGEST_NANOS: u64 = 1 << 40;

/// Completions per second, and in one tick, that make a route hot enough for lanes.
const HOT_PER_SEC: f64 = 50_000.0;
const HOT_COMPLETIONS: u32 = 1_000;

/// Lanes that may wake up unannounced and are kept a share for.
const FEWEST_SHARES: u32 = 4;
/// Scars that moved by less, in ohms, are not news.
const SCAR_DEAD_BAND: f64 = 1e-4;

/// Voltages above this count as this in the traffic's mean.
const HIGHEST_GROUND_VOLTS: f64 = 1e3;

const OPEN: u64 = 1;
const WALL: u64 = 1 << 1;
const EXACT: u64 = 1 << 2;
const SHADOW: u64 = 1 << 3;
const FORCED_OPEN: u64 = 1 << 4;
const FORCED_CLOSED: u64 = 1 << 5;
const CONGESTED: u64 = 1 << 6;
const HELD: u64 = 1 << 7;
const SAMPLING_SHIFT: u32 = 8;
/// Counts, modulo 256, how often the breaker has closed.
const ERA_SHIFT: u32 = 16;
const ERA_MASK: u64 = 0xff << ERA_SHIFT;
/// The process's element stands in series: what the route admits, it has to admit too.
const SERIES: u64 = 1 << 24;
/// Somebody keeps count of what is admitted, or wants to be told of some of it.
const WATCHED: u64 = 1 << 13;
/// Of a ticket only: its holder shows that it lives.
const LEASED: u64 = 1 << 14;
const UNCONTENDED_SHIFT: u32 = 32;

/// What a request was admitted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain = 0,
    /// One of the samples a start-up or exhale waits for.
    Marked = 1,
    /// Looks whether an open route has healed, or whether it is true what others say of it.
    Probe = 2,
    /// Looks whether a route whose requests never return still works.
    Scout = 3,
}

/// What an admitted request carries until it ends: when it started, and one word of in-flight
/// count, kind and place. Words, because a value that is written in bytes and read back whole
/// costs the processor more than the admission itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    start: Timestamp,
    tag: u64,
}

const KIND_SHIFT: u32 = 8;
const KIND_MASK: u64 = 0b11;
const SHADOW_SHIFT: u32 = 10;
const SHADOW_MASK: u64 = 0b111;

impl Ticket {
    #[inline]
    const fn new(start: Timestamp, in_flight: u32, kind: Kind, place: u8, control: u64) -> Self {
        let tag = (in_flight as u64) << 32
            | control & (ERA_MASK | SERIES | WATCHED)
            | (kind as u64) << KIND_SHIFT
            | place as u64;
        Self { start, tag }
    }

    /// Whether it was admitted before the breaker last closed: then a failure of it tells of the
    /// outage, not of the recovery.
    #[inline]
    const fn is_old(self, control: u64) -> bool {
        (self.tag ^ control) & ERA_MASK != 0
    }

    /// This ticket with the reason for which it would have been refused.
    pub(crate) const fn shadowed(self, reason: Reason) -> Self {
        let code = match reason {
            Reason::Saturated => 1,
            Reason::Scarred => 2,
            Reason::BreakerOpen => 3,
            Reason::Held => 4,
            Reason::ForcedOpen => 5,
        };
        Self { start: self.start, tag: self.tag | code << SHADOW_SHIFT }
    }

    /// Whether there is nothing more to do for the request than to admit it.
    #[inline]
    pub(crate) const fn is_plain(self) -> bool {
        self.tag & (SERIES | WATCHED) == 0
    }

    /// This ticket, held by somebody who shows that he lives.
    pub(crate) const fn leased(self) -> Self {
        Self { start: self.start, tag: self.tag | LEASED }
    }

    #[inline]
    const fn is_leased(self) -> bool {
        self.tag & LEASED != 0
    }

    /// Why it would have been refused on a route that is not shadowed.
    pub(crate) const fn shadow_reason(self) -> Option<Reason> {
        match (self.tag >> SHADOW_SHIFT) & SHADOW_MASK {
            1 => Some(Reason::Saturated),
            2 => Some(Reason::Scarred),
            3 => Some(Reason::BreakerOpen),
            4 => Some(Reason::Held),
            5 => Some(Reason::ForcedOpen),
            _ => None,
        }
    }

    /// When it was admitted; `None` if nobody looked at the clock.
    pub(crate) fn started(self) -> Option<Timestamp> {
        (self.start != UNMEASURED).then_some(self.start)
    }

    /// In-flight count at admission, itself included.
    #[inline]
    const fn in_flight(self) -> u32 {
        (self.tag >> 32) as u32
    }

    #[inline]
    const fn kind(self) -> Kind {
        match (self.tag >> KIND_SHIFT) & KIND_MASK {
            1 => Kind::Marked,
            2 => Kind::Probe,
            3 => Kind::Scout,
            _ => Kind::Plain,
        }
    }

    /// Where it is counted.
    #[inline]
    const fn place(self) -> u8 {
        self.tag as u8
    }
}

/// What a recording needs of a ticket.
#[cfg(feature = "trace")]
impl Ticket {
    /// This ticket, told apart from others: an unmeasured one carries no in-flight count, so there
    /// is room for a number.
    pub(crate) fn numbered(self, id: u32) -> Self {
        Self { start: self.start, tag: self.tag | u64::from(id) << 32 }
    }

    /// What a measured one has in this place.
    pub(crate) const fn number(self) -> u32 {
        self.in_flight()
    }

    pub(crate) const fn admitted_as(self) -> Kind {
        self.kind()
    }

    /// Two tickets in flight on one route that have the same words were admitted at the same
    /// nanosecond as the same: which of them ends first makes no difference.
    pub(crate) const fn words(self) -> (u64, u64) {
        (self.start.as_nanos(), self.tag & !LEASED)
    }
}

/// A manual override of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Force {
    /// Refuse everything, as an open circuit does.
    Open,
    /// Admit everything, as a closed circuit does.
    Closed,
}

/// What an arrival met: the gate, its number in flight, and the ground potential.
#[derive(Clone, Copy, Debug)]
struct Met {
    gate: Gate,
    number: u32,
    ground: f64,
}

/// A refusal before it is dressed as a [`Shed`](crate::Shed).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) parts: Parts,
    /// Seconds until this voltage is expected to pass; not jittered, not bounded.
    pub(crate) wait_secs: f64,
}

/// How a cell is set up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    /// Decides, and admits all the same.
    pub(crate) shadow: bool,
    /// The process's element stands in series.
    pub(crate) series: bool,
    /// Admissions are counted by tier, or told.
    pub(crate) watched: bool,
}

/// The part of the state that only the holder of the lock changes.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) element: Element,
    /// What a caller reports of the route, if anybody does.
    pub(crate) reported: Option<Box<RouteState>>,
    /// Ohms that this adds, as of the last tick.
    pub(crate) stress_ohms: f64,
    /// What is done about what other nodes say; made and dropped by the pulse.
    pub(crate) hearsay: Option<Box<Hearsay>>,
    completed: u32,
    era: u8,
    scout_sent_at: Option<u32>,
    /// If the process's element stands in series: its service time in seconds, zero while it is
    /// not known.
    series: Option<f32>,
    watched: bool,
    pub(crate) shadow: bool,
    pub(crate) force: Option<(Force, Timestamp)>,
}

/// Counters that only grow; wrapping is theirs to the reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests that ended with a result, modulo 2^32.
    pub completed: u32,
    /// Requests refused, modulo 2^32.
    pub shed: u32,
    /// Requests a shadowed route admitted though it would have refused them, modulo 2^32.
    pub shadow_shed: u32,
    /// Requests that were dropped without a result, or failed after having been admitted before the
    /// circuit last closed, modulo 2^32: nothing is learned from either.
    pub cancelled: u32,
    /// Requests in flight now.
    pub in_flight: u32,
}

#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Cell {
    // Read by every arrival, written by ticks only: kept apart from what requests write.
    /// Calm limit (upper half) and floor in ohms (f32, lower half): all that a calm arrival reads.
    fast: AtomicU64,
    /// Free zone (f32, upper) and queue (f32, lower), in requests.
    slow: AtomicU64,
    /// Flags, sampling shift, and the uncontended limit in the upper half.
    control: AtomicU64,
    next_tick: AtomicU64,
    /// Contended requests faster than this, in nanoseconds, count as quick.
    quick_below: AtomicU64,
    /// Requests of one lane that need not look at the others; zero unless the route is calm.
    lane_limit: AtomicU32,
    traffic: Traffic,
    last_tick: AtomicU64,
    uncontended: LogSum,
    uncontended_times: TimeSum,
    contended: LogSum,
    quick: AtomicU32,
    last_done: AtomicU64,
    next_growth: AtomicU64,
    next_probe: AtomicU64,
    scar: AtomicU32,
    cluster: AtomicU32,
    stress: AtomicU32,
    rate: AtomicU32,
    /// h of the law: up to this queue current voltage does not count, as `f32`.
    passing: AtomicU32,
    ground: AtomicU32,
    errors: AtomicU32,
    refused: AtomicU32,
    marks: AtomicU32,
    marked_done: AtomicU32,
    /// Marks given to requests admitted before this are void: they belong to an earlier phase.
    marks_since: AtomicU64,
    /// Leases in flight: whoever holds one shows that he lives.
    leased: AtomicU32,
    lost: AtomicU32,
    /// The lost are among those admitted before this.
    lost_before: AtomicU64,
    probes: Probes,
    shed: AtomicU32,
    shadow_shed: AtomicU32,
    cancelled: AtomicU32,
    /// Requests that would have come here had the route not been closed off.
    avoided: AtomicU32,
    inner: Mutex<Inner>,
}

fn load_f32(a: &AtomicU32) -> f64 {
    f64::from(f32::from_bits(a.load(Relaxed)))
}

fn store_f32(a: &AtomicU32, value: f64) {
    a.store((value as f32).to_bits(), Relaxed);
}

const fn pack(upper: u32, lower: u32) -> u64 {
    (upper as u64) << 32 | lower as u64
}

const fn upper(word: u64) -> u32 {
    (word >> 32) as u32
}

const fn lower(word: u64) -> u32 {
    word as u32
}

impl Cell {
    pub(crate) fn new(setup: Setup, now: Timestamp, law: &LawConfig) -> Self {
        Self::of(Inner::new(Element::new(now, law), 0, setup), now).published(now, law)
    }

    /// A cell that has yet to be published.
    fn of(inner: Inner, now: Timestamp) -> Self {
        Self {
            traffic: Traffic::default(),
            fast: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            control: AtomicU64::new(0),
            next_tick: AtomicU64::new(0),
            quick_below: AtomicU64::new(0),
            lane_limit: AtomicU32::new(0),
            last_tick: AtomicU64::new(now.as_nanos()),
            uncontended: LogSum::default(),
            uncontended_times: TimeSum::default(),
            contended: LogSum::default(),
            quick: AtomicU32::new(0),
            last_done: AtomicU64::new(now.as_nanos()),
            next_growth: AtomicU64::new(0),
            next_probe: AtomicU64::new(0),
            scar: AtomicU32::new(0),
            cluster: AtomicU32::new(0),
            stress: AtomicU32::new(0),
            rate: AtomicU32::new(0),
            passing: AtomicU32::new(0),
            ground: AtomicU32::new(0),
            errors: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            marks: AtomicU32::new(Element::FIRST_MARKS),
            marked_done: AtomicU32::new(0),
            marks_since: AtomicU64::new(0),
            leased: AtomicU32::new(0),
            lost: AtomicU32::new(0),
            lost_before: AtomicU64::new(0),
            probes: Probes::default(),
            shed: AtomicU32::new(0),
            shadow_shed: AtomicU32::new(0),
            cancelled: AtomicU32::new(0),
            avoided: AtomicU32::new(0),
            inner: Mutex::new(inner),
        }
    }

    fn published(self, now: Timestamp, law: &LawConfig) -> Self {
        // The lock is free: nobody else has seen this cell.
        if let Ok(inner) = self.inner.try_lock() {
            self.publish(&inner, 0, law);
            self.ticked(now, law);
        }
        self
    }
}

#[cfg(loom)]
pub(crate) type Guard<'a> = loom::sync::MutexGuard<'a, Inner>;
#[cfg(not(loom))]
pub(crate) type Guard<'a> = std::sync::MutexGuard<'a, Inner>;

impl Inner {
    /// Ohms on top of the base and of the own scar: reported stress, and what other nodes' words
    /// add to the scar or, below zero, take from it.
    fn added_ohms(&self) -> f64 {
        let others = self
            .hearsay
            .as_ref()
            .map_or(0.0, |hearsay| hearsay.blended_ohms() - self.element.breaker().scar());
        self.stress_ohms + others
    }

    /// What is published.
    fn gate(&self, law: &LawConfig) -> Gate {
        let shared_secs = f64::from(self.series.unwrap_or(0.0));
        self.element.gate_in_series(self.added_ohms(), shared_secs, law)
    }

    /// The own scar's part of the scar that acts, and the part of the others.
    fn scar_parts(&self) -> (f64, f64) {
        let own = self.element.breaker().scar();
        self.hearsay.as_ref().map_or((own, 0.0), |hearsay| {
            let share = own * hearsay.own_share();
            (share, hearsay.blended_ohms() - share)
        })
    }

    fn is_held(&self) -> bool {
        self.hearsay.as_ref().is_some_and(|hearsay| hearsay.is_held())
    }

    /// Whether only probes pass.
    fn is_closed_off(&self) -> bool {
        self.element.breaker().mode() == BreakerMode::Open || self.is_held()
    }

    /// Takes the place of a probe if one is due, of the breaker's if it is open, or else of those
    /// that verify what others say.
    fn try_probe(&mut self, now: Timestamp) -> bool {
        match self.element.breaker().mode() {
            BreakerMode::Open => self.element.breaker_mut().try_probe(now),
            BreakerMode::Closed => self.hearsay.as_mut().is_some_and(|h| h.try_probe(now)),
        }
    }

    fn is_probe_due(&self, now: Timestamp) -> bool {
        match self.element.breaker().mode() {
            BreakerMode::Open => self.element.breaker().probe_due(now),
            BreakerMode::Closed => self.hearsay.as_ref().is_some_and(|h| h.probe_due(now)),
        }
    }

    /// When the next probe may pass, whichever kind.
    fn next_probe(&self) -> Timestamp {
        let breaker = self.element.breaker();
        match &self.hearsay {
            Some(hearsay) if breaker.mode() == BreakerMode::Closed => hearsay.prober().next(),
            _ => breaker.next_probe(),
        }
    }

    fn is_forced(&self, force: Force) -> bool {
        self.force.is_some_and(|(f, _)| f == force)
    }
}

mod arrival;
mod ending;
mod hearing;

pub(crate) use arrival::Calm;
pub(crate) use hearing::{HEALED_OHMS, Heard};
#[cfg(all(test, loom))]
mod loom_tests;
mod reading;
mod resting;
mod series;
mod snapshot;
mod ticking;

pub(crate) use resting::Rest;
pub(crate) use snapshot::Snapshot;
