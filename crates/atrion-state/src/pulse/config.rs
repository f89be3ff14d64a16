//! The pulse's settings.

use std::time::Duration;

use atrion_core::error::{ConfigError, OutOfRange};
use atrion_core::units::{Evidence, Ohms, PerSecond, UnitInterval};
use atrion_core::vector::PhysicsVector;

/// How much a route may differ from what was last delivered without being sent again.
///
/// A vector lies within the band if *each* of its numbers does and the stance is the same. Raising a part saves messages
/// and lets the others' view of this node be wrong by up to that much; zero sends every change.
/// The comparison is with what was delivered, so slow drift cannot add up beyond the band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeadBand {
    /// Difference in resistance; 0.1 Ω unless set, a hundredth of the default base resistance.
    pub resistance: Ohms,
    /// Difference in scar tissue; 0.1 Ω unless set.
    pub scar_tissue: Ohms,
    /// Difference in momentum; 0.1 s⁻¹ unless set.
    pub momentum: PerSecond,
    /// Relative difference in evidence, of the larger of the two; 0.25 unless set.
    pub evidence: UnitInterval,
    /// Difference in evidence, in requests, that never counts; 1 request unless set.
    pub evidence_floor: Evidence,
    /// Relative difference in demand, of the larger of the two; 0.25 unless set.
    pub demand: UnitInterval,
    /// A vector observed this much later than the one delivered lies outside, however like it it
    /// is: those that hear of it must not think that this node has fallen silent. 250 ms unless
    /// set. Only routes that the source reports anew are looked at, so a calm one costs nothing.
    pub refresh: Duration,
}

impl DeadBand {
    /// Sends every change, however small.
    pub const NONE: Self = Self {
        resistance: Ohms::ZERO,
        scar_tissue: Ohms::ZERO,
        momentum: PerSecond::ZERO,
        evidence: UnitInterval::ZERO,
        evidence_floor: Evidence::ZERO,
        demand: UnitInterval::ZERO,
        refresh: Duration::MAX,
    };

    /// Whether `new` is so close to `delivered` that it need not be sent.
    pub fn contains(&self, delivered: &PhysicsVector, new: &PhysicsVector) -> bool {
        let within = |old: f64, new: f64, band: f64| (new - old).abs() <= band;
        let larger = |old: f64, new: f64| if new > old { new } else { old };
        let (old_evidence, evidence) = (delivered.evidence.get(), new.evidence.get());
        let (old_demand, demand) = (delivered.demand.get(), new.demand.get());
        delivered.stance == new.stance
            && new.timestamp.since(delivered.timestamp) < self.refresh
            && within(old_demand, demand, self.demand.get() * larger(old_demand, demand))
            && within(delivered.resistance.get(), new.resistance.get(), self.resistance.get())
            && within(delivered.scar_tissue.get(), new.scar_tissue.get(), self.scar_tissue.get())
            && within(delivered.momentum.get(), new.momentum.get(), self.momentum.get())
            && (within(
                old_evidence,
                evidence,
                self.evidence.get() * larger(old_evidence, evidence),
            ) || within(old_evidence, evidence, self.evidence_floor.get()))
    }
}

impl Default for DeadBand {
    fn default() -> Self {
        // Constants of the type's own domain; zero, which sends more, if one ever left it.
        Self {
            resistance: Ohms::try_new(0.1).unwrap_or(Ohms::ZERO),
            scar_tissue: Ohms::try_new(0.1).unwrap_or(Ohms::ZERO),
            momentum: PerSecond::try_new(0.1).unwrap_or(PerSecond::ZERO),
            evidence: UnitInterval::try_new(0.25).unwrap_or(UnitInterval::ZERO),
            evidence_floor: Evidence::try_new(1.0).unwrap_or(Evidence::ZERO),
            demand: UnitInterval::try_new(0.25).unwrap_or(UnitInterval::ZERO),
            refresh: Duration::from_millis(250),
        }
    }
}

/// The validated settings of a [`Pulse`](super::Pulse).
///
/// ```
/// use atrion_state::pulse::PulseConfig;
/// use std::time::Duration;
///
/// let config = PulseConfig::builder()
///     .interval(Duration::from_millis(50))
///     .max_batch(512)
///     .build()?;
/// assert_eq!(config.interval(), Duration::from_millis(50));
/// # Ok::<(), atrion_core::error::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PulseConfig(PulseConfigBuilder);

/// Builds a [`PulseConfig`]; see its methods for defaults and domains.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "a builder does nothing until it is built"]
pub struct PulseConfigBuilder {
    interval: Duration,
    heartbeat: Duration,
    operation_timeout: Duration,
    flush_timeout: Duration,
    backoff_base: Duration,
    backoff_cap: Duration,
    warn_interval: Duration,
    remote_max_age: Duration,
    max_batch: usize,
    max_routes: usize,
    dead_band: DeadBand,
}

impl Default for PulseConfigBuilder {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(100),
            heartbeat: Duration::from_secs(1),
            operation_timeout: Duration::from_secs(1),
            flush_timeout: Duration::from_secs(2),
            backoff_base: Duration::from_millis(100),
            backoff_cap: Duration::from_secs(10),
            warn_interval: Duration::from_secs(60),
            remote_max_age: Duration::from_secs(300),
            max_batch: 1_024,
            max_routes: 100_000,
            dead_band: DeadBand::default(),
        }
    }
}

impl PulseConfigBuilder {
    /// Time between pulses: 100 ms, allowed 1 ms to 60 s. Lower spreads news faster and sends
    /// more; a route is sent at most once per pulse.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Silence after which an empty batch says "alive, nothing new": 1 s, allowed from one
    /// interval to an hour. Checked at each pulse.
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// How long one call of the provider may take: 1 s, allowed 1 ms to 5 min. A call that takes
    /// longer is dropped and repeated. Lower finds hangs sooner; too low never lets a slow store
    /// finish.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How long a shutdown may try to deliver what waits: 2 s, allowed 0 to 5 min. The
    /// disconnection that follows may take one [`operation_timeout`](Self::operation_timeout)
    /// more.
    pub fn flush_timeout(mut self, timeout: Duration) -> Self {
        self.flush_timeout = timeout;
        self
    }

    /// The wait after the first failure and the longest wait: 100 ms and 10 s, allowed 1 ms to
    /// 1 h, the first not above the second. The wait doubles with each failure in a row; half of
    /// it is drawn at random.
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.backoff_base = base;
        self.backoff_cap = cap;
        self
    }

    /// The shortest time between two warnings: 60 s, allowed 1 s to 24 h.
    pub fn warn_interval(mut self, interval: Duration) -> Self {
        self.warn_interval = interval;
        self
    }

    /// The age at which a remote vector is no longer worth passing on: 5 min, allowed 1 s to
    /// 24 h. At the default decay of 0.1 s⁻¹ nothing is left of a scar after that time.
    pub fn remote_max_age(mut self, age: Duration) -> Self {
        self.remote_max_age = age;
        self
    }

    /// The most routes in one batch: 1,024, allowed 1 to 65,536.
    pub fn max_batch(mut self, routes: usize) -> Self {
        self.max_batch = routes;
        self
    }

    /// The most routes the pulse remembers in each of its three tables (waiting, delivered,
    /// remote): 100,000, allowed 1 to 10,000,000. Set it to the route limit of the instance.
    pub fn max_routes(mut self, routes: usize) -> Self {
        self.max_routes = routes;
        self
    }

    /// Changes too small to send; see [`DeadBand`].
    pub fn dead_band(mut self, band: DeadBand) -> Self {
        self.dead_band = band;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// A value outside its domain, a heartbeat shorter than the interval, or a first backoff
    /// longer than the longest.
    pub fn build(self) -> Result<PulseConfig, ConfigError> {
        const HOUR: f64 = 3_600.0;
        let secs = |field, value: Duration, min, max| {
            OutOfRange::check(field, value.as_secs_f64(), "s", min, max)
        };
        let count =
            |field, value: usize, max| OutOfRange::check(field, value as f64, "routes", 1.0, max);
        let interval = secs("pulse.interval", self.interval, 0.001, 60.0)?;
        let heartbeat = secs("pulse.heartbeat", self.heartbeat, 0.001, HOUR)?;
        secs("pulse.operation_timeout", self.operation_timeout, 0.001, 300.0)?;
        secs("pulse.flush_timeout", self.flush_timeout, 0.0, 300.0)?;
        let base = secs("pulse.backoff.base", self.backoff_base, 0.001, HOUR)?;
        let cap = secs("pulse.backoff.cap", self.backoff_cap, 0.001, HOUR)?;
        secs("pulse.warn_interval", self.warn_interval, 1.0, 24.0 * HOUR)?;
        secs("pulse.remote_max_age", self.remote_max_age, 1.0, 24.0 * HOUR)?;
        count("pulse.max_batch", self.max_batch, 65_536.0)?;
        count("pulse.max_routes", self.max_routes, 10_000_000.0)?;
        if self.heartbeat < self.interval {
            return Err(ConfigError::Conflict {
                field: "pulse.heartbeat",
                value: heartbeat,
                relation: "at least",
                other: "pulse.interval",
                other_value: interval,
            });
        }
        if self.backoff_base > self.backoff_cap {
            return Err(ConfigError::Conflict {
                field: "pulse.backoff.base",
                value: base,
                relation: "at most",
                other: "pulse.backoff.cap",
                other_value: cap,
            });
        }
        Ok(PulseConfig(self))
    }
}

impl Default for PulseConfig {
    /// The defaults of the builder, which lie within their domains (tested).
    fn default() -> Self {
        Self(PulseConfigBuilder::default())
    }
}

impl PulseConfig {
    /// Starts from the defaults.
    pub fn builder() -> PulseConfigBuilder {
        PulseConfigBuilder::default()
    }

    /// Time between pulses.
    pub fn interval(&self) -> Duration {
        self.0.interval
    }

    /// Silence after which a heartbeat is sent.
    pub fn heartbeat(&self) -> Duration {
        self.0.heartbeat
    }

    /// How long one call of the provider may take.
    pub fn operation_timeout(&self) -> Duration {
        self.0.operation_timeout
    }

    /// How long a shutdown may try to deliver what waits.
    pub fn flush_timeout(&self) -> Duration {
        self.0.flush_timeout
    }

    /// The wait after the first failure.
    pub fn backoff_base(&self) -> Duration {
        self.0.backoff_base
    }

    /// The longest wait after failures.
    pub fn backoff_cap(&self) -> Duration {
        self.0.backoff_cap
    }

    /// The shortest time between two warnings.
    pub fn warn_interval(&self) -> Duration {
        self.0.warn_interval
    }

    /// The age at which a remote vector is dropped.
    pub fn remote_max_age(&self) -> Duration {
        self.0.remote_max_age
    }

    /// The most routes in one batch.
    pub fn max_batch(&self) -> usize {
        self.0.max_batch
    }

    /// The most routes remembered.
    pub fn max_routes(&self) -> usize {
        self.0.max_routes
    }

    /// Changes too small to send.
    pub fn dead_band(&self) -> DeadBand {
        self.0.dead_band
    }
}
