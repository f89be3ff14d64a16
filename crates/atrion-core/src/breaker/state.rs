//! The state of one route and its steps.

use super::outlook::Pace;
use super::probing::PROBES_MAX;
use super::{Decision, Mode, Probing};
use crate::config::PhysicsConfig;
use crate::math;
use crate::merge::EVIDENCE_HALF_LIFE_SECS;
use crate::momentum::PathMomentum;
use crate::pressure::Pressure;
use crate::resistance::Parts;
use crate::scar::is_trauma;
use crate::staleness::staleness;
use crate::telemetry::Telemetry;
use crate::time::Timestamp;
use crate::tuner::Tuner;
use crate::units::{Evidence, Ohms, PerSecond, UnitInterval};
use crate::vector::{PhysicsVector, Stance};

/// What is known about one route. A plain value of fixed size; see the [module](super).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouteState {
    mode: Mode,
    /// As of `seen`; fades from there.
    pressure: Pressure,
    momentum: PathMomentum,
    error_rate: f64,
    /// As of `updated`.
    scar: Ohms,
    evidence: f64,
    tuner: Tuner,
    pace: Pace,
    probing: Option<Probing>,
    born: Timestamp,
    seen: Timestamp,
    updated: Timestamp,
}

impl RouteState {
    /// A route without a past.
    pub fn new(now: Timestamp, config: &PhysicsConfig) -> Self {
        let listens = config.bootstrap_secs() > 0.0;
        Self {
            mode: if listens { Mode::Bootstrap } else { Mode::Operational },
            pressure: Pressure::CALM,
            momentum: PathMomentum::default(),
            error_rate: 0.0,
            scar: Ohms::ZERO,
            evidence: 0.0,
            tuner: Tuner::default(),
            pace: Pace::default(),
            probing: None,
            born: now,
            seen: now,
            updated: now,
        }
    }

    /// A route that starts from what is known of it, such as before a restart.
    ///
    /// The scar is adopted as deep as this configuration allows and fades from now on; the
    /// circuit opens only if errors are seen here, too.
    pub fn restore(vector: &PhysicsVector, now: Timestamp, config: &PhysicsConfig) -> Self {
        let deepest = Ohms::computed(config.scar_max_ohms());
        Self { scar: vector.scar_tissue.min(deepest), ..Self::new(now, config) }
    }

    /// Applies one sample, which speaks for the time since the last step.
    ///
    /// Reporting more often changes nothing but how soon a change is seen: error rates weigh by
    /// requests (by time where a sample does not say how many), scars grow per second, and only
    /// while somebody says that requests fail: silence is not trauma.
    #[must_use]
    pub fn observe(&self, sample: &Telemetry, now: Timestamp, config: &PhysicsConfig) -> Self {
        let dt_secs = now.secs_since(self.updated);
        // The sample speaks for the last part of a long silence; before that nothing is known
        // but that time passed.
        let spoken_secs = math::min(dt_secs, config.longest_step_secs());
        let mut next = self.rebased(now, config).quiet(dt_secs - spoken_secs, now, config);
        next.learn_error_rate(sample, spoken_secs, config);
        next.pace.observe(sample, spoken_secs, dt_secs, config.pressure_memory_secs());
        let unsaid = next.pressure_at(now, config);
        next.pressure = config.baseline().pressure(sample, unsaid);
        next.momentum = next.momentum.observe(next.pressure, now, config.momentum_secs());
        next.evidence = next.evidence_at(now) + sample.requests().map_or(1.0, |n| n as f64);
        next.seen = now;
        next.live_through(spoken_secs, says_errors(sample), now, config)
    }

    /// Lets time pass without telemetry. Needed only for what nobody else would notice: the end
    /// of the bootstrap, and of an outage on a route without traffic.
    #[must_use]
    pub fn advance(&self, now: Timestamp, config: &PhysicsConfig) -> Self {
        let dt_secs = now.secs_since(self.updated);
        self.rebased(now, config).quiet(dt_secs, now, config)
    }

    /// A clock that stepped back: everything that lies in the future is moved to the present.
    fn rebased(&self, now: Timestamp, config: &PhysicsConfig) -> Self {
        if now >= self.updated {
            return *self;
        }
        Self {
            momentum: self.momentum.rebased(now),
            born: self.born.min(now),
            seen: self.seen.min(now),
            updated: now,
            probing: self.probing.map(|probing| probing.rebase(now, config)),
            ..*self
        }
    }

    fn learn_error_rate(&mut self, sample: &Telemetry, dt_secs: f64, config: &PhysicsConfig) {
        let Some(rate) = sample.error_rate() else { return };
        let weight = match sample.requests() {
            Some(requests) => math::ewma_weight(config.error_samples(), requests as f64),
            None => 1.0 - math::decay(1.0 / config.error_secs(), dt_secs),
        };
        self.error_rate += weight * (rate.get() - self.error_rate);
    }

    /// A step of which nobody says anything.
    fn quiet(mut self, dt_secs: f64, now: Timestamp, config: &PhysicsConfig) -> Self {
        self.updated = now;
        self.scar = config.scar_law().step_checked(self.scar, false, dt_secs);
        let listened = now.secs_since(self.born) >= config.bootstrap_secs();
        if self.mode == Mode::Bootstrap && listened {
            self.mode = Mode::Operational;
            // Where the pressure was while only listening is no movement.
            self.momentum = PathMomentum::default();
        }
        self.closed_if_healed(config)
    }

    /// A step that a sample speaks for.
    fn live_through(
        mut self,
        secs: f64,
        says_errors: bool,
        now: Timestamp,
        config: &PhysicsConfig,
    ) -> Self {
        let trauma = self.mode != Mode::Bootstrap && self.in_trauma(says_errors, config);
        self.scar = config.scar_law().step_checked(self.scar, trauma, secs);
        match self.mode {
            Mode::Bootstrap => self,
            Mode::Operational => self.opened_if_broken(trauma, secs, now, config),
            Mode::CircuitBreaker if trauma => self,
            Mode::CircuitBreaker => {
                if says_errors && self.error_rate < config.error_critical() * 0.5 {
                    let keep = math::decay(config.recovery_per_sec(), secs);
                    self.scar = Ohms::computed(self.scar.get() * keep);
                }
                self.closed_if_healed(config)
            }
        }
    }

    fn in_trauma(&self, says_errors: bool, config: &PhysicsConfig) -> bool {
        // Whoever is refused because of the scar has no failures to report: as long as it keeps
        // somebody out, silence is no recovery, or the scar would swing around that voltage for
        // ever and never be probed.
        let silenced = self.mode == Mode::Operational && self.scar.get() >= config.lowest_volts();
        ((says_errors || silenced) && self.error_rate > config.error_critical())
            || is_trauma(self.pressure, config.critical_stress())
    }

    fn opened_if_broken(
        mut self,
        trauma: bool,
        spoken_secs: f64,
        now: Timestamp,
        config: &PhysicsConfig,
    ) -> Self {
        let resistance = self.parts(now, config).total();
        if !trauma {
            // The tuner learns what is usual, so it must not see an outage.
            let ticks = spoken_secs / config.tuner_tick_secs();
            self.tuner = self.tuner.observe_for(resistance, ticks, &config.tuner());
        } else if resistance >= self.break_threshold(config) {
            return self.opened(now, UnitInterval::HALF, config);
        }
        self
    }

    fn opened(mut self, now: Timestamp, draw: UnitInterval, config: &PhysicsConfig) -> Self {
        self.mode = Mode::CircuitBreaker;
        self.scar = Ohms::computed(config.scar_max_ohms());
        self.probing = Some(Probing::start(now, draw, config));
        self
    }

    /// Back to flow without residue: a scar or an error rate left behind would refuse the lowest
    /// tier for seconds after the cause is gone, or reopen on the first error.
    fn closed_if_healed(mut self, config: &PhysicsConfig) -> Self {
        let healed = self.scar.get() < config.recovery_ohms();
        if self.mode == Mode::CircuitBreaker && healed {
            self.mode = Mode::Operational;
            self.scar = Ohms::ZERO;
            self.error_rate = 0.0;
            self.probing = None;
        }
        self
    }

    /// Whether an open circuit would let a probe pass.
    pub fn probe_due(&self, now: Timestamp) -> bool {
        self.probing.is_some_and(|probing| probing.is_due(now))
    }

    /// Takes the place of a probe, if one is due; let one request pass and report how it ended
    /// with [`probe_ended`](Self::probe_ended).
    ///
    /// A probe that never reports loses its place after four waits: a hung or leaked one must
    /// not keep the circuit open.
    #[must_use]
    pub fn begin_probe(&self, now: Timestamp, config: &PhysicsConfig) -> Option<Self> {
        let probing = self.probing?.begin(now, config)?;
        Some(Self { probing: Some(probing), ..*self })
    }

    /// Applies the end of a probe: `Some(success)`, or `None` for one that was cancelled and
    /// says nothing. `draw`, uniform in `[0, 1)`, spreads the next wait.
    ///
    /// Ends that come after the circuit has closed change nothing.
    #[must_use]
    pub fn probe_ended(
        &self,
        success: Option<bool>,
        now: Timestamp,
        draw: UnitInterval,
        config: &PhysicsConfig,
    ) -> Self {
        let mut next = self.advance(now, config);
        let Some(probing) = next.probing else { return next };
        match success {
            None => next.probing = Some(probing.cancelled()),
            Some(true) => {
                next.probing = Some(probing.succeeded(now));
                next.error_rate *= 0.5;
                next.scar = Ohms::computed(next.scar.get() * config.probe_heal());
                if next.error_rate < config.error_critical() * 0.5 {
                    next = next.closed_if_healed(config);
                }
            }
            Some(false) => {
                next.error_rate += (1.0 - next.error_rate) * 0.5;
                next = next.opened(now, draw, config);
            }
        }
        next
    }

    /// The answer at `now`.
    pub fn decision(&self, now: Timestamp, config: &PhysicsConfig) -> Decision {
        let present = self.advance(now, config);
        let outlook = self.pace.outlook(config);
        Decision { mode: present.mode, parts: present.parts(now, config), outlook, probes: 0 }
    }

    /// One step of a caller who takes no permits: applies a sample like
    /// [`observe`](Self::observe), hands out the probes that are due, and answers.
    ///
    /// Such a caller cannot say how each probe ended, so its next reports do: while probes are
    /// out, few failures among what ended are their success, and many their failure.
    #[must_use]
    pub fn report(
        &self,
        sample: &Telemetry,
        now: Timestamp,
        config: &PhysicsConfig,
    ) -> (Self, Decision) {
        let mut next = self.observe(sample, now, config);
        if self.mode == Mode::CircuitBreaker {
            next = next.looked_at(sample, now, config);
        }
        let mut probes = 0;
        // As many as there are places at most, or a clock at its end would never stop.
        while probes < PROBES_MAX
            && let Some(begun) = next.begin_probe(now, config)
        {
            next = begun;
            probes += 1;
        }
        (next, Decision { probes, ..next.decision(now, config) })
    }

    /// What a report says about the probes that are out.
    fn looked_at(self, sample: &Telemetry, now: Timestamp, config: &PhysicsConfig) -> Self {
        let (Some(rate), Some(ended)) = (sample.error_rate(), sample.requests()) else {
            return self;
        };
        let out = self.probing.map_or(0, |probing| u64::from(probing.outstanding()));
        let success = match rate.get() {
            rate if rate < config.error_critical() * 0.5 => Some(true),
            rate if rate > config.error_critical() => Some(false),
            _ => None,
        };
        // All failures of one report are one.
        let ends = if success == Some(false) { ended.min(out).min(1) } else { ended.min(out) };
        let end = |state: Self, _| state.probe_ended(success, now, UnitInterval::HALF, config);
        (0..ends).fold(self, end)
    }

    fn parts(&self, now: Timestamp, config: &PhysicsConfig) -> Parts {
        let silence = now.secs_since(self.seen);
        // In-flight counts need no acquaintance: a start inside an overload is bounded from its
        // first report on.
        let queue = self.pace.outlook(config).map(|outlook| outlook.ohms(0.0, silence));
        if self.mode == Mode::Bootstrap {
            let base = config.base_ohms() * config.bootstrap_factor();
            let mut parts = Parts::at_rest(Ohms::computed(base));
            parts.saturation = queue.unwrap_or(0.0);
            return parts;
        }
        let ceiling = Ohms::computed(config.staleness_max_ohms());
        let stale = staleness(config.staleness_ohms_per_sec(), silence, ceiling);
        // Stress, not pressure: idle capacity must not pay off a scar.
        let stress = self.pressure_at(now, config).stress();
        let mut parts =
            config.impedance().parts(stress, self.momentum(now, config), self.scar, stale);
        parts.saturation = queue.unwrap_or(parts.saturation);
        parts
    }

    /// Pressure at `now`: what was last reported, fading. Who is shed reports nothing, so what
    /// is not repeated has to end by itself.
    pub fn pressure_at(&self, now: Timestamp, config: &PhysicsConfig) -> Pressure {
        let rate = 1.0 / config.pressure_memory_secs();
        self.pressure.scaled(math::decay(rate, now.secs_since(self.seen)))
    }

    /// Momentum at `now`; zero while bootstrapping.
    pub fn momentum(&self, now: Timestamp, config: &PhysicsConfig) -> PerSecond {
        if self.mode == Mode::Bootstrap {
            PerSecond::ZERO
        } else {
            self.momentum.at(now, config.momentum_secs())
        }
    }

    /// The mode as of the last step.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The scar as of the last step.
    pub const fn scar(&self) -> Ohms {
        self.scar
    }

    /// The moving error rate, 0 to 1.
    pub const fn error_rate(&self) -> f64 {
        self.error_rate
    }

    /// The probing of an open circuit.
    pub const fn probing(&self) -> Option<&Probing> {
        self.probing.as_ref()
    }

    /// What the tuner has learned about this route.
    pub const fn tuner(&self) -> &Tuner {
        &self.tuner
    }

    /// The resistance at which trauma opens the circuit: fixed, or learned where the
    /// configuration says so.
    pub fn break_threshold(&self, config: &PhysicsConfig) -> Ohms {
        if config.adaptive_break() {
            self.tuner.break_threshold(&config.tuner())
        } else {
            Ohms::computed(config.break_ohms())
        }
    }

    /// What to share or store about this route.
    pub fn vector(&self, now: Timestamp, config: &PhysicsConfig) -> PhysicsVector {
        let present = self.advance(now, config);
        PhysicsVector {
            resistance: present.parts(now, config).total(),
            momentum: present.momentum(now, config),
            scar_tissue: present.scar,
            timestamp: now,
            evidence: Evidence::computed(present.evidence_at(now)),
            demand: PerSecond::ZERO,
            stance: Stance { open: present.mode() == Mode::CircuitBreaker, ..Stance::CALM },
        }
    }

    fn evidence_at(&self, now: Timestamp) -> f64 {
        let rate = core::f64::consts::LN_2 / EVIDENCE_HALF_LIFE_SECS;
        self.evidence * math::decay(rate, now.secs_since(self.seen))
    }
}

/// Whether a sample says anything about errors: a rate of no requests does not.
fn says_errors(sample: &Telemetry) -> bool {
    sample.error_rate().is_some() && sample.requests() != Some(0)
}
