//! The configuration of an instance.

use atrion_core::config::PhysicsConfig;
use atrion_core::error::{ConfigError, OutOfRange};
use atrion_core::law::LawConfig;

/// Everything about an instance that may be changed while it runs.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "RawConfig"))]
pub struct Config {
    law: LawConfig,
    physics: PhysicsConfig,
    route_limit: usize,
    route_idle_secs: f64,
    shadow: bool,
}

/// Longest accepted route name, in bytes.
pub const ROUTE_NAME_LIMIT: usize = 512;

impl Default for Config {
    fn default() -> Self {
        Self {
            law: LawConfig::default(),
            physics: PhysicsConfig::default(),
            route_limit: 10_000,
            route_idle_secs: 60.0,
            shadow: false,
        }
    }
}

impl Config {
    /// Starts from the defaults.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder { config: Self::default() }
    }

    /// Continues from this configuration.
    pub fn to_builder(&self) -> ConfigBuilder {
        ConfigBuilder { config: self.clone() }
    }

    /// The control law's numbers.
    pub const fn law(&self) -> &LawConfig {
        &self.law
    }

    /// The numbers for routes whose telemetry is reported with
    /// [`update_physics`](crate::Atrion::update_physics).
    pub const fn physics(&self) -> &PhysicsConfig {
        &self.physics
    }

    /// How many routes are kept; further names share the overflow route. Default 10,000,
    /// allowed 1 to 16,777,216.
    pub const fn route_limit(&self) -> usize {
        self.route_limit
    }

    /// A route nobody used for this long, in seconds, may make room for another. Default 60,
    /// allowed 0 to 1e9.
    pub const fn route_idle_secs(&self) -> f64 {
        self.route_idle_secs
    }

    /// Whether new routes start shadowed. Default false.
    pub const fn shadow(&self) -> bool {
        self.shadow
    }
}

/// Builds a [`Config`]; see its getters for meaning, unit and range of each field.
#[derive(Clone, Debug)]
pub struct ConfigBuilder {
    config: Config,
}

impl ConfigBuilder {
    /// See [`Config::law`].
    #[must_use]
    pub fn law(mut self, law: LawConfig) -> Self {
        self.config.law = law;
        self
    }

    /// See [`Config::physics`].
    #[must_use]
    pub fn physics(mut self, physics: PhysicsConfig) -> Self {
        self.config.physics = physics;
        self
    }

    /// See [`Config::route_limit`].
    #[must_use]
    pub const fn route_limit(mut self, routes: usize) -> Self {
        self.config.route_limit = routes;
        self
    }

    /// See [`Config::route_idle_secs`].
    #[must_use]
    pub const fn route_idle_secs(mut self, secs: f64) -> Self {
        self.config.route_idle_secs = secs;
        self
    }

    /// See [`Config::shadow`].
    #[must_use]
    pub const fn shadow(mut self, shadow: bool) -> Self {
        self.config.shadow = shadow;
        self
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`ConfigError`] naming the field, its value and what is allowed.
    pub fn build(self) -> Result<Config, ConfigError> {
        let c = self.config;
        OutOfRange::check("route_limit", c.route_limit as f64, "routes", 1.0, 16_777_216.0)?;
        OutOfRange::check("route_idle_secs", c.route_idle_secs, "s", 0.0, 1e9)?;
        Ok(c)
    }
}

/// What a file may say. Every field may be left out; unknown ones are refused.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    law: LawConfig,
    physics: PhysicsConfig,
    route_limit: usize,
    route_idle_secs: f64,
    shadow: bool,
}

#[cfg(feature = "serde")]
impl Default for RawConfig {
    fn default() -> Self {
        let Config { law, physics, route_limit, route_idle_secs, shadow } = Config::default();
        Self { law, physics, route_limit, route_idle_secs, shadow }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        let RawConfig { law, physics, route_limit, route_idle_secs, shadow } = raw;
        ConfigBuilder { config: Self { law, physics, route_limit, route_idle_secs, shadow } }
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_and_named() {
        let e = Config::builder().route_limit(0).build().expect_err("no routes");
        assert_eq!(e.to_string(), "route_limit is 0 routes, allowed is 1 to 16777216 routes");
        assert!(Config::builder().route_idle_secs(f64::NAN).build().is_err());
        assert_eq!(Config::builder().build(), Ok(Config::default()));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn files_are_validated_and_unknown_fields_refused() {
        let text = r#"{"route_limit": 5, "law": {"probe_secs": 1.0}}"#;
        let config: Config = serde_json::from_str(text).expect("valid");
        assert_eq!(config.route_limit(), 5);
        assert!((config.law().probe_secs() - 1.0).abs() < 1e-12);
        let text = serde_json::to_string(&config).expect("plain data");
        assert_eq!(serde_json::from_str::<Config>(&text).expect("valid"), config);
        for bad in [r#"{"route_limit": 0}"#, r#"{"routelimit": 5}"#, r#"{"law": {"tick_secs": 9}}"#]
        {
            assert!(serde_json::from_str::<Config>(bad).is_err(), "{bad}");
        }
    }
}
