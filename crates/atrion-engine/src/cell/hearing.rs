//! What other nodes say reaches the cell, and what it says itself is read.

use atrion_core::law::{BreakerMode, Hearsay, LawConfig, Moment, OwnWord, Word};
use atrion_core::merge::Report;
use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, Ohms, PerSecond, UnitInterval};
use atrion_core::vector::{PhysicsVector, Stance};
use std::sync::atomic::Ordering::Relaxed;

use super::{Cell, Env, HELD, Inner, OPEN};
use crate::route::ohms;

/// A scar below this is healed for all purposes, in ohms.
pub(crate) const HEALED_OHMS: f64 = 1e-4;

/// What the other nodes say, as the pulse found it.
pub(crate) struct Heard<'a> {
    pub(crate) reports: &'a [Report],
    pub(crate) gamma: UnitInterval,
}

impl Cell {
    /// Takes in what others say. Allocates the first time somebody complains; not for the request path.
    pub(crate) fn hear<E: Env>(
        &self,
        heard: &Heard<'_>,
        votes: &mut Vec<Ohms>,
        now: Timestamp,
        env: &E,
    ) {
        let mut inner = self.inner();
        self.tick_locked(&mut inner, now, env);
        let draw = env.draw();
        let held_before = inner.is_held();
        env.with_law(|law| {
            let own = self.own_word(&mut inner, now, law);
            votes.resize(heard.reports.len() + 1, Ohms::ZERO);
            let word = Word::gather(heard.reports, &own, votes, law);
            inner.heed(&word, heard.gamma, self.moment(now, draw), law);
            self.publish(&inner, 0, law);
        });
        if inner.is_held() != held_before {
            env.held_changed(!held_before, now);
        }
    }

    /// Takes in a word that was put together without this route, which did not exist.
    pub(crate) fn hear_first<E: Env>(
        &self,
        word: &Word,
        gamma: UnitInterval,
        now: Timestamp,
        env: &E,
    ) {
        let mut inner = self.inner();
        let draw = env.draw();
        env.with_law(|law| {
            inner.heed(word, gamma, self.moment(now, draw), law);
            self.publish(&inner, 0, law);
        });
        if inner.is_held() {
            env.held_changed(true, now);
        }
    }

    fn moment(&self, now: Timestamp, draw: f64) -> Moment {
        Moment { now, in_flight: self.present(self.traffic.read()), draw }
    }

    /// How what others say acts: the ohms that it adds, and the share of the own scar that counts.
    pub(crate) fn heeded(&self) -> (f64, f64) {
        let inner = self.inner();
        inner.hearsay.as_ref().map_or((0.0, 1.0), |h| (h.hearsay_ohms(), h.own_share()))
    }

    /// Whether the route follows what others say.
    pub(crate) fn is_hearing(&self) -> bool {
        self.inner().hearsay.is_some()
    }

    fn own_word(&self, inner: &mut Inner, now: Timestamp, law: &LawConfig) -> OwnWord {
        let breaker = inner.element.breaker_mut();
        breaker.count_to(self.arrivals(), now);
        OwnWord {
            scar: ohms(breaker.scar()),
            evidence: Evidence::try_new(breaker.evidence(law)).unwrap_or(Evidence::ZERO),
            demand: PerSecond::try_new(breaker.demand().rate()).unwrap_or(PerSecond::ZERO),
        }
    }

    /// A request went elsewhere because only probes pass here. It is demand all the same: without
    /// it a route that everybody avoids would count as one that nobody wants, and wait accordingly
    /// for its turn to look.
    pub(crate) fn avoid(&self) {
        if self.control.load(Relaxed) & (OPEN | HELD) != 0 {
            self.avoided.fetch_add(1, Relaxed);
        }
    }

    /// How many requests asked, admitted or not, modulo 2^32.
    pub(super) fn arrivals(&self) -> u32 {
        let reading = self.traffic.read();
        reading
            .completed
            .wrapping_add(reading.in_flight)
            .wrapping_add(self.cancelled.load(Relaxed))
            .wrapping_add(self.shed.load(Relaxed))
            .wrapping_add(self.avoided.load(Relaxed))
    }

    /// What this node itself has seen of the route, nothing that it was told; and whether the
    /// route is worth another look at the next pulse.
    pub(crate) fn vector(&self, now: Timestamp, law: &LawConfig) -> (PhysicsVector, bool) {
        let met = self.met();
        let mut inner = self.inner();
        let own = self.own_word(&mut inner, now, law);
        let gate = inner.element.gate(inner.stress_ohms, law);
        let vector = PhysicsVector {
            resistance: ohms(gate.resistance(met.number, met.ground)),
            momentum: PerSecond::ZERO,
            scar_tissue: own.scar,
            timestamp: now,
            evidence: own.evidence,
            demand: own.demand,
            stance: inner.stance(now),
        };
        (vector, inner.is_restless(now))
    }
}

impl Inner {
    fn heed(&mut self, word: &Word, gamma: UnitInterval, moment: Moment, law: &LawConfig) {
        let concerns = word.complaint || self.is_closed_off() || self.has_scar();
        if self.hearsay.is_none() && concerns && !gamma.is_zero() {
            self.hearsay = Some(Box::new(Hearsay::new(law)));
        }
        let Some(hearsay) = &mut self.hearsay else { return };
        hearsay.hear(word, gamma, self.element.breaker_mut(), moment, law);
        if hearsay.is_over(self.element.breaker(), moment.now) && !self.has_scar() {
            self.hearsay = None;
            self.element.breaker_mut().set_round(law.probe_secs());
        }
    }

    fn has_scar(&self) -> bool {
        self.element.breaker().scar() > HEALED_OHMS
    }

    fn stance(&self, now: Timestamp) -> Stance {
        let breaker = self.element.breaker();
        let open = breaker.mode() == BreakerMode::Open;
        let verified = self.hearsay.as_ref().is_some_and(|h| h.prober().was_good(now));
        Stance {
            open,
            held: !open && self.is_held(),
            good: verified || breaker.prober().was_good(now),
        }
    }

    /// Whether the state moves without traffic, or others wait for this node's word.
    fn is_restless(&self, now: Timestamp) -> bool {
        self.has_scar() || self.hearsay.is_some() || self.stance(now) != Stance::CALM
    }
}
