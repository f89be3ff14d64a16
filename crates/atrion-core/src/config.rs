//! The numbers of the telemetry-driven physics, their units, ranges and defaults.

mod rules;

use crate::error::{ConfigError, OutOfRange};
use crate::pressure::Baseline;
use crate::profile::Profile;
use crate::resistance::{Impedance, Sensitivity};
use crate::scar::ScarLaw;
use crate::tuner::TunerConfig;
use crate::units::Ohms;

/// Declares every field once: name, default, unit, range, documentation. Struct, getters,
/// setters, range checks and the serde mirror follow from it, so they cannot disagree.
macro_rules! physics_config {
    ($( $(#[doc = $doc:literal])*
        $field:ident = $default:expr, $unit:literal, $min:expr, $max:expr; )*) => {
        /// The numbers of [`RouteState`](crate::breaker::RouteState), the physics for callers
        /// who supply telemetry.
        ///
        /// Build one with [`PhysicsConfig::builder`], or read it with serde (feature `serde`);
        /// both validate every field and the rules between fields, and a file with a field that
        /// does not exist is refused.
        ///
        /// # Defaults
        ///
        /// They are the published ones where those do no harm, and measured ones otherwise: the
        /// published base of 10 ohm keeps out tiers 1 and 5 for ever, and its weights add 5.4
        /// ohm at most, so nothing is ever shed by degrees.
        ///
        /// - **Saturation acts, latency and momentum do not** (weights 60, 0 and 0 ohm). In every
        ///   form tried, resistance from latency or momentum cost more good requests than it
        ///   saved; both stay computed and observable. 60 ohm lies between the voltages of
        ///   `high` and `critical`: with the saturation baseline of 0.8, `bulk` is refused from a
        ///   saturation of 0.81 on, `low` from 0.87, `normal` from 1.08, `high` from 1.75, and
        ///   `critical` not at all.
        /// - **A queue acts instead** for callers who report how many requests are in flight: from
        ///   the first one that has to wait, by 40 ohm for each service time of waiting.
        /// - **Errors scar**, by 800 ohm per second while more than half of the requests fail.
        #[derive(Clone, Debug, PartialEq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "RawPhysicsConfig"))]
        pub struct PhysicsConfig {
            adaptive_break: bool,
            $( $field: f64, )*
        }

        impl PhysicsConfig {
            $( $(#[doc = $doc])*
               #[doc = concat!("\n\nDefault ", stringify!($default), " ", $unit,
                   ", allowed ", stringify!($min), " to ", stringify!($max), ".")]
               pub const fn $field(&self) -> f64 { self.$field } )*

            fn check_ranges(&self) -> Result<(), OutOfRange> {
                $( OutOfRange::check(
                    concat!("physics.", stringify!($field)), self.$field, $unit, $min, $max)?; )*
                Ok(())
            }
        }

        impl Default for PhysicsConfig {
            fn default() -> Self {
                Self { adaptive_break: false, $( $field: $default, )* }
            }
        }

        impl PhysicsConfigBuilder {
            $( $(#[doc = $doc])*
               #[doc = concat!("\n\nDefault ", stringify!($default), " ", $unit,
                   ", allowed ", stringify!($min), " to ", stringify!($max), ".")]
               #[must_use]
               pub const fn $field(mut self, value: f64) -> Self {
                   self.config.$field = value;
                   self
               } )*
        }

        #[cfg(feature = "serde")]
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct RawPhysicsConfig {
            adaptive_break: bool,
            $( $field: f64, )*
        }

        #[cfg(feature = "serde")]
        impl Default for RawPhysicsConfig {
            fn default() -> Self {
                Self { adaptive_break: false, $( $field: $default, )* }
            }
        }

        #[cfg(feature = "serde")]
        impl TryFrom<RawPhysicsConfig> for PhysicsConfig {
            type Error = ConfigError;
            fn try_from(raw: RawPhysicsConfig) -> Result<Self, ConfigError> {
                let config =
                    PhysicsConfig { adaptive_break: raw.adaptive_break, $( $field: raw.$field, )* };
                PhysicsConfigBuilder { config }.build()
            }
        }

        /// Every field with its range, for tests that walk over all of them.
        #[cfg(test)]
        const FIELDS: &[(&str, fn(PhysicsConfigBuilder, f64) -> PhysicsConfigBuilder, f64, f64)] =
            &[$( (stringify!($field), PhysicsConfigBuilder::$field, $min, $max), )*];
    };
}

physics_config! {
    /// Resistance of an untroubled route. Raising it shuts the lowest tiers out for good: it has
    /// to stay below the lowest voltage in use, also when raised by the bootstrap factor.
    base_ohms = 0.1, "ohm", 0.0, 1e3;
    /// The highest resistance there is. Only a bound; lowering it below the highest voltage
    /// would let that voltage pass whatever happens.
    ceiling_ohms = 1e6, "ohm", 1.0, 1e9;
    /// The lowest voltage in use. Raise it if no request ever carries less; base, bootstrap and
    /// staleness have to stay below it, so that an untroubled route is open to everybody.
    lowest_volts = 1.0, "V", 1e-3, 1e6;

    /// Normal latency. Raise it for slow work ([`PhysicsConfigBuilder::profile`] does); lowering
    /// it makes the latency pressure higher.
    latency_baseline_secs = 0.1, "s", 1e-9, 1e6;
    /// Normal share of failures. Lowering it makes the error pressure higher, which acts only
    /// where its weight is not 0.
    error_baseline = 0.01, "", 1e-9, 1.0;
    /// Saturation from which on it presses; 1 is full. Lowering it sheds earlier: at the
    /// published 0.5, a weight of 60 ohm would shed normal traffic at 67 % utilisation.
    saturation_baseline = 0.8, "", 1e-6, 1e3;
    /// Steepness k of the normalisation. Raising it turns the slope around each baseline into a
    /// step.
    tanh_scale = 1.0, "", 1e-3, 100.0;
    /// Pressure that is no longer reported fades with this time constant. Raising it keeps
    /// shedding longer after the last report; it must end, because who is shed reports nothing.
    pressure_memory_secs = 2.0, "s", 1e-3, 3600.0;

    /// What critical latency adds. Off, because latency cannot tell a slow dependency from lost
    /// capacity; raising it sheds whenever requests are slow, useful or not.
    weight_latency_ohms = 0.0, "ohm", 0.0, 1e6;
    /// What a critical error rate adds at once. Off, because errors scar; raising it refuses
    /// cheap traffic on single errors.
    weight_error_ohms = 0.0, "ohm", 0.0, 1e6;
    /// What critical saturation adds. Raising it above 100 sheds `critical`, too; lowering it
    /// below 50 never sheds `high`, below 20 never `normal`.
    weight_saturation_ohms = 60.0, "ohm", 0.0, 1e6;
    /// What a queue as long as one service time adds, for callers who report how many requests
    /// are in flight. Raising it sheds every priority at shorter queues.
    weight_queue_ohms = 40.0, "ohm", 0.0, 1e6;
    /// Requests that may wait before anybody is refused, for the same callers, besides those that
    /// may be a miscount between two reports. Raising it refuses less on small services.
    queue_requests = 2.0, "requests", 0.0, 1e6;
    /// Damping mu: what one pressure unit per second of movement adds. Off, because every
    /// strength tried cost good requests.
    damping_ohm_secs = 0.0, "ohm s", 0.0, 1e6;
    /// How long movement of pressure is remembered. Raising it smooths momentum.
    momentum_secs = 1.0, "s", 1e-3, 3600.0;

    /// Decay rate lambda of scars: 0.1 1/s is 9.5 % per second. Raising it forgives sooner, and
    /// makes a route without traffic passable sooner.
    healing_per_sec = 0.1, "1/s", 1e-4, 100.0;
    /// Growth sigma of scars per second of trauma. Raising it opens the circuit sooner.
    trauma_ohms_per_sec = 800.0, "ohm/s", 0.0, 1e6;
    /// The deepest scar. Raising it lengthens recovery without traffic, lowering it towards
    /// `break_ohms` shortens it.
    scar_max_ohms = 500.0, "ohm", 1.0, 1e6;
    /// Trauma is an error rate above this. Lowering it scars on partial failures.
    error_critical = 0.5, "", 0.01, 0.99;
    /// Trauma is also a norm of stress above this. The default is the largest norm there is,
    /// so only errors wound; the published value is 0.7.
    critical_stress = crate::pressure::NORM_MAX, "", 0.0, 2.0;
    /// Requests that the error rate looks back over. Raising it trips later and less often.
    error_samples = 20.0, "requests", 1.0, 1e6;
    /// Seconds the error rate looks back over where reports do not say how many requests they
    /// stand for. Raising it trips later.
    error_secs = 0.5, "s", 1e-3, 3600.0;
    /// A report speaks for at most this long before it, so that a suspended process was not
    /// wounded all the while. Keep it above the interval of your reports.
    longest_step_secs = 1.0, "s", 1e-3, 3600.0;

    /// What a second without telemetry adds. Off by default; raising it distrusts silence.
    staleness_ohms_per_sec = 0.0, "ohm/s", 0.0, 1e6;
    /// Where that ends. Raising it keeps more of the lowest voltages out of forgotten routes; it
    /// has to stay below the lowest one in use, because silence alone closes nothing.
    staleness_max_ohms = 0.5, "ohm", 0.0, 1e3;

    /// The circuit opens at this resistance while in trauma (until the tuner is warm, where
    /// [`adaptive_break`](Self::adaptive_break) is on). Raising it opens later.
    break_ohms = 100.0, "ohm", 1e-3, 1e6;
    /// An open circuit closes when the scar is below this and there is no trauma. Raising it
    /// closes earlier; it is compared with the scar, not with a resistance that contains the
    /// base and saturation, so it is always reached.
    recovery_ohms = 5.0, "ohm", 1e-3, 1e6;
    /// Time between probes of an open circuit, halved by every success. Lowering it finds out
    /// sooner and sends more to what is dead.
    probe_secs = 0.25, "s", 1e-3, 3600.0;
    /// What a successful probe leaves of the scar. Raising it asks for more successes.
    probe_heal = 0.25, "", 0.0, 0.99;
    /// How fast a scar fades while an open circuit is reported healthy. Raising it recovers
    /// sooner; the default equals one good probe per quarter of a second.
    recovery_per_sec = 5.5, "1/s", 1e-3, 1e3;

    /// How long a new route only listens. Raising it protects later; lowering it acts on the
    /// first reports, however few.
    bootstrap_secs = 1.0, "s", 0.0, 3600.0;
    /// Its resistance meanwhile, as a multiple of the base. Raising it keeps the lowest voltages
    /// out of new routes.
    bootstrap_factor = 1.2, "", 1.0, 100.0;

    /// Window of the tuner, in ticks. Raising it learns slower, lowering it forgets sooner.
    tuner_window = 100.0, "ticks", 1.0, 1e6;
    /// Standard deviations above the mean that are unusual. Raising it opens later, lowering it
    /// opens on ordinary fluctuations.
    tuner_sensitivity = 3.0, "", 0.0, 100.0;
    /// Lowest adaptive threshold. Lowering it opens calm routes at the first trauma.
    tuner_floor_ohms = 30.0, "ohm", 0.0, 1e6;
    /// Highest adaptive threshold. Raising it lets routes that are always in trouble open later.
    tuner_ceiling_ohms = 500.0, "ohm", 0.0, 1e6;
    /// Ticks before the adaptive threshold counts; until then `break_ohms` does. Lowering it
    /// trusts a short acquaintance.
    tuner_warmup = 50.0, "ticks", 0.0, 1e6;
    /// What the tuner calls a tick; it learns per time, not per report. Raising it learns slower.
    tuner_tick_secs = 0.1, "s", 1e-3, 3600.0;
}

/// Builds a [`PhysicsConfig`].
///
/// ```
/// use atrion_core::config::PhysicsConfig;
/// use atrion_core::profile::Profile;
///
/// let config = PhysicsConfig::builder().profile(Profile::Heavy).break_ohms(150.0).build()?;
/// assert_eq!(config.latency_baseline_secs(), 5.0);
///
/// let error = PhysicsConfig::builder().base_ohms(10.0).build().unwrap_err();
/// assert!(error.to_string().contains("lowest_volts"), "{error}");
/// # Ok::<(), atrion_core::error::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhysicsConfigBuilder {
    config: PhysicsConfig,
}

impl PhysicsConfigBuilder {
    /// Takes the normal latency of a workload profile.
    #[must_use]
    pub const fn profile(self, profile: Profile) -> Self {
        self.latency_baseline_secs(profile.latency().as_secs_f64())
    }

    /// Whether the break threshold is learned per route. Default `false`: the fixed threshold.
    #[must_use]
    pub const fn adaptive_break(mut self, on: bool) -> Self {
        self.config.adaptive_break = on;
        self
    }

    /// The configuration, checked.
    ///
    /// # Errors
    /// [`ConfigError`] names the field that is out of its range, or two that contradict.
    pub fn build(self) -> Result<PhysicsConfig, ConfigError> {
        self.config.check_ranges()?;
        rules::check(&self.config)?;
        Ok(self.config)
    }
}

impl PhysicsConfig {
    /// A builder that starts from the defaults.
    pub fn builder() -> PhysicsConfigBuilder {
        PhysicsConfigBuilder::default()
    }

    /// A builder that starts from this configuration.
    pub fn to_builder(&self) -> PhysicsConfigBuilder {
        PhysicsConfigBuilder { config: self.clone() }
    }

    /// Whether the break threshold is learned per route.
    pub const fn adaptive_break(&self) -> bool {
        self.adaptive_break
    }

    // The numbers below were checked when the configuration was built: every range above lies
    // within the range of the type it goes into.

    /// What is normal.
    pub const fn baseline(&self) -> Baseline {
        Baseline::checked(
            self.latency_baseline_secs,
            self.error_baseline,
            self.saturation_baseline,
            self.tanh_scale,
        )
    }

    /// The impedance law.
    pub fn impedance(&self) -> Impedance {
        let weights = Sensitivity::checked(
            self.weight_latency_ohms,
            self.weight_error_ohms,
            self.weight_saturation_ohms,
        );
        Impedance::checked(
            Ohms::computed(self.base_ohms),
            weights,
            self.damping_ohm_secs,
            Ohms::computed(self.ceiling_ohms),
        )
    }

    /// The scar law.
    pub fn scar_law(&self) -> ScarLaw {
        let deepest = Ohms::computed(self.scar_max_ohms);
        ScarLaw::checked(self.healing_per_sec, self.trauma_ohms_per_sec, deepest)
    }

    /// The tuner's numbers; before its warm-up the threshold is `break_ohms`.
    pub const fn tuner(&self) -> TunerConfig {
        TunerConfig::checked(
            self.tuner_window,
            self.tuner_sensitivity,
            (self.tuner_floor_ohms, self.tuner_ceiling_ohms),
            self.tuner_warmup,
            self.break_ohms,
        )
    }
}

#[cfg(test)]
mod tests;
