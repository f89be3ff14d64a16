//! Arrivals: the decision, the permit's ticket, probes, scouts, growth.

use crate::counter::Reading;
use crate::lanes::SHARED;
use crate::shed::Reason;
use atrion_core::law::{Gate, WALL_OHMS};
use atrion_core::math;
use atrion_core::time::Timestamp;
use std::sync::atomic::Ordering::Relaxed;

use super::{
    CONGESTED, Cell, Env, FORCED_CLOSED, FORCED_OPEN, HELD, Kind, Met, OPEN, Refusal,
    SAMPLING_SHIFT, SHADOW, Ticket, UNMEASURED, WALL, load_f32, lower, upper,
};

/// What became of an arrival that may have been easy.
pub(crate) enum Calm {
    /// Admitted, and not measured.
    Counted(Ticket),
    /// Admitted; its ticket is still to be had from [`Cell::measure`].
    Measured { in_flight: u32, place: u8 },
    /// Not decided.
    Not,
}

impl Calm {
    #[inline]
    const fn counted(place: u8, control: u64) -> Self {
        Self::Counted(Ticket::new(UNMEASURED, 0, Kind::Plain, place, control))
    }
}

impl Cell {
    /// The decision for a request of `volts`, as [`Route::admit`](crate::Route::admit) puts it
    /// together.
    #[cfg(all(test, loom))]
    pub(crate) fn admit<E: Env>(&self, volts: f64, env: &E) -> Result<Ticket, Refusal> {
        match self.admit_calm(volts) {
            Calm::Counted(ticket) => Ok(ticket),
            Calm::Measured { in_flight, place } => Ok(self.measure(volts, in_flight, place, env)),
            Calm::Not => self.admit_slow(volts, env),
        }
    }

    /// The decision as long as it is easy. It knows neither clock nor refusals, so that it is small
    /// enough to become part of the caller.
    #[inline]
    pub(crate) fn admit_calm(&self, volts: f64) -> Calm {
        let fast = self.fast.load(Relaxed);
        let control = self.control.load(Relaxed);
        if volts > f64::from(f32::from_bits(lower(fast))) {
            if let Some(lanes) = self.traffic.lanes() {
                if let Some((place, nth)) = lanes.try_enter(self.lane_limit.load(Relaxed)) {
                    if nth & Self::sparse(control) != 0 {
                        return Calm::counted(place, control);
                    }
                    let in_flight = self.count_present();
                    return Calm::Measured { in_flight, place };
                }
            } else if self.traffic.read_shared().in_flight < upper(fast) {
                let before = self.traffic.enter_shared();
                let in_flight = before.in_flight.wrapping_add(1);
                if in_flight <= upper(fast) {
                    if before.admitted() & Self::sparse(control) != 0 {
                        return Calm::counted(SHARED, control);
                    }
                    return Calm::Measured { in_flight, place: SHARED };
                }
                // Others entered since the first look: the slow path compares again.
                self.traffic.leave(SHARED);
            }
        }
        Calm::Not
    }

    /// Mask of the admissions that are not measured.
    #[inline]
    pub(super) const fn sparse(control: u64) -> u32 {
        (1 << ((control >> SAMPLING_SHIFT) as u32 & 7)) - 1
    }

    /// Starts the measurement of a request that was admitted on the fast path. Not a part of it:
    /// what one request in many needs would take registers from all.
    #[inline(never)]
    pub(crate) fn measure<E: Env>(&self, volts: f64, in_flight: u32, place: u8, env: &E) -> Ticket {
        let now = env.now();
        self.note_ground(volts);
        let gate = self.gate(self.control.load(Relaxed));
        if f64::from(in_flight) > gate.free_zone + gate.queue / 2.0 {
            // The lanes together hold more than they were meant to: from now on everybody looks.
            self.lane_limit.store(0, Relaxed);
        }
        if self.is_due(now) {
            self.tick(now, env);
        }
        Ticket::new(now, in_flight, Kind::Plain, place, self.control.load(Relaxed))
    }

    #[cold]
    pub(crate) fn admit_slow<E: Env>(&self, volts: f64, env: &E) -> Result<Ticket, Refusal> {
        let now = env.now();
        if self.is_due(now) {
            self.tick(now, env);
        }
        // No voltage overcomes a wall, and none may poison the mean.
        let volts = math::min(volts, WALL_OHMS);
        self.note_ground(volts);
        let control = self.control.load(Relaxed);
        let verdict = if control & FORCED_CLOSED != 0 {
            // Underneath, a closed-off route goes on looking.
            let probe =
                (control & (OPEN | HELD) != 0).then(|| self.arrive_closed_off(volts, now, env));
            Ok(probe.and_then(Result::ok).unwrap_or_else(|| self.enter(now, Kind::Plain)))
        } else if control & FORCED_OPEN != 0 {
            Err(self.refuse(Reason::ForcedOpen, volts, now, env))
        } else if control & (OPEN | HELD) != 0 {
            self.arrive_closed_off(volts, now, env)
        } else {
            self.arrive(control, volts, now, env)
        };
        if let Err(refusal) = &verdict {
            if control & SHADOW != 0 {
                self.shadow_shed.fetch_add(1, Relaxed);
                env.shadowed(volts, refusal);
                return Ok(self.enter(now, Kind::Plain).shadowed(refusal.reason));
            }
            self.shed.fetch_add(1, Relaxed);
        }
        verdict
    }

    pub(super) fn enter(&self, now: Timestamp, kind: Kind) -> Ticket {
        let (place, reading) = self.traffic.enter();
        Ticket::new(now, self.present(reading), kind, place, self.control.load(Relaxed))
    }

    /// How many requests are in flight, counted lane by lane.
    #[cold]
    fn count_present(&self) -> u32 {
        self.present(self.traffic.read())
    }

    /// Requests in flight that are believed to be alive.
    pub(super) fn present(&self, reading: Reading) -> u32 {
        reading.in_flight.saturating_sub(self.lost.load(Relaxed))
    }

    pub(super) fn arrive<E: Env>(
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
            if self.try_verify(volts, now, env) {
                return Ok(self.enter(now, Kind::Probe));
            }
            return Err(self.refusal(Reason::Scarred, &met, volts, now, env));
        }
        self.refused.store(1, Relaxed);
        if self.try_scout(now) {
            return Ok(self.enter(now, Kind::Scout));
        }
        Err(self.refusal(Reason::Saturated, &met, volts, now, env))
    }

    /// Only probes pass: the breaker is open, or others hold the route.
    pub(super) fn arrive_closed_off<E: Env>(
        &self,
        volts: f64,
        now: Timestamp,
        env: &E,
    ) -> Result<Ticket, Refusal> {
        if now.as_nanos() >= self.next_probe.load(Relaxed)
            && let Some(mut inner) = self.try_inner()
        {
            // Results of earlier probes may still wait to be counted.
            self.tick_locked(&mut inner, now, env);
            let probe = inner.try_probe(now);
            let flows = !probe && !inner.is_closed_off();
            drop(inner);
            if probe {
                return Ok(self.enter(now, Kind::Probe));
            }
            if flows {
                return self.arrive(self.control.load(Relaxed), volts, now, env);
            }
        }
        let open = self.control.load(Relaxed) & OPEN != 0;
        let reason = if open { Reason::BreakerOpen } else { Reason::Held };
        Err(self.refuse(reason, volts, now, env))
    }

    /// A request is refused only because of what others say: when it is time to see whether that
    /// is true, it may pass.
    fn try_verify<E: Env>(&self, volts: f64, now: Timestamp, env: &E) -> bool {
        if load_f32(&self.cluster) <= 0.0 || now.as_nanos() < self.next_probe.load(Relaxed) {
            return false;
        }
        let Some(mut inner) = self.try_inner() else {
            return false;
        };
        self.tick_locked(&mut inner, now, env);
        let own = env.with_law(|law| inner.element.gate(inner.stress_ohms, law));
        volts > own.floor_ohms && !own.open && inner.try_probe(now)
    }

    pub(super) fn take_mark(&self, gate: &Gate) -> Kind {
        let taken = gate.exact
            && self.marks.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        if taken { Kind::Marked } else { Kind::Plain }
    }

    /// Slow start into capacity nobody has seen yet.
    pub(super) fn try_grow<E: Env>(&self, current: f64, now: Timestamp, env: &E) {
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
    pub(super) fn try_scout(&self, now: Timestamp) -> bool {
        const SHORTEST_STALL_SECS: f64 = 1.0;
        let last_done = Timestamp::from_nanos(self.last_done.load(Relaxed));
        let silence = now.secs_since(last_done);
        if silence < SHORTEST_STALL_SECS {
            return false;
        }
        if self.present(self.traffic.read()) <= self.leased.load(Relaxed) {
            // All of them hold leases, which expire by themselves.
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
}
