//! Endings: what a request that is over adds to the window.

use atrion_core::law::{Latencies, Sample};
use atrion_core::math;
use atrion_core::time::Timestamp;
use std::sync::atomic::Ordering::Relaxed;

use super::{
    Cell, EXACT, Env, Inner, Kind, LONGEST_NANOS, OPEN, SHORTEST_NANOS, Ticket, UNMEASURED, upper,
};

impl Cell {
    /// The request ended well.
    #[inline]
    pub(crate) fn succeed<E: Env>(&self, ticket: Ticket, env: &E) {
        if ticket.start == UNMEASURED {
            self.traffic.complete(ticket.place());
        } else {
            self.succeed_measured(ticket, env);
        }
    }

    #[inline(never)]
    fn succeed_measured<E: Env>(&self, ticket: Ticket, env: &E) {
        let now = env.now();
        let nanos = now.nanos_since(ticket.start).clamp(SHORTEST_NANOS, LONGEST_NANOS);
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
        self.add_latency(ticket.is_uncontended(upper(control)), nanos);
        if self.is_due(now) {
            self.tick(now, env);
        }
    }

    #[inline]
    pub(super) fn add_latency(&self, uncontended: bool, nanos: u64) {
        if uncontended {
            self.uncontended.add(nanos);
            self.uncontended_times.add(nanos);
        } else {
            self.contended.add(nanos);
            if nanos < self.quick_below.load(Relaxed) {
                self.quick.fetch_add(1, Relaxed);
            }
        }
    }

    /// The clock stepped back while the request was under way: how long it took is not known.
    #[cold]
    pub(super) fn succeed_untimed<E: Env>(&self, ticket: Ticket, now: Timestamp, env: &E) {
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
    pub(super) fn succeed_slow<E: Env>(&self, ticket: Ticket, nanos: u64, now: Timestamp, env: &E) {
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
    pub(super) fn is_marked(&self, ticket: Ticket) -> bool {
        ticket.kind() == Kind::Marked && ticket.start.as_nanos() >= self.marks_since.load(Relaxed)
    }

    /// A scout came back. If nothing else did since it was sent, whatever is still in flight is
    /// taken for lost: the service works, so their results are not coming.
    pub(super) fn scout_returned(&self, inner: &mut Inner, now: Timestamp) {
        let reading = self.traffic.read();
        // The scout itself is one of those that ended.
        if inner.scout_sent_at.take() == Some(self.ended().wrapping_sub(1)) {
            self.lost_before.store(now.as_nanos(), Relaxed);
            // Whoever holds a lease shows that he lives.
            let alive = self.leased.load(Relaxed);
            self.lost.store(reading.in_flight.saturating_sub(alive), Relaxed);
        }
    }

    /// A request in flight is one whose holder shows that he lives, from now on.
    pub(crate) fn lease_begins(&self) {
        self.leased.fetch_add(1, Relaxed);
    }

    /// One of those is about to end.
    pub(crate) fn lease_is_over(&self) {
        self.leased.fetch_sub(1, Relaxed);
    }

    /// How many requests ended, one way or another, modulo 2^32.
    pub(super) fn ended(&self) -> u32 {
        self.traffic.read().completed.wrapping_add(self.cancelled.load(Relaxed))
    }

    /// A request that was taken for lost came back after all.
    #[inline]
    pub(super) fn found(&self, ticket: Ticket) {
        if self.lost.load(Relaxed) > 0
            && ticket.start.as_nanos() < self.lost_before.load(Relaxed)
            && !ticket.is_leased()
        {
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
        if ticket.is_old(self.control.load(Relaxed)) {
            self.traffic.leave(ticket.place());
            // It tells nothing of the present, and whoever counts has to find it somewhere.
            self.cancelled.fetch_add(1, Relaxed);
            return;
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
}
