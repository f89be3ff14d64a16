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
use std::sync::{PoisonError, TryLockError};

use atrion_core::breaker::RouteState;
use atrion_core::law::{
    BreakerMode, Element, Gate, Latencies, LawConfig, Sample, WALL_OHMS, Window, ground_after,
};
use atrion_core::math;
use atrion_core::time::Timestamp;

use crate::counter::{LogSum, Probes, Reading, TimeSum, Traffic};
use crate::lanes::{Lanes, SHARED};
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
    /// A shadowed route admitted what it would have refused.
    fn shadowed(&self, volts: f64, refusal: &Refusal);
}

/// A latency measured by nobody: most requests of a very busy route are only counted.
const UNMEASURED: Timestamp = Timestamp::MAX;
/// A deadline further away than this was set before the clock stepped back.
const FARTHEST_TICK_NANOS: u64 = 2_000_000_000;
/// Measured requests per tick that are plenty for every average of the law.
const PLENTY_PER_TICK: f64 = 256.0;
/// At most one request in 2^6 is measured, so that a sudden silence is still noticed.
const SPARSEST_SAMPLING: u32 = 6;
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
const SAMPLING_SHIFT: u32 = 8;
const UNCONTENDED_SHIFT: u32 = 32;

/// What a request was admitted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain = 0,
    /// One of the samples a start-up or exhale waits for.
    Marked = 1,
    /// Looks whether an open route has healed.
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

impl Ticket {
    #[inline]
    const fn new(start: Timestamp, in_flight: u32, kind: Kind, place: u8) -> Self {
        let tag = (in_flight as u64) << 32 | (kind as u64) << KIND_SHIFT | place as u64;
        Self { start, tag }
    }

    /// In-flight count at admission, itself included.
    #[inline]
    const fn in_flight(self) -> u32 {
        (self.tag >> 32) as u32
    }

    #[inline]
    const fn kind(self) -> Kind {
        match (self.tag >> KIND_SHIFT) as u8 {
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

/// The part of the state that only the holder of the lock changes.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) element: Element,
    /// What a caller reports of the route, if anybody does.
    pub(crate) reported: Option<Box<RouteState>>,
    /// Ohms that this adds, as of the last tick.
    pub(crate) stress_ohms: f64,
    /// Ohms that other nodes' scars add.
    pub(crate) cluster_ohms: f64,
    completed: u32,
    scout_sent_at: Option<u32>,
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
    /// Requests that were dropped without a result, modulo 2^32.
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
    /// Requests of one lane that need not look at the others; zero unless the route is calm.
    lane_limit: AtomicU32,
    traffic: Traffic,
    last_tick: AtomicU64,
    uncontended: LogSum,
    uncontended_times: TimeSum,
    contended: LogSum,
    last_done: AtomicU64,
    next_growth: AtomicU64,
    next_probe: AtomicU64,
    /// Failures of requests admitted before this are old news.
    news_since: AtomicU64,
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
    lost: AtomicU32,
    /// The lost are among those admitted before this.
    lost_before: AtomicU64,
    probes: Probes,
    shed: AtomicU32,
    shadow_shed: AtomicU32,
    cancelled: AtomicU32,
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
    pub(crate) fn new(shadow: bool, now: Timestamp, law: &LawConfig) -> Self {
        let element = Element::new(now, law);
        let inner = Inner {
            element,
            reported: None,
            stress_ohms: 0.0,
            cluster_ohms: 0.0,
            completed: 0,
            scout_sent_at: None,
            shadow,
            force: None,
        };
        let mut cell = Self {
            traffic: Traffic::default(),
            fast: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            control: AtomicU64::new(0),
            next_tick: AtomicU64::new(0),
            lane_limit: AtomicU32::new(0),
            last_tick: AtomicU64::new(now.as_nanos()),
            uncontended: LogSum::default(),
            uncontended_times: TimeSum::default(),
            contended: LogSum::default(),
            last_done: AtomicU64::new(now.as_nanos()),
            next_growth: AtomicU64::new(0),
            next_probe: AtomicU64::new(0),
            news_since: AtomicU64::new(0),
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
            lost: AtomicU32::new(0),
            lost_before: AtomicU64::new(0),
            probes: Probes::default(),
            shed: AtomicU32::new(0),
            shadow_shed: AtomicU32::new(0),
            cancelled: AtomicU32::new(0),
            inner: Mutex::new(inner),
        };
        cell.publish_first(now, law);
        cell
    }

    fn publish_first(&mut self, now: Timestamp, law: &LawConfig) {
        // The lock is free: nobody else has seen this cell.
        if let Ok(inner) = self.inner.try_lock() {
            self.publish(&inner, 0, law);
            self.ticked(now, law);
        }
    }

    // ---- arrival ------------------------------------------------------------------------

    /// The decision for a request of `volts`.
    #[inline]
    pub(crate) fn admit<E: Env>(&self, volts: f64, env: &E) -> Result<Ticket, Refusal> {
        let fast = self.fast.load(Relaxed);
        if volts > f64::from(f32::from_bits(lower(fast))) {
            if let Some(lanes) = self.traffic.lanes() {
                if let Some((place, nth)) = lanes.try_enter(self.lane_limit.load(Relaxed)) {
                    if nth & self.sparse() != 0 {
                        return Ok(Ticket::new(UNMEASURED, 0, Kind::Plain, place));
                    }
                    let in_flight = self.present(self.traffic.read());
                    return Ok(self.measure(volts, in_flight, place, env));
                }
            } else if self.traffic.read_shared().in_flight < upper(fast) {
                let before = self.traffic.enter_shared();
                let in_flight = before.in_flight.wrapping_add(1);
                if in_flight <= upper(fast) {
                    let place = SHARED;
                    if before.admitted() & self.sparse() != 0 {
                        return Ok(Ticket::new(UNMEASURED, 0, Kind::Plain, place));
                    }
                    return Ok(self.measure(volts, in_flight, place, env));
                }
                // Others entered since the first look: the slow path compares again.
                self.traffic.leave(SHARED);
            }
        }
        self.admit_slow(volts, env)
    }

    /// Mask of the admissions that are not measured.
    #[inline]
    fn sparse(&self) -> u32 {
        (1 << ((self.control.load(Relaxed) >> SAMPLING_SHIFT) as u32 & 7)) - 1
    }

    /// Starts the measurement of a request that was admitted on the fast path.
    #[inline]
    fn measure<E: Env>(&self, volts: f64, in_flight: u32, place: u8, env: &E) -> Ticket {
        let now = env.now();
        self.note_ground(volts);
        if in_flight > upper(self.fast.load(Relaxed)) {
            // The lanes together hold more than the free zone: from now on everybody looks.
            self.lane_limit.store(0, Relaxed);
        }
        if self.is_due(now) {
            self.tick(now, env);
        }
        Ticket::new(now, in_flight, Kind::Plain, place)
    }

    #[cold]
    fn admit_slow<E: Env>(&self, volts: f64, env: &E) -> Result<Ticket, Refusal> {
        let now = env.now();
        if self.is_due(now) {
            self.tick(now, env);
        }
        // No voltage overcomes a wall, and none may poison the mean.
        let volts = math::min(volts, WALL_OHMS);
        self.note_ground(volts);
        let control = self.control.load(Relaxed);
        let verdict = if control & FORCED_CLOSED != 0 {
            // Underneath, an open breaker goes on looking.
            let probe = (control & OPEN != 0).then(|| self.arrive_open(volts, now, env));
            Ok(probe.and_then(Result::ok).unwrap_or_else(|| self.enter(now, Kind::Plain)))
        } else if control & FORCED_OPEN != 0 {
            Err(self.refuse(Reason::ForcedOpen, volts, now, env))
        } else if control & OPEN != 0 {
            self.arrive_open(volts, now, env)
        } else {
            self.arrive(control, volts, now, env)
        };
        if let Err(refusal) = &verdict {
            if control & SHADOW != 0 {
                self.shadow_shed.fetch_add(1, Relaxed);
                env.shadowed(volts, refusal);
                return Ok(self.enter(now, Kind::Plain));
            }
            self.shed.fetch_add(1, Relaxed);
        }
        verdict
    }

    fn enter(&self, now: Timestamp, kind: Kind) -> Ticket {
        let (place, reading) = self.traffic.enter();
        Ticket::new(now, self.present(reading), kind, place)
    }

    /// Requests in flight that are believed to be alive.
    fn present(&self, reading: Reading) -> u32 {
        reading.in_flight.saturating_sub(self.lost.load(Relaxed))
    }

    fn arrive<E: Env>(
        &self,
        control: u64,
        volts: f64,
        now: Timestamp,
        env: &E,
    ) -> Result<Ticket, Refusal> {
        let gate = self.gate(control);
        let ground = self.ground();
        let mut number = self.present(self.traffic.read()).saturating_add(1);
        let current = gate.current(number);
        if current > 0.0 && control & (WALL | CONGESTED) == 0 {
            self.try_grow(current, now, env);
        }
        if volts > gate.resistance(number, ground) {
            let ticket = self.enter(now, self.take_mark(&gate));
            if ticket.in_flight() <= number || volts > gate.resistance(ticket.in_flight(), ground) {
                return Ok(ticket);
            }
            // Others entered in between: this is what it really met.
            number = ticket.in_flight();
            self.traffic.leave(ticket.place());
            if ticket.kind() == Kind::Marked {
                self.marks.fetch_add(1, Relaxed);
            }
        }
        let met = Met { gate, number, ground };
        if volts <= met.gate.floor_ohms {
            return Err(self.refusal(Reason::Scarred, &met, volts, now, env));
        }
        self.refused.store(1, Relaxed);
        if self.try_scout(now) {
            return Ok(self.enter(now, Kind::Scout));
        }
        Err(self.refusal(Reason::Saturated, &met, volts, now, env))
    }

    fn arrive_open<E: Env>(&self, volts: f64, now: Timestamp, env: &E) -> Result<Ticket, Refusal> {
        if now.as_nanos() >= self.next_probe.load(Relaxed)
            && let Some(mut inner) = self.try_inner()
        {
            // Results of earlier probes may still wait to be counted.
            self.tick_locked(&mut inner, now, env);
            let probe = env.with_law(|law| inner.element.breaker_mut().try_probe(now, law));
            let closed = inner.element.breaker().mode() == BreakerMode::Closed;
            drop(inner);
            if probe {
                return Ok(self.enter(now, Kind::Probe));
            }
            if closed {
                return self.arrive(self.control.load(Relaxed), volts, now, env);
            }
        }
        Err(self.refuse(Reason::BreakerOpen, volts, now, env))
    }

    fn take_mark(&self, gate: &Gate) -> Kind {
        let taken = gate.exact
            && self.marks.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        if taken { Kind::Marked } else { Kind::Plain }
    }

    /// Slow start into capacity nobody has seen yet.
    fn try_grow<E: Env>(&self, current: f64, now: Timestamp, env: &E) {
        if now.as_nanos() < self.next_growth.load(Relaxed) {
            return;
        }
        let Some(mut inner) = self.try_inner() else {
            return;
        };
        let last_done = Timestamp::from_nanos(self.last_done.load(Relaxed));
        if inner.element.grow(current, last_done, now) {
            let wait = 2.0 * inner.element.service_secs().unwrap_or(0.0);
            self.next_growth.store(now.add_secs(wait).as_nanos(), Relaxed);
            env.with_law(|law| self.publish_gate(&inner, law));
        }
    }

    /// Requests are in flight, none has come back for long, and everybody is refused because of
    /// them: they may be leaked permits. One more may look, so that no leak closes a route for
    /// ever.
    fn try_scout(&self, now: Timestamp) -> bool {
        const SHORTEST_STALL_SECS: f64 = 1.0;
        let last_done = Timestamp::from_nanos(self.last_done.load(Relaxed));
        let silence = now.secs_since(last_done);
        if silence < SHORTEST_STALL_SECS {
            return false;
        }
        let Some(mut inner) = self.try_inner() else {
            return false;
        };
        if silence < inner.element.stalled_after_secs() {
            return false;
        }
        inner.scout_sent_at = Some(self.ended());
        // The next scout waits as long again.
        self.last_done.store(now.as_nanos(), Relaxed);
        true
    }

    // ---- end ----------------------------------------------------------------------------

    /// The request ended well.
    #[inline]
    pub(crate) fn succeed<E: Env>(&self, ticket: Ticket, env: &E) {
        if ticket.start == UNMEASURED {
            self.traffic.complete(ticket.place());
            return;
        }
        let now = env.now();
        let nanos = now.nanos_since(ticket.start).min(LONGEST_NANOS);
        let control = self.control.load(Relaxed);
        self.found(ticket);
        self.traffic.complete(ticket.place());
        self.last_done.store(now.as_nanos(), Relaxed);
        if now < ticket.start {
            return self.succeed_untimed(ticket, now, env);
        }
        if ticket.kind() != Kind::Plain || control & (EXACT | OPEN) != 0 {
            return self.succeed_slow(ticket, nanos, now, env);
        }
        self.add_latency(ticket.in_flight() <= upper(control), nanos);
        if self.is_due(now) {
            self.tick(now, env);
        }
    }

    #[inline]
    fn add_latency(&self, uncontended: bool, nanos: u64) {
        if uncontended {
            self.uncontended.add(nanos);
            self.uncontended_times.add(nanos);
        } else {
            self.contended.add(nanos);
        }
    }

    /// The clock stepped back while the request was under way: how long it took is not known.
    #[cold]
    fn succeed_untimed<E: Env>(&self, ticket: Ticket, now: Timestamp, env: &E) {
        match ticket.kind() {
            Kind::Marked => {
                self.marked_done.fetch_add(1, Relaxed);
            }
            Kind::Probe => self.probes.ok(),
            Kind::Plain | Kind::Scout => {}
        }
        self.tick(now, env);
    }

    #[cold]
    fn succeed_slow<E: Env>(&self, ticket: Ticket, nanos: u64, now: Timestamp, env: &E) {
        let marked = self.is_marked(ticket);
        if marked {
            self.marked_done.fetch_add(1, Relaxed);
        }
        if ticket.kind() == Kind::Probe {
            self.probes.ok();
            return self.tick(now, env);
        }
        let Some(mut inner) = self.try_inner() else {
            return self.add_latency(true, nanos);
        };
        if ticket.kind() == Kind::Scout {
            self.scout_returned(&mut inner, now);
        }
        let one = Latencies::from_codes(1, u64::from(math::log2_fixed(nanos)), nanos);
        inner.element.sample(&Sample {
            secs: one.sum_secs,
            ln: one.sum_ln,
            in_flight: ticket.in_flight(),
            marked,
        });
        self.tick_locked(&mut inner, now, env);
    }

    /// Whether the present phase waits for this request. What the start-up marked returns during
    /// the exhale with the latency of the overload before it.
    fn is_marked(&self, ticket: Ticket) -> bool {
        ticket.kind() == Kind::Marked && ticket.start.as_nanos() >= self.marks_since.load(Relaxed)
    }

    /// A scout came back. If nothing else did since it was sent, whatever is still in flight is
    /// taken for lost: the service works, so their results are not coming.
    fn scout_returned(&self, inner: &mut Inner, now: Timestamp) {
        let reading = self.traffic.read();
        // The scout itself is one of those that ended.
        if inner.scout_sent_at.take() == Some(self.ended().wrapping_sub(1)) {
            self.lost_before.store(now.as_nanos(), Relaxed);
            self.lost.store(reading.in_flight, Relaxed);
        }
    }

    /// How many requests ended, one way or another, modulo 2^32.
    fn ended(&self) -> u32 {
        self.traffic.read().completed.wrapping_add(self.cancelled.load(Relaxed))
    }

    /// A request that was taken for lost came back after all.
    #[inline]
    fn found(&self, ticket: Ticket) {
        if self.lost.load(Relaxed) > 0 && ticket.start.as_nanos() < self.lost_before.load(Relaxed) {
            let _ = self.lost.fetch_update(Relaxed, Relaxed, |lost| lost.checked_sub(1));
        }
    }

    /// The request failed.
    #[cold]
    pub(crate) fn fail<E: Env>(&self, ticket: Ticket, env: &E) {
        let now = env.now();
        self.found(ticket);
        if self.is_marked(ticket) {
            self.marked_done.fetch_add(1, Relaxed);
        }
        if ticket.kind() == Kind::Probe {
            self.traffic.complete(ticket.place());
            self.probes.failed();
            return self.tick(now, env);
        }
        if ticket.start.as_nanos() < self.news_since.load(Relaxed) {
            // Sent before the breaker last closed: it tells of the outage, not of the recovery.
            return self.traffic.leave(ticket.place());
        }
        self.traffic.complete(ticket.place());
        self.errors.fetch_add(1, Relaxed);
        self.last_done.store(now.as_nanos(), Relaxed);
        if self.is_due(now) || self.control.load(Relaxed) & EXACT != 0 {
            self.tick(now, env);
        }
    }

    /// The request was given up; nothing is learned from it.
    #[cold]
    pub(crate) fn cancel<E: Env>(&self, ticket: Ticket, env: &E) {
        self.found(ticket);
        self.traffic.leave(ticket.place());
        // Somebody let go: the route is not at a standstill.
        self.last_done.store(env.now().as_nanos(), Relaxed);
        self.cancelled.fetch_add(1, Relaxed);
        match ticket.kind() {
            Kind::Marked if self.is_marked(ticket) => {
                self.marked_done.fetch_add(1, Relaxed);
            }
            Kind::Probe => self.probes.cancelled(),
            Kind::Plain | Kind::Marked | Kind::Scout => {}
        }
    }

    // ---- tick ---------------------------------------------------------------------------

    #[inline]
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        // Zero or "negative" distances wrap to huge ones, as do deadlines from before a step back.
        let ahead = self.next_tick.load(Relaxed).wrapping_sub(now.as_nanos());
        ahead.wrapping_sub(1) >= FARTHEST_TICK_NANOS
    }

    fn try_inner(&self) -> Option<Guard<'_>> {
        match self.inner.try_lock() {
            Ok(guard) => Some(guard),
            // Nothing under the lock can panic; if something did all the same, the state is
            // still a valid state, only an older one.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The state, waiting for a tick on another thread to finish. Not for the request path.
    pub(crate) fn inner(&self) -> Guard<'_> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the state up to date unless another thread is doing so.
    #[cold]
    pub(crate) fn tick<E: Env>(&self, now: Timestamp, env: &E) {
        if let Some(mut inner) = self.try_inner() {
            self.tick_locked(&mut inner, now, env);
        }
    }

    pub(crate) fn tick_locked<E: Env>(&self, inner: &mut Inner, now: Timestamp, env: &E) {
        let reading = self.traffic.read();
        // Lanes are not read at one instant, so the difference can be -1 for once; what is
        // missing now is counted next time.
        let completed =
            reading.completed.wrapping_sub(inner.completed).cast_signed().max(0).cast_unsigned();
        inner.completed = inner.completed.wrapping_add(completed);
        let dt_secs = now.secs_since(inner.element.last_tick());
        if now < inner.element.last_tick() {
            // The clock stepped back: what was noted for the future would be noted for ever.
            self.marks_since.fetch_min(now.as_nanos(), Relaxed);
            self.news_since.fetch_min(now.as_nanos(), Relaxed);
            self.next_growth.fetch_min(now.as_nanos(), Relaxed);
            self.last_done.fetch_min(now.as_nanos(), Relaxed);
        }
        let scar_before = inner.element.breaker().scar();
        let probes = self.probes.take();
        let errors = self.errors.swap(0, Relaxed);
        self.lost.fetch_min(reading.in_flight, Relaxed);
        let exact = self.control.load(Relaxed) & EXACT != 0;
        let window = Window {
            in_flight: self.present(reading),
            successes: completed
                .saturating_sub(errors)
                .saturating_sub(probes.ok)
                .saturating_sub(probes.failed),
            errors,
            uncontended: self.uncontended.take_latencies(Some(&self.uncontended_times)),
            contended: self.contended.take_latencies(None),
            marked_done: self.marked_done.swap(0, Relaxed),
            probes_ok: probes.ok,
            probes_failed: probes.failed,
            probes_cancelled: probes.cancelled,
        };
        let refused = self.refused.swap(0, Relaxed) != 0;
        let draw = env.draw();
        if let Some(reported) = &inner.reported {
            inner.stress_ohms = env.stress(reported, now);
        }
        let report = env.with_law(|law| {
            let report = inner.element.tick(&window, refused, now, draw, law);
            let sampling = if exact { 0 } else { sampling_shift(completed, dt_secs, law) };
            if report.phase_changed {
                self.marks.store(0, Relaxed);
                self.marks_since.store(now.as_nanos(), Relaxed);
            }
            self.marks.fetch_add(report.marks, Relaxed);
            if report.mode == Some(BreakerMode::Closed) {
                self.news_since.store(now.as_nanos(), Relaxed);
            }
            if inner.force.is_some_and(|(_, until)| now >= until) {
                inner.force = None;
            }
            self.publish(inner, sampling, law);
            self.ticked(now, law);
            if !refused {
                self.open_lanes(inner, law);
            }
            report
        });
        let rate = f64::from(completed) / math::max(dt_secs, 1e-9);
        let hot = rate >= HOT_PER_SEC && completed >= HOT_COMPLETIONS;
        if hot
            && self.traffic.lanes().is_none()
            && let Some(lanes) = env.lanes()
        {
            self.traffic.attach(lanes);
        }
        if let Some(mode) = report.mode {
            env.mode_changed(mode, now);
        }
        if (inner.element.breaker().scar() - scar_before).abs() > SCAR_DEAD_BAND {
            env.scar_changed();
        }
    }

    /// Publishes the whole state.
    pub(crate) fn publish(&self, inner: &Inner, sampling: u32, law: &LawConfig) {
        self.lane_limit.store(0, Relaxed);
        let gate = self.publish_gate(inner, law);
        let element = &inner.element;
        let mut control = u64::from(sampling) << SAMPLING_SHIFT
            | u64::from(gate.uncontended) << UNCONTENDED_SHIFT;
        let flags = [
            (gate.open, OPEN),
            (gate.wall, WALL),
            (gate.exact, EXACT),
            (inner.shadow, SHADOW),
            (inner.is_forced(Force::Open), FORCED_OPEN),
            (inner.is_forced(Force::Closed), FORCED_CLOSED),
            (element.is_congested(), CONGESTED),
        ];
        for (set, flag) in flags {
            if set {
                control |= flag;
            }
        }
        self.control.store(control, Relaxed);
        store_f32(&self.rate, element.drain_rate().unwrap_or(0.0));
        self.next_probe.store(element.breaker().next_probe().as_nanos(), Relaxed);
    }

    /// Notes that the state is up to date as of `now`. Only a tick does that: if a mere change
    /// of settings did, frequent ones would put off learning for ever.
    fn ticked(&self, now: Timestamp, law: &LawConfig) {
        self.last_tick.store(now.as_nanos(), Relaxed);
        self.next_tick.store(now.add_secs(law.tick_secs()).as_nanos(), Relaxed);
    }

    /// Publishes how many requests one lane may have in flight without looking at the others:
    /// its share of the free zone, with one share in reserve for a thread that was silent so far.
    /// Nothing while the route is not calm: then every arrival needs the exact sum.
    fn open_lanes(&self, inner: &Inner, law: &LawConfig) {
        let Some(lanes) = self.traffic.lanes() else { return };
        let gate = inner.element.gate(inner.stress_ohms + inner.cluster_ohms, law);
        let special =
            gate.wall || gate.open || inner.force.is_some() || self.lost.load(Relaxed) > 0;
        if special || inner.element.is_congested() {
            return;
        }
        let active = lanes.take_active();
        let share = gate.free_zone / f64::from(active.saturating_add(1).max(FEWEST_SHARES));
        // One request per thread is within the queue that the traffic is allowed anyway.
        let least = u32::from(f64::from(active) <= gate.free_zone + gate.queue / 2.0);
        self.lane_limit.store((share as u32).max(least), Relaxed);
    }

    fn publish_gate(&self, inner: &Inner, law: &LawConfig) -> Gate {
        let gate = inner.element.gate(inner.stress_ohms + inner.cluster_ohms, law);
        let fast_lane = !(gate.wall || gate.open || inner.force.is_some());
        let calm_limit = if fast_lane { gate.calm_limit() } else { 0 };
        self.slow
            .store(pack((gate.free_zone as f32).to_bits(), (gate.queue as f32).to_bits()), Relaxed);
        self.fast.store(pack(calm_limit, (gate.floor_ohms as f32).to_bits()), Relaxed);
        store_f32(&self.passing, gate.passing);
        store_f32(&self.scar, inner.element.breaker().scar());
        store_f32(&self.cluster, inner.cluster_ohms);
        store_f32(&self.stress, inner.stress_ohms);
        gate
    }

    // ---- reading ------------------------------------------------------------------------

    fn gate(&self, control: u64) -> Gate {
        let slow = self.slow.load(Relaxed);
        Gate {
            floor_ohms: f64::from(f32::from_bits(lower(self.fast.load(Relaxed)))),
            free_zone: f64::from(f32::from_bits(upper(slow))),
            queue: f64::from(f32::from_bits(lower(slow))),
            passing: load_f32(&self.passing),
            wall: control & WALL != 0,
            open: control & OPEN != 0,
            exact: control & EXACT != 0,
            uncontended: upper(control),
        }
    }

    fn ground(&self) -> f64 {
        load_f32(&self.ground)
    }

    /// The traffic's mean voltage. Two threads may overwrite each other's step; a mean over
    /// hundreds of arrivals does not notice.
    #[inline]
    fn note_ground(&self, volts: f64) {
        // One absurd voltage must not decide the queue of thousands of others.
        let volts = math::min(volts, HIGHEST_GROUND_VOLTS);
        let ground = self.ground();
        let next = if ground > 0.0 { ground_after(ground, volts) } else { volts };
        store_f32(&self.ground, next);
    }

    /// The parts of the resistance that arrival number `n + 1` meets now.
    fn met(&self) -> Met {
        Met {
            gate: self.gate(self.control.load(Relaxed)),
            number: self.present(self.traffic.read()).saturating_add(1),
            ground: self.ground(),
        }
    }

    fn parts(&self, met: &Met) -> Parts {
        let (scar, cluster_scar, reported) =
            (load_f32(&self.scar), load_f32(&self.cluster), load_f32(&self.stress));
        Parts {
            base: math::max(met.gate.floor_ohms - scar - cluster_scar - reported, 0.0),
            saturation: met.gate.saturation_ohms(met.number, met.ground),
            scar,
            cluster_scar,
            reported,
        }
    }

    fn refuse<E: Env>(&self, reason: Reason, volts: f64, now: Timestamp, env: &E) -> Refusal {
        self.refusal(reason, &self.met(), volts, now, env)
    }

    fn refusal<E: Env>(
        &self,
        reason: Reason,
        met: &Met,
        volts: f64,
        now: Timestamp,
        env: &E,
    ) -> Refusal {
        let parts = self.parts(met);
        let wait_secs = match reason {
            Reason::Saturated => {
                let excess = f64::from(met.number) - met.gate.limit(volts, met.ground);
                let rate = load_f32(&self.rate);
                if rate > 0.0 { math::max(excess, 1.0) / rate } else { 0.1 }
            }
            Reason::Scarred => {
                // Heals as exp(-λt) until base + scar·exp(-λt) is below the voltage.
                let healable = parts.scar + parts.cluster_scar;
                let spare = volts - parts.base - parts.reported;
                if spare > 0.0 {
                    let healing = env.with_law(LawConfig::healing_per_sec);
                    math::ln(math::max(healable / spare, 1.0)) / healing
                } else {
                    f64::MAX
                }
            }
            Reason::BreakerOpen => {
                let next_probe = Timestamp::from_nanos(self.next_probe.load(Relaxed));
                math::max(next_probe.secs_since(now), env.with_law(LawConfig::probe_secs))
            }
            Reason::ForcedOpen => {
                let until = self.try_inner().and_then(|inner| inner.force).map(|(_, until)| until);
                until.map_or(1.0, |until| until.secs_since(now))
            }
        };
        Refusal { reason, parts, wait_secs }
    }

    /// What [`admit`](Self::admit) would say now, changing nothing.
    pub(crate) fn peek<E: Env>(&self, volts: f64, env: &E) -> (Parts, Option<Refusal>) {
        let now = env.now();
        let volts = math::min(volts, WALL_OHMS);
        let control = self.control.load(Relaxed);
        let met = self.met();
        let parts = self.parts(&met);
        let reason = if control & FORCED_CLOSED != 0 {
            None
        } else if control & FORCED_OPEN != 0 {
            Some(Reason::ForcedOpen)
        } else if control & OPEN != 0 {
            Some(Reason::BreakerOpen)
        } else if volts > parts.total() {
            None
        } else if volts <= met.gate.floor_ohms {
            Some(Reason::Scarred)
        } else {
            Some(Reason::Saturated)
        };
        (parts, reason.map(|reason| self.refusal(reason, &met, volts, now, env)))
    }

    /// R for the next arrival, from the published state alone.
    pub(crate) fn resistance(&self) -> f64 {
        self.parts(&self.met()).total()
    }

    /// Whether [`admit`](Self::admit) would admit now, from the published state alone: no clock,
    /// no ticks, no probes.
    #[inline]
    pub(crate) fn would_flow(&self, volts: f64) -> bool {
        let fast = self.fast.load(Relaxed);
        let floor = f64::from(f32::from_bits(lower(fast)));
        let calm = match self.traffic.lanes() {
            Some(lanes) => lanes.has_room(self.lane_limit.load(Relaxed)),
            None => self.traffic.read_shared().in_flight < upper(fast),
        };
        (calm && volts > floor) || self.would_flow_slow(volts)
    }

    #[cold]
    fn would_flow_slow(&self, volts: f64) -> bool {
        let control = self.control.load(Relaxed);
        if control & (FORCED_CLOSED | SHADOW) != 0 {
            return true;
        }
        control & (FORCED_OPEN | OPEN) == 0 && math::min(volts, WALL_OHMS) > self.resistance()
    }

    /// What this node has seen: the parts of the resistance, the scar, and the evidence.
    pub(crate) fn observation(&self, law: &LawConfig) -> (Parts, f64, f64) {
        let parts = self.parts(&self.met());
        let inner = self.inner();
        let breaker = inner.element.breaker();
        (parts, breaker.scar(), breaker.evidence(law))
    }

    pub(crate) fn counts(&self) -> Counts {
        let reading = self.traffic.read();
        Counts {
            completed: reading.completed,
            shed: self.shed.load(Relaxed),
            shadow_shed: self.shadow_shed.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            in_flight: reading.in_flight,
        }
    }

    /// About when the state was last brought up to date.
    pub(crate) fn last_tick(&self) -> Timestamp {
        Timestamp::from_nanos(self.last_tick.load(Relaxed))
    }

    /// Forgets everything learned and remembered; requests in flight stay counted.
    pub(crate) fn reset(&self, now: Timestamp, law: &LawConfig) {
        let mut inner = self.inner();
        inner.element = Element::new(now, law);
        inner.reported = None;
        inner.stress_ohms = 0.0;
        inner.cluster_ohms = 0.0;
        inner.force = None;
        inner.scout_sent_at = None;
        self.marks.store(Element::FIRST_MARKS, Relaxed);
        self.marks_since.store(now.as_nanos(), Relaxed);
        self.publish(&inner, 0, law);
    }

    /// Whether an open route waits for somebody to look.
    pub(crate) fn wants_probe(&self, now: Timestamp) -> bool {
        self.is_open()
            && now.as_nanos() >= self.next_probe.load(Relaxed)
            && self.try_inner().is_some_and(|inner| inner.element.breaker().probe_due(now))
    }

    /// Whether forgetting the route loses nothing but what it learned: no override, no shadowing
    /// other than `shadow`, nobody inside, and a breaker whose scar has healed by itself since.
    /// What has leaked or stayed open for an hour counts as gone.
    pub(crate) fn is_forgettable(&self, shadow: bool, idle_secs: f64) -> bool {
        const AS_GOOD_AS_GONE_SECS: f64 = 3600.0;
        let Some(inner) = self.try_inner() else { return false };
        let busy = self.traffic.read().in_flight > 0 || self.is_open();
        inner.force.is_none()
            && inner.shadow == shadow
            && (!busy || idle_secs >= AS_GOOD_AS_GONE_SECS)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.control.load(Relaxed) & OPEN != 0
    }
}

#[cfg(loom)]
pub(crate) type Guard<'a> = loom::sync::MutexGuard<'a, Inner>;
#[cfg(not(loom))]
pub(crate) type Guard<'a> = std::sync::MutexGuard<'a, Inner>;

impl Inner {
    fn is_forced(&self, force: Force) -> bool {
        self.force.is_some_and(|(f, _)| f == force)
    }
}

/// The sampling shift that leaves plenty of samples in a tick like the last one.
fn sampling_shift(completed: u32, dt_secs: f64, law: &LawConfig) -> u32 {
    if dt_secs <= 0.0 {
        return 0;
    }
    let per_tick = f64::from(completed) * law.tick_secs() / dt_secs;
    let mut shift = 0;
    while shift < SPARSEST_SAMPLING && per_tick / f64::from(1u32 << (shift + 1)) >= PLENTY_PER_TICK
    {
        shift += 1;
    }
    shift
}

#[cfg(all(test, loom))]
mod loom_tests;
