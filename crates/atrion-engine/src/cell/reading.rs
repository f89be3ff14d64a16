//! Reading: what the published state says, without changing it.

use crate::lanes::Lanes;
use crate::shed::{Parts, Reason};
use atrion_core::law::{Element, Gate, LawConfig, WALL_OHMS, ground_after};
use atrion_core::math;
use atrion_core::time::Timestamp;
use std::sync::atomic::Ordering::Relaxed;

use super::{
    Cell, Counts, EXACT, Env, FORCED_CLOSED, FORCED_OPEN, HELD, HIGHEST_GROUND_VOLTS, Met, OPEN,
    Refusal, SHADOW, WALL, load_f32, lower, store_f32, upper,
};

impl Cell {
    pub(super) fn gate(&self, control: u64) -> Gate {
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

    pub(super) fn ground(&self) -> f64 {
        load_f32(&self.ground)
    }

    /// The traffic's mean voltage. Two threads may overwrite each other's step; a mean over
    /// hundreds of arrivals does not notice.
    #[inline]
    pub(super) fn note_ground(&self, volts: f64) {
        // One absurd voltage must not decide the queue of thousands of others.
        let volts = math::min(volts, HIGHEST_GROUND_VOLTS);
        let ground = self.ground();
        let next = if ground > 0.0 { ground_after(ground, volts) } else { volts };
        store_f32(&self.ground, next);
    }

    /// The parts of the resistance that arrival number `n + 1` meets now.
    pub(super) fn met(&self) -> Met {
        Met {
            gate: self.gate(self.control.load(Relaxed)),
            number: self.present(self.traffic.read()).saturating_add(1),
            ground: self.ground(),
        }
    }

    pub(super) fn parts(&self, met: &Met) -> Parts {
        let (scar, cluster_scar, reported) =
            (load_f32(&self.scar), load_f32(&self.cluster), load_f32(&self.stress));
        Parts {
            base: math::max(met.gate.floor_ohms - scar - cluster_scar - reported, 0.0),
            saturation: met.gate.saturation_ohms(met.number, met.ground),
            process: 0.0,
            scar,
            cluster_scar,
            reported,
        }
    }

    pub(super) fn refuse<E: Env>(
        &self,
        reason: Reason,
        volts: f64,
        now: Timestamp,
        env: &E,
    ) -> Refusal {
        self.refusal(reason, &self.met(), volts, now, env)
    }

    pub(super) fn refusal<E: Env>(
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
            Reason::BreakerOpen | Reason::Held => {
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

    /// What [`Route::admit`](crate::Route::admit) would say now, changing nothing.
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
        } else if control & HELD != 0 {
            Some(Reason::Held)
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

    /// Whether [`Route::admit`](crate::Route::admit) would admit now, from the published state alone: no clock,
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
    pub(super) fn would_flow_slow(&self, volts: f64) -> bool {
        let control = self.control.load(Relaxed);
        if control & (FORCED_CLOSED | SHADOW) != 0 {
            return true;
        }
        control & (FORCED_OPEN | OPEN | HELD) == 0
            && math::min(volts, WALL_OHMS) > self.resistance()
    }

    /// The counters of single threads, if the route is hot.
    #[inline]
    pub(crate) fn lanes(&self) -> Option<&Lanes> {
        self.traffic.lanes()
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

    /// About when the last request ended; as new routes have none, when the route was made.
    pub(crate) fn last_done(&self) -> Timestamp {
        Timestamp::from_nanos(self.last_done.load(Relaxed))
    }

    /// Forgets everything learned and remembered; requests in flight stay counted.
    pub(crate) fn reset(&self, now: Timestamp, law: &LawConfig) {
        let mut inner = self.inner();
        inner.element = Element::new(now, law);
        inner.reported = None;
        inner.stress_ohms = 0.0;
        inner.hearsay = None;
        inner.element.breaker_mut().count_from(self.arrivals(), now);
        inner.force = None;
        inner.scout_sent_at = None;
        self.marks.store(Element::FIRST_MARKS, Relaxed);
        self.marks_since.store(now.as_nanos(), Relaxed);
        self.publish(&inner, 0, law);
    }

    /// Whether a route that lets only probes pass waits for somebody to look.
    pub(crate) fn wants_probe(&self, now: Timestamp) -> bool {
        self.control.load(Relaxed) & (OPEN | HELD) != 0
            && now.as_nanos() >= self.next_probe.load(Relaxed)
            && self.try_inner().is_some_and(|inner| inner.is_probe_due(now))
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

    pub(crate) fn is_held(&self) -> bool {
        self.control.load(Relaxed) & HELD != 0
    }
}
