//! Circuits in series: one cell for the whole process behind the cells of its routes.
//!
//! A request flows if its voltage overcomes both resistances together. The process's cell sees
//! every route's requests, so it must not mind that they cost differently: it is told latencies
//! relative to the bare service time of their route. It knows no failures; those are its routes'.

use std::sync::atomic::Ordering::Relaxed;

use atrion_core::law::{Latencies, Sample, WALL_OHMS, ground_after};
use atrion_core::math::{self, log2_fixed};

use crate::lanes::SHARED;
use crate::shed::Parts;

use super::{
    CONGESTED, Cell, EXACT, Env, FORCED_CLOSED, HIGHEST_GROUND_VOLTS, Inner, Kind, LONGEST_NANOS,
    Met, SERIES, SHADOW, SHORTEST_NANOS, Ticket, UNMEASURED, WALL, load_f32, store_f32, upper,
};

/// What the process remembers of a request, in the ticket's spare bits.
const MARKED: u64 = 1 << 25;
const UNCONTENDED: u64 = 1 << 26;
const SCOUT: u64 = 1 << 15;
const NUMBER_SHIFT: u32 = 27;
const NUMBER_MASK: u64 = 0x1f;

/// The code of a request that took exactly as long as its route takes without a queue: one
/// second, so that both what is faster and what is slower can be told.
const LEVEL: i64 = log2_fixed(1_000_000_000) as i64;
/// A request counts for at most so many average ones in the traffic's mean voltage.
const DEAREST: f64 = 25.0;
/// One above the highest code there is.
const HIGHEST_CODE: i64 = 1 << 15;

impl Ticket {
    /// Whether the process's element has to admit the request too, or has done so.
    #[inline]
    pub(crate) const fn is_in_series(self) -> bool {
        self.tag & SERIES != 0
    }

    /// Whether the latency shows the bare service time of a route that shows it up to `limit`
    /// requests in flight: not if others that share the bottleneck stood in the way.
    #[inline]
    pub(super) const fn is_uncontended(self, limit: u32) -> bool {
        self.in_flight() <= limit && self.tag & (SERIES | UNCONTENDED) != SERIES
    }

    const fn with(self, bits: u64) -> Self {
        Self { start: self.start, tag: self.tag | bits }
    }
}

/// Why the process's element does not admit a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    /// Ohms it adds to those of the route.
    pub(crate) ohms: f64,
    /// Seconds until the voltage is expected to pass.
    pub(crate) wait_secs: f64,
}

impl Cell {
    /// Takes in a request of `volts` that its `route` has admitted.
    pub(crate) fn join<E: Env>(
        &self,
        ticket: Ticket,
        volts: f64,
        route: &Self,
        env: &E,
    ) -> Result<Ticket, Short> {
        let calm_limit = upper(self.fast.load(Relaxed));
        if self.traffic.read_shared().in_flight < calm_limit {
            let number = self.traffic.enter_shared().in_flight.wrapping_add(1);
            if number <= calm_limit {
                let control = self.control.load(Relaxed);
                if ticket.start != UNMEASURED {
                    self.note_ground_of(volts, route);
                    if self.is_due(ticket.start) {
                        self.tick(ticket.start, env);
                    }
                }
                return Ok(joined(ticket, number, control));
            }
            self.traffic.leave(SHARED);
        }
        self.join_slow(ticket, volts, route, env)
    }

    #[cold]
    fn join_slow<E: Env>(
        &self,
        ticket: Ticket,
        volts: f64,
        route: &Self,
        env: &E,
    ) -> Result<Ticket, Short> {
        let now = env.now();
        if self.is_due(now) {
            self.tick(now, env);
        }
        let volts = math::min(volts, WALL_OHMS);
        self.note_ground_of(volts, route);
        let control = self.control.load(Relaxed);
        let route_ohms = route.resistance_met(ticket);
        let mut met = self.met();
        let current = met.gate.current(met.number);
        if current > 0.0 && control & (WALL | CONGESTED) == 0 {
            self.try_grow(current, now, env);
            met = self.met();
        }
        let flows = |met: &Met| volts > route_ohms + saturation(met);
        if flows(&met) {
            let present = self.traffic.enter_shared().in_flight.wrapping_add(1);
            met.number = present.saturating_sub(self.lost.load(Relaxed));
            if flows(&met) {
                let mark = if self.take_mark(&met.gate) == Kind::Marked { MARKED } else { 0 };
                return Ok(joined(ticket, met.number, control).with(mark));
            }
            // Others entered in between.
            self.traffic.leave(SHARED);
        }
        self.refused.store(1, Relaxed);
        if self.try_scout(now) {
            self.traffic.enter_shared();
            return Ok(joined(ticket, met.number, control).with(SCOUT));
        }
        Err(self.short(&met, volts, route_ohms))
    }

    fn short(&self, met: &Met, volts: f64, route_ohms: f64) -> Short {
        let limit = met.gate.limit(volts - route_ohms + met.gate.floor_ohms, met.ground);
        let rate = load_f32(&self.rate);
        let excess = math::max(f64::from(met.number) - limit, 1.0);
        let wait_secs = if rate > 0.0 { excess / rate } else { 0.1 };
        Short { ohms: saturation(met), wait_secs }
    }

    /// The mean voltage of the traffic, each arrival weighed by what it costs beside the others:
    /// a thousand cheap requests of a high tier leave as much of the bottleneck to the rest as
    /// ten dear ones.
    fn note_ground_of(&self, volts: f64, route: &Self) {
        let cost = match (route.service_secs(), self.service_secs()) {
            (Some(route), Some(mean)) if mean > 0.0 => math::min(route / mean, DEAREST),
            _ => 1.0,
        };
        let ground = self.ground();
        let volts = math::min(volts, HIGHEST_GROUND_VOLTS);
        let step = cost * (ground_after(ground, volts) - ground);
        store_f32(&self.ground, if ground > 0.0 { ground + step } else { volts });
    }

    /// What [`join`](Self::join) would say now, changing nothing.
    pub(crate) fn would_join(&self, volts: f64, route_ohms: f64) -> Result<(), Short> {
        let (met, volts) = (self.met(), math::min(volts, WALL_OHMS));
        if volts > route_ohms + saturation(&met) {
            Ok(())
        } else {
            Err(self.short(&met, volts, route_ohms))
        }
    }

    /// R0 of the process, if it is known and nobody holds the state just now.
    pub(crate) fn service_secs(&self) -> Option<f64> {
        self.try_inner()?.element.service_secs()
    }

    /// Takes a request in without asking: probes, scouts and what an operator lets through.
    pub(crate) fn join_anyway(&self, ticket: Ticket) -> Ticket {
        let number = self.traffic.enter_shared().in_flight.wrapping_add(1);
        joined(ticket, number, self.control.load(Relaxed))
    }

    /// Ohms that the process adds to what its next arrival meets.
    pub(crate) fn added_to_routes(&self) -> f64 {
        saturation(&self.met())
    }

    /// A request of the process ended well. `route` is the cell of its route.
    pub(crate) fn part<E: Env>(&self, ticket: Ticket, route: &Self, env: &E) {
        if ticket.start == UNMEASURED {
            return self.traffic.complete(SHARED);
        }
        let now = env.now();
        self.found(ticket);
        self.traffic.complete(SHARED);
        self.last_done.store(now.as_nanos(), Relaxed);
        let marked = self.mark_returned(ticket);
        if now < ticket.start {
            return self.tick(now, env);
        }
        let nanos = now.nanos_since(ticket.start).clamp(SHORTEST_NANOS, LONGEST_NANOS);
        let code = route.relative_code(nanos);
        if self.control.load(Relaxed) & EXACT != 0 || ticket.tag & SCOUT != 0 {
            let Some(mut inner) = self.try_inner() else { return };
            if ticket.tag & SCOUT != 0 {
                self.scout_returned(&mut inner, now);
            }
            sample(&mut inner, ticket, nanos, code, marked);
            return self.tick_locked(&mut inner, now, env);
        }
        if ticket.tag & UNCONTENDED != 0 {
            self.uncontended.add_code(code);
            self.uncontended_times.add(nanos);
        } else {
            self.contended.add_code(code);
            if code < log2_fixed(self.quick_below.load(Relaxed)) {
                self.quick.fetch_add(1, Relaxed);
            }
        }
        if self.is_due(now) {
            self.tick(now, env);
        }
    }

    /// A request of the process ended in a way that says nothing about the process: it failed, or
    /// was given up.
    #[cold]
    pub(crate) fn part_unjudged<E: Env>(&self, ticket: Ticket, env: &E) {
        self.found(ticket);
        self.traffic.leave(SHARED);
        self.mark_returned(ticket);
        self.last_done.store(env.now().as_nanos(), Relaxed);
    }

    fn mark_returned(&self, ticket: Ticket) -> bool {
        let marked =
            ticket.tag & MARKED != 0 && ticket.start.as_nanos() >= self.marks_since.load(Relaxed);
        if marked {
            self.marked_done.fetch_add(1, Relaxed);
        }
        marked
    }

    /// How long a request of this route took beside what the route takes without a queue, as a
    /// code around [`LEVEL`]. While the route knows nothing, or is just learning, it is level.
    fn relative_code(&self, nanos: u64) -> u32 {
        let bare = self.try_inner().and_then(|inner| inner.element.service_ln());
        let code = bare.map_or(LEVEL, |ln| {
            let bare = math::log2_fixed_from_ln(ln) as i64 + LEVEL;
            i64::from(log2_fixed(nanos)) - bare + LEVEL
        });
        code.clamp(0, HIGHEST_CODE - 1) as u32
    }

    /// R of the route for a request that it has admitted already.
    pub(crate) fn resistance_met(&self, ticket: Ticket) -> f64 {
        let met = self.met_by(ticket);
        met.gate.resistance(met.number, met.ground)
    }

    /// The parts of that resistance.
    pub(crate) fn parts_met(&self, ticket: Ticket) -> Parts {
        self.parts(&self.met_by(ticket))
    }

    fn met_by(&self, ticket: Ticket) -> Met {
        let met = self.met();
        // A request that is not measured does not know its number; it is one of those present.
        let unknown = ticket.start == UNMEASURED;
        let number = if unknown { met.number.saturating_sub(1) } else { ticket.in_flight() };
        Met { number, ..met }
    }

    pub(crate) fn is_shadowed(&self) -> bool {
        self.control.load(Relaxed) & SHADOW != 0
    }

    pub(crate) fn count_shadowed(&self) {
        self.shadow_shed.fetch_add(1, Relaxed);
    }

    /// A request that the route admitted and the process did not: as if it had never come.
    pub(crate) fn take_back(&self, ticket: Ticket) {
        self.traffic.leave(ticket.place());
        self.shed.fetch_add(1, Relaxed);
        if ticket.kind() == Kind::Marked {
            self.marks.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn has_series(&self) -> bool {
        self.control.load(Relaxed) & SERIES != 0
    }

    /// Whether the route lets this request through whatever the process says.
    pub(crate) fn insists(&self, ticket: Ticket) -> bool {
        matches!(ticket.kind(), Kind::Probe | Kind::Scout) || self.is_forced_closed()
    }

    pub(crate) fn is_forced_closed(&self) -> bool {
        self.control.load(Relaxed) & FORCED_CLOSED != 0
    }
}

fn joined(ticket: Ticket, number: u32, control: u64) -> Ticket {
    let uncontended = if number <= upper(control) { UNCONTENDED } else { 0 };
    let number = u64::from(number).min(NUMBER_MASK) << NUMBER_SHIFT;
    ticket.with(uncontended | number)
}

fn saturation(met: &Met) -> f64 {
    met.gate.saturation_ohms(met.number, met.ground)
}

fn sample(inner: &mut Inner, ticket: Ticket, nanos: u64, code: u32, marked: bool) {
    let one = Latencies::from_codes(1, u64::from(code), nanos);
    let number = (ticket.tag >> NUMBER_SHIFT) & NUMBER_MASK;
    inner.element.sample(&Sample {
        secs: one.sum_secs,
        ln: one.sum_ln,
        in_flight: number as u32,
        marked,
    });
}
