//! Ticks: the window is applied, the next state published.

use atrion_core::law::{BreakerMode, Gate, LawConfig, Moment, Window};
use atrion_core::math;
use atrion_core::time::Timestamp;
use std::sync::TryLockError;
use std::sync::atomic::Ordering::Relaxed;

use super::{
    CONGESTED, CORES_DISAGREE_NANOS, Cell, ERA_SHIFT, EXACT, Env, FARTHEST_TICK_NANOS,
    FEWEST_SHARES, FORCED_CLOSED, FORCED_OPEN, Force, Guard, HELD, HOT_COMPLETIONS, HOT_PER_SEC,
    Inner, OPEN, PLENTY_PER_TICK, SAMPLING_SHIFT, SCAR_DEAD_BAND, SERIES, SHADOW,
    SPARSEST_SAMPLING, UNCONTENDED_SHIFT, WALL, WATCHED, pack, store_f32,
};

impl Cell {
    #[inline]
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        // Zero or "negative" distances wrap to huge ones, as do deadlines from before a step back.
        let ahead = self.next_tick.load(Relaxed).wrapping_sub(now.as_nanos());
        ahead.wrapping_sub(1) >= FARTHEST_TICK_NANOS
    }

    pub(super) fn try_inner(&self) -> Option<Guard<'_>> {
        match self.inner.try_lock() {
            Ok(guard) => Some(guard),
            // Nothing under the lock can panic; if something did all the same, the state is
            // still a valid state, only an older one.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The state, waiting for a tick on another thread to finish. Not for the request path.
    ///
    /// It does not sleep on the lock: whoever holds it, perhaps a request, would have to wake it by
    /// a system call. A tick takes less than a microsecond.
    #[cfg(not(loom))]
    pub(crate) fn inner(&self) -> Guard<'_> {
        loop {
            if let Some(inner) = self.try_inner() {
                return inner;
            }
            std::thread::yield_now();
        }
    }

    /// The same for loom, which knows nothing of time.
    #[cfg(loom)]
    pub(crate) fn inner(&self) -> Guard<'_> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        let now = present(now, inner.element.last_tick(), env);
        let dt_secs = now.secs_since(inner.element.last_tick());
        if now < inner.element.last_tick() {
            self.stepped_back(now);
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
            quick: self.quick.swap(0, Relaxed),
            marked_done: self.marked_done.swap(0, Relaxed),
            probes_ok: probes.ok,
            probes_failed: probes.failed,
            probes_cancelled: probes.cancelled,
        };
        let refused = self.refused.swap(0, Relaxed) != 0;
        let draw = env.draw();
        let held_before = inner.is_held();
        if let Some(reported) = &inner.reported {
            inner.stress_ohms = env.stress(reported, now);
        }
        if let (Some(shared), Some(secs)) = (&mut inner.series, env.shared_secs()) {
            *shared = secs as f32;
        }
        let report = env.with_law(|law| {
            let report = inner.element.tick(&window, refused, now, draw, law);
            if let Some(hearsay) = &mut inner.hearsay {
                let moment = Moment { now, in_flight: window.in_flight, draw };
                hearsay.tick(&window.endings(), inner.element.breaker_mut(), moment, law);
            }
            let sampling = if exact { 0 } else { sampling_shift(completed, dt_secs, law) };
            if report.phase_changed {
                self.marks.store(0, Relaxed);
                self.marks_since.store(now.as_nanos(), Relaxed);
            }
            self.marks.fetch_add(report.marks, Relaxed);
            if report.mode == Some(BreakerMode::Closed) {
                inner.era = inner.era.wrapping_add(1);
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
        if is_hot(completed, dt_secs)
            && self.traffic.lanes().is_none()
            && let Some(lanes) = env.lanes()
        {
            self.traffic.attach(lanes);
        }
        if let Some(mode) = report.mode {
            env.mode_changed(mode, now);
        }
        if inner.is_held() != held_before {
            env.held_changed(!held_before, now);
        }
        if (inner.element.breaker().scar() - scar_before).abs() > SCAR_DEAD_BAND {
            env.scar_changed();
        }
        env.ticked(now);
    }

    /// The clock stepped back to `now`: what was noted for the future would be noted for ever.
    fn stepped_back(&self, now: Timestamp) {
        self.marks_since.fetch_min(now.as_nanos(), Relaxed);
        self.next_growth.fetch_min(now.as_nanos(), Relaxed);
        self.last_done.fetch_min(now.as_nanos(), Relaxed);
    }

    /// Publishes the whole state.
    pub(crate) fn publish(&self, inner: &Inner, sampling: u32, law: &LawConfig) {
        self.lane_limit.store(0, Relaxed);
        let gate = self.publish_gate(inner, law);
        let element = &inner.element;
        let mut control = u64::from(sampling) << SAMPLING_SHIFT
            | u64::from(inner.era) << ERA_SHIFT
            | u64::from(gate.uncontended) << UNCONTENDED_SHIFT;
        let flags = [
            (gate.open, OPEN),
            (gate.wall, WALL),
            (gate.exact, EXACT),
            (inner.shadow, SHADOW),
            (inner.is_forced(Force::Open), FORCED_OPEN),
            (inner.is_forced(Force::Closed), FORCED_CLOSED),
            (element.is_congested(), CONGESTED),
            (inner.is_held(), HELD),
            (inner.series.is_some(), SERIES),
            (inner.watched, WATCHED),
        ];
        for (set, flag) in flags {
            if set {
                control |= flag;
            }
        }
        self.control.store(control, Relaxed);
        let quick_below = element.quick_below_secs() * 1e9;
        self.quick_below.store(quick_below as u64, Relaxed);
        store_f32(&self.rate, element.drain_rate().unwrap_or(0.0));
        self.next_probe.store(inner.next_probe().as_nanos(), Relaxed);
    }

    /// Notes that the state is up to date as of `now`. Only a tick does that: if a mere change
    /// of settings did, frequent ones would put off learning for ever.
    pub(super) fn ticked(&self, now: Timestamp, law: &LawConfig) {
        self.last_tick.store(now.as_nanos(), Relaxed);
        self.next_tick.store(now.add_secs(law.tick_secs()).as_nanos(), Relaxed);
    }

    /// Publishes how many requests one lane may have in flight without looking at the others:
    /// its share of the free zone, with one share in reserve for a thread that was silent so far.
    /// Nothing while the route is not calm: then every arrival needs the exact sum.
    pub(super) fn open_lanes(&self, inner: &Inner, law: &LawConfig) {
        let Some(lanes) = self.traffic.lanes() else { return };
        let gate = inner.gate(law);
        let special =
            gate.wall || gate.open || inner.force.is_some() || self.lost.load(Relaxed) > 0;
        if special || inner.is_held() || inner.element.is_congested() {
            return;
        }
        let active = lanes.take_active();
        let share = gate.free_zone / f64::from(active.saturating_add(1).max(FEWEST_SHARES));
        // One request per thread is within the queue that the traffic is allowed anyway.
        let least = u32::from(f64::from(active) <= gate.free_zone + gate.queue / 2.0);
        self.lane_limit.store((share as u32).max(least), Relaxed);
    }

    pub(super) fn publish_gate(&self, inner: &Inner, law: &LawConfig) -> Gate {
        let gate = inner.gate(law);
        let fast_lane = !(gate.wall || gate.open || inner.force.is_some() || inner.is_held());
        let calm_limit = if fast_lane { gate.calm_limit() } else { 0 };
        self.slow
            .store(pack((gate.free_zone as f32).to_bits(), (gate.queue as f32).to_bits()), Relaxed);
        self.fast.store(pack(calm_limit, (gate.floor_ohms as f32).to_bits()), Relaxed);
        store_f32(&self.passing, gate.passing);
        let (scar, cluster) = inner.scar_parts();
        store_f32(&self.scar, scar);
        store_f32(&self.cluster, cluster);
        store_f32(&self.stress, inner.stress_ohms);
        gate
    }
}

/// The time of a tick that `now` was read for, the last one having been at `last`.
///
/// A reading older than another thread's tick was merely taken before it: only a second one, under the
/// lock, tells whether the clock stepped back. Taking the one for the other would begin the start-up
/// anew each time two requests end together. What two cores' counters disagree by is no step either.
fn present<E: Env>(now: Timestamp, last: Timestamp, env: &E) -> Timestamp {
    if now >= last {
        return now;
    }
    let again = env.now();
    if again < last && last.nanos_since(again) < CORES_DISAGREE_NANOS { last } else { again }
}

/// Whether a tick like the last one deserves lanes.
fn is_hot(completed: u32, dt_secs: f64) -> bool {
    let rate = f64::from(completed) / math::max(dt_secs, 1e-9);
    rate >= HOT_PER_SEC && completed >= HOT_COMPLETIONS
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
