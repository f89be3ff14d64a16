//! The numbers of the control law, their units, ranges and defaults.

use crate::error::{ConfigError, OutOfRange};
use crate::math;

/// Declares the configuration once: field, default, unit, range, documentation. Struct, getters,
/// setters, validation and the serde mirror all follow from it, so they cannot disagree.
macro_rules! law_config {
    ($( $(#[doc = $doc:literal])* $field:ident = $default:literal [$unit:literal] in $min:literal ..= $max:literal; )*) => {
        /// The numbers of the control law; one set serves every service.
        ///
        /// Build one with [`LawConfig::builder`], or read it with serde (feature `serde`), which
        /// validates in the same way and refuses unknown fields.
        #[derive(Clone, Debug, PartialEq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "RawLawConfig"))]
        pub struct LawConfig {
            $( $field: f64, )*
            /// `ln(1 - 1/horizon_samples)`, which every tick needs.
            #[cfg_attr(feature = "serde", serde(skip))]
            horizon_ln: f64,
        }

        impl LawConfig {
            $( $(#[doc = $doc])*
               #[doc = concat!("\n\nDefault ", stringify!($default), " ", $unit, ", allowed ", stringify!($min), " to ", stringify!($max), ".")]
               pub const fn $field(&self) -> f64 { self.$field } )*

            fn check_ranges(&self) -> Result<(), OutOfRange> {
                $( OutOfRange::check(concat!("law.", stringify!($field)), self.$field, $unit, $min, $max)?; )*
                Ok(())
            }
        }

        impl Default for LawConfig {
            fn default() -> Self { Self { $( $field: $default, )* horizon_ln: 0.0 }.derived() }
        }

        impl LawConfigBuilder {
            $( $(#[doc = $doc])*
               #[doc = concat!("\n\nDefault ", stringify!($default), " ", $unit, ", allowed ", stringify!($min), " to ", stringify!($max), ".")]
               #[must_use]
               pub const fn $field(mut self, value: f64) -> Self { self.config.$field = value; self } )*
        }

        #[cfg(feature = "serde")]
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct RawLawConfig { $( $field: f64, )* }

        #[cfg(feature = "serde")]
        impl Default for RawLawConfig {
            fn default() -> Self { Self { $( $field: $default, )* } }
        }

        #[cfg(feature = "serde")]
        impl TryFrom<RawLawConfig> for LawConfig {
            type Error = ConfigError;
            fn try_from(raw: RawLawConfig) -> Result<Self, ConfigError> {
                LawConfigBuilder { config: LawConfig { $( $field: raw.$field, )* horizon_ln: 0.0 } }.build()
            }
        }
    };
}

law_config! {
    /// Resistance of an untroubled route. Every voltage must exceed it to flow at all, so it must
    /// stay below the lowest voltage in use (1 V for the default priorities).
    base_ohms = 0.1 ["ohm"] in 0.0 ..= 1e3;
    /// Queue allowance in baselines of waiting: raising it trades latency for fewer refusals.
    queue_baselines = 1.0 [""] in 0.0 ..= 100.0;
    /// Queue allowance that even the smallest service gets.
    queue_min = 2.0 ["requests"] in 0.0 ..= 1e6;
    /// Queue allowance while the queue is transient (it drains again); matters for services that
    /// work on one or two requests at a time.
    queue_burst = 6.0 ["requests"] in 0.0 ..= 1e6;
    /// Share of h, the current up to which a passing queue resists nobody; 0 lets voltage count in
    /// every queue.
    queue_passing = 1.0 [""] in 0.0 ..= 1.0;
    /// Factor up to which the free zone may be enlarged on trial; 1 makes no trials.
    growth_max = 4.0 [""] in 1.0 ..= 4.0;
    /// Parallelism above this multiple of what Little's law says falls; a large one never lets it
    /// fall.
    parallelism_slack = 1.5 [""] in 1.0 ..= 1e9;
    /// Latency above the baseline, as a fraction, that counts as congestion.
    congestion = 0.35 [""] in 0.01 ..= 10.0;
    /// Samples over which latency, throughput and in-flight averages look back.
    horizon_samples = 32.0 ["samples"] in 2.0 ..= 1e5;
    /// Shortest time over which throughput and in-flight averages look back.
    horizon_secs = 0.4 ["s"] in 0.01 ..= 60.0;
    /// In-flight limit of a route that has learned nothing yet; it grows by one per success.
    /// Lower it for services that collapse under little concurrency.
    start_limit = 16.0 ["requests"] in 1.0 ..= 1e6;
    /// Requests measured on a drained service when it started inside an overload. 0 measures
    /// nothing: the route goes on with what it learned under load. 1 to 3 are refused, they would
    /// measure next to nothing.
    exhale_samples = 20.0 ["requests"] in 0.0 ..= 1000.0;
    /// Completions over which the error rate looks back.
    error_samples = 20.0 ["samples"] in 2.0 ..= 1e5;
    /// Error rate above which the route is being wounded.
    error_critical = 0.5 [""] in 0.01 ..= 1.0;
    /// Scar growth per second of trauma.
    trauma_ohms_per_sec = 800.0 ["ohm/s"] in 0.0 ..= 1e6;
    /// Rate at which scars heal (0.1 per second is a time constant of 10 s).
    healing_per_sec = 0.1 ["1/s"] in 1e-6 ..= 1e3;
    /// The deepest possible scar.
    scar_max_ohms = 500.0 ["ohm"] in 0.0 ..= 1e6;
    /// Scar at which the breaker opens (while errors persist).
    open_ohms = 100.0 ["ohm"] in 1e-3 ..= 1e6;
    /// Scar below which the breaker closes (once errors are gone).
    close_ohms = 5.0 ["ohm"] in 0.0 ..= 1e6;
    /// Wait between probes of an open route, jittered by a fifth.
    probe_secs = 0.25 ["s"] in 0.001 ..= 3600.0;
    /// Fraction of the scar and of the wait that a good probe leaves.
    probe_heal = 0.25 [""] in 0.0 ..= 0.99;
    /// Longest time between two recomputations of a busy route.
    tick_secs = 0.05 ["s"] in 0.001 ..= 1.0;
    /// E_min: a node with less evidence about a route has no vote on it.
    hearsay_evidence_min = 1.0 ["requests"] in 0.01 ..= 1e3;
    /// E_cap: more evidence than this counts as this. It bounds for how long a departed node
    /// votes (7 s by default), and must exceed the least evidence.
    hearsay_evidence_cap = 5.0 ["requests"] in 0.01 ..= 1e6;
    /// k: own evidence at which a node's own word weighs half of what gamma leaves it.
    hearsay_evidence_half = 2.0 ["requests"] in 0.0 ..= 1e6;
    /// Most ohms that a minority of complaints adds, so that a warning is felt before it is
    /// believed. It sheds low priorities only, and only until a few requests succeed.
    hearsay_caution_ohms = 14.0 ["ohm"] in 0.0 ..= 1e3;
    /// n_v: own successes in a row that refute what others say.
    hearsay_proofs = 4.0 ["requests"] in 1.0 ..= 1e3;
    /// Quiet time after which an episode of hearsay is over and what refuted it is forgotten.
    hearsay_quiet_secs = 5.0 ["s"] in 0.1 ..= 3600.0;
    /// When a peer's probe succeeds, the next own one comes within this time.
    hearsay_invitation_secs = 0.25 ["s"] in 0.0 ..= 60.0;
    /// A peer's demand counts as at most this many times the own one, whatever it claims: it bounds
    /// by how much one liar delays a recovery (to `1.2 probe_secs (1 + clip)`, 3.3 s).
    hearsay_demand_clip = 10.0 [""] in 0.0 ..= 1e6;
    /// While others probe too, at most one of this many own requests is a probe.
    hearsay_probe_share = 10.0 ["requests"] in 1.0 ..= 1e6;
    /// Longest wait between two probes however many others look, unless the own demand is so low
    /// that the share above takes longer.
    hearsay_probe_longest_secs = 15.0 ["s"] in 0.001 ..= 3600.0;
}

impl LawConfig {
    /// Starts from the defaults.
    ///
    /// ```
    /// use atrion_core::law::LawConfig;
    /// let calm = LawConfig::builder().probe_secs(1.0).build()?;
    /// assert_eq!(calm.probe_secs(), 1.0);
    /// let refused = LawConfig::builder().probe_secs(f64::NAN).build().unwrap_err();
    /// assert!(refused.to_string().contains("law.probe_secs"));
    /// # Ok::<(), atrion_core::error::ConfigError>(())
    /// ```
    pub fn builder() -> LawConfigBuilder {
        LawConfigBuilder { config: Self::default() }
    }

    fn derived(self) -> Self {
        Self { horizon_ln: math::ln_1p(-1.0 / self.horizon_samples), ..self }
    }

    /// [`ewma_weight`](math::ewma_weight) of `count > 0` samples over the horizon.
    pub(super) fn horizon_weight(&self, count: f64) -> f64 {
        math::lost_share(-count * self.horizon_ln)
    }

    /// Continues from this configuration.
    pub fn to_builder(&self) -> LawConfigBuilder {
        LawConfigBuilder { config: self.clone() }
    }
}

/// Builds a [`LawConfig`]; see its getters for meaning, unit and range of each number.
#[derive(Clone, Debug)]
pub struct LawConfigBuilder {
    config: LawConfig,
}

impl LawConfigBuilder {
    /// Checks every range and every relation between fields.
    ///
    /// # Errors
    /// [`ConfigError`] naming the field, its value and what is allowed.
    pub fn build(self) -> Result<LawConfig, ConfigError> {
        let c = self.config;
        c.check_ranges()?;
        // (field, value, must be below, its value): a breaker that closes above its opening
        // threshold, or opens above the deepest scar, would chatter or never act.
        let below = [
            ("law.close_ohms", c.close_ohms, "law.open_ohms", c.open_ohms),
            ("law.open_ohms", c.open_ohms, "law.scar_max_ohms", c.scar_max_ohms),
            (
                "law.hearsay_evidence_min",
                c.hearsay_evidence_min,
                "law.hearsay_evidence_cap",
                c.hearsay_evidence_cap,
            ),
        ];
        for (field, value, other, other_value) in below {
            if value >= other_value {
                return Err(ConfigError::Conflict {
                    field,
                    value,
                    relation: "below",
                    other,
                    other_value,
                });
            }
        }
        if c.exhale_samples > 0.0 {
            OutOfRange::check("law.exhale_samples", c.exhale_samples, "requests", 4.0, 1000.0)?;
        }
        // Otherwise scars settle below the threshold: they refuse for ever and nobody looks.
        let settles_at = c.trauma_ohms_per_sec / c.healing_per_sec;
        if c.trauma_ohms_per_sec > 0.0 && settles_at <= c.open_ohms {
            return Err(ConfigError::Conflict {
                field: "law.open_ohms",
                value: c.open_ohms,
                relation: "below",
                other: "law.trauma_ohms_per_sec / law.healing_per_sec",
                other_value: settles_at,
            });
        }
        Ok(c.derived())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(LawConfig::builder().build(), Ok(LawConfig::default()));
    }

    #[test]
    fn contradictions_are_named() {
        let e = LawConfig::builder().close_ohms(200.0).build().unwrap_err();
        assert_eq!(e.to_string(), "law.close_ohms is 200, which must be below law.open_ohms (100)");
        assert!(LawConfig::builder().open_ohms(600.0).build().is_err());
        assert!(LawConfig::builder().trauma_ohms_per_sec(5.0).build().is_err());
        let samples = |n: f64| LawConfig::builder().exhale_samples(n).build();
        assert!(samples(0.0).is_ok() && samples(4.0).is_ok());
        assert!(samples(1.0).unwrap_err().to_string().starts_with("law.exhale_samples is 1 req"));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn serde_validates_and_refuses_unknown_fields() {
        let ok: LawConfig = serde_json::from_str(r#"{"probe_secs": 0.5}"#).unwrap();
        assert!((ok.probe_secs() - 0.5).abs() < 1e-12);
        let back: LawConfig = serde_json::from_str(&serde_json::to_string(&ok).unwrap()).unwrap();
        assert_eq!(ok, back);
        assert!(serde_json::from_str::<LawConfig>(r#"{"probe_secs": -1}"#).is_err());
        assert!(serde_json::from_str::<LawConfig>(r#"{"prob_secs": 1}"#).is_err());
    }
}
