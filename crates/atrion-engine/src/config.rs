//! The configuration of an instance.

use atrion_core::error::{ConfigError, OutOfRange};
use atrion_core::law::LawConfig;

/// Everything about an instance that may be changed while it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    law: LawConfig,
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
