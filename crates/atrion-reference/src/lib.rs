//! The published model as it runs, mistakes included.
//!
//! What the shipped law does otherwise is in `docs/adr/`. Checked against recorded outputs of the
//! published implementation (version 2.0.0) by `cargo xtask golden`. Pressures are normalised;
//! momentum is per millisecond and spans two ticks; trauma is added per call; what is not a finite
//! number becomes 0 ohm, which lets everything pass.

use atrion_core::math;

/// Latency, errors, saturation; each -1 to 1, 0 is normal.
pub type Pressures = [f64; 3];

/// The published configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelConfig {
    /// Resistance of an untroubled route, in ohms: 10.
    pub base: f64,
    /// Decay of scars per second: 0.1.
    pub decay_per_sec: f64,
    /// Ohms of scar per call under critical pressure: 5.
    pub scar_factor: f64,
    /// Ohm milliseconds of momentum: 20.
    pub damping: f64,
    /// Stress above which scars form: 0.7.
    pub critical: f64,
    /// The breaker opens at this multiple of the base: 10.
    pub break_multiplier: f64,
    /// Calls without any decision: 10.
    pub bootstrap_ticks: u32,
    /// Ohms per unit of pressure: `ln(1 + criticality)` for criticalities 5, 8, 3.
    pub weights: Pressures,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            base: 10.0,
            decay_per_sec: 0.1,
            scar_factor: 5.0,
            damping: 20.0,
            critical: 0.7,
            break_multiplier: 10.0,
            bootstrap_ticks: 10,
            weights: [5.0, 8.0, 3.0].map(|criticality: f64| math::ln(1.0 + criticality)),
        }
    }
}

/// The published adaptive thresholds: mean and deviation of all resistances seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TunerConfig {
    /// Observations of the average: 100.
    pub window: f64,
    /// Deviations above the mean: 3.
    pub sensitivity: f64,
    /// Lowest threshold in ohms: 30.
    pub floor: f64,
    /// Highest threshold in ohms: 500.
    pub ceiling: f64,
    /// Observations before it is used: 50.
    pub warmup: u32,
    /// Recovery as a multiple of the threshold: 0.5.
    pub recovery_multiplier: f64,
    /// The threshold before that, in ohms: 100.
    pub fallback: f64,
}

/// Modes of the published model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelMode {
    /// Decides nothing yet.
    Bootstrap,
    /// Compares voltage with resistance.
    Operational,
    /// Lets nothing pass.
    CircuitBreaker,
}

#[derive(Clone, Copy, Debug)]
struct Tuner {
    config: TunerConfig,
    mean: f64,
    variance: f64,
    count: u32,
}

impl Tuner {
    fn observe(&mut self, x: f64) {
        if self.count == 0 {
            self.mean = x;
        } else {
            let alpha = 2.0 / (self.config.window + 1.0);
            let d = x - self.mean;
            self.mean += alpha * d;
            self.variance = (1.0 - alpha) * (self.variance + alpha * d * d);
        }
        self.count += 1;
    }

    /// Break and recovery thresholds.
    fn thresholds(&self) -> (f64, f64) {
        let c = &self.config;
        let limit = if self.count < c.warmup {
            c.fallback
        } else {
            let sigma = math::sqrt(math::max(0.0, self.variance));
            math::max(c.floor, math::min(self.mean + c.sensitivity * sigma, c.ceiling))
        };
        (limit, math::max(c.floor * 0.5, limit * c.recovery_multiplier))
    }
}

/// One route of the published model. Time is in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceModel {
    config: ModelConfig,
    tuner: Option<Tuner>,
    mode: ModelMode,
    pressure: Pressures,
    /// The pressure of the tick before the last: what the published momentum really compares with.
    before: Pressures,
    momentum: Option<f64>,
    scar: f64,
    resistance: f64,
    ticks: u32,
    at_millis: f64,
}

impl ReferenceModel {
    /// A route that begins at this pressure and time.
    pub fn new(
        config: ModelConfig,
        tuner: Option<TunerConfig>,
        pressure: Pressures,
        at_millis: f64,
    ) -> Self {
        Self {
            config,
            tuner: tuner.map(|config| Tuner { config, mean: 0.0, variance: 0.0, count: 0 }),
            mode: ModelMode::Bootstrap,
            pressure,
            before: [0.0; 3],
            momentum: None,
            scar: 0.0,
            resistance: positive(config.base * 1.2),
            ticks: 0,
            at_millis,
        }
    }

    /// The mode.
    pub const fn mode(&self) -> ModelMode {
        self.mode
    }

    /// Pressure change per millisecond; `None` in bootstrap.
    pub const fn momentum(&self) -> Option<f64> {
        self.momentum
    }

    /// Scar tissue in ohms.
    pub const fn scar(&self) -> f64 {
        self.scar
    }

    /// Resistance in ohms.
    pub const fn resistance(&self) -> f64 {
        self.resistance
    }

    /// Takes in a pressure.
    pub fn update(&mut self, pressure: Pressures, now_millis: f64) {
        let dt = now_millis - self.at_millis;
        self.at_millis = now_millis;
        self.ticks = self.ticks.saturating_add(1);
        if self.mode == ModelMode::Bootstrap && self.ticks < self.config.bootstrap_ticks {
            self.pressure = pressure;
            return;
        }
        let begins = self.mode == ModelMode::Bootstrap;
        let momentum = if begins { 0.0 } else { momentum(pressure, self.before, dt) };
        self.momentum = Some(momentum);
        self.scar = self.scarred(pressure, dt);
        self.resistance = self.resisting(pressure, momentum);
        (self.before, self.pressure) = (self.pressure, pressure);
        if begins {
            self.mode = ModelMode::Operational;
        } else {
            self.decide(pressure);
        }
    }

    fn scarred(&self, [l, e, s]: Pressures, dt: f64) -> f64 {
        let c = &self.config;
        let left = positive(self.scar) * guarded_exp(-c.decay_per_sec * (dt / 1000.0));
        let part = |p: f64| {
            let p = math::max(0.0, p);
            p * p
        };
        let stress = math::sqrt(part(l) + part(e) + part(s));
        let trauma = if stress > c.critical { c.scar_factor } else { 0.0 };
        positive(math::max(0.0, left + trauma))
    }

    fn resisting(&self, [l, e, s]: Pressures, momentum: f64) -> f64 {
        let c = &self.config;
        let [wl, we, ws] = c.weights;
        // The order of the additions is the published one; staleness is always 0 there.
        let total = c.base + (l * wl + e * we + s * ws) + c.damping * momentum + self.scar + 0.0;
        positive(math::max(c.base, total))
    }

    fn decide(&mut self, [l, e, s]: Pressures) {
        let c = self.config;
        let (limit, recovery) = if let Some(tuner) = &mut self.tuner {
            tuner.observe(self.resistance);
            tuner.thresholds()
        } else {
            let limit = positive(c.base * c.break_multiplier);
            (limit, positive(c.base * c.break_multiplier * 0.5))
        };
        self.mode = match self.mode {
            ModelMode::CircuitBreaker => {
                // Of the signed pressure: an idle route looks as troubled as a failing one.
                let magnitude = math::sqrt(zapped(l * l + e * e + s * s));
                let calm = self.scar < c.scar_factor && magnitude < c.critical;
                let recovers = calm || self.resistance < recovery;
                if recovers { ModelMode::Operational } else { ModelMode::CircuitBreaker }
            }
            _ if self.resistance >= limit => ModelMode::CircuitBreaker,
            _ => ModelMode::Operational,
        };
    }
}

fn momentum(now: Pressures, before: Pressures, dt_millis: f64) -> f64 {
    let [l, e, s] = [0, 1, 2].map(|i: usize| {
        let of = |p: Pressures| p.get(i).copied().unwrap_or(0.0);
        of(now) - of(before)
    });
    let quotient = math::sqrt(zapped(l * l + e * e + s * s)) / dt_millis;
    if dt_millis.is_finite() && quotient.is_finite() { quotient } else { 0.0 }
}

/// `max(0, x)`, and 0 for what is not finite.
fn positive(x: f64) -> f64 {
    if x.is_finite() { math::max(0.0, x) } else { 0.0 }
}

/// 0 below the noise floor and for what is not finite.
fn zapped(x: f64) -> f64 {
    if x.is_finite() && x.abs() >= 1e-9 { x } else { 0.0 }
}

fn guarded_exp(x: f64) -> f64 {
    if !x.is_finite() {
        1.0
    } else if x > 709.0 {
        f64::MAX
    } else if x < -745.0 {
        0.0
    } else {
        math::exp(x)
    }
}
