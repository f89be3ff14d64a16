//! Which routes are told apart: the busiest and the most troubled, without flapping.

use std::fmt;
use std::time::Duration;

/// Most routes that can be told apart at once.
pub const TOP_LIMIT: usize = 10_000;
/// Most names that can be used in the life of an aggregator.
pub const NAMES_LIMIT: usize = 100_000;

/// How many routes get a label value of their own, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopConfig {
    limit: usize,
    names: usize,
    min_stay_secs: f64,
}

impl Default for TopConfig {
    fn default() -> Self {
        Self { limit: 50, names: 200, min_stay_secs: 60.0 }
    }
}

impl TopConfig {
    /// Starts from the defaults.
    pub fn builder() -> TopConfigBuilder {
        let Self { limit, min_stay_secs, .. } = Self::default();
        TopConfigBuilder { limit, names: None, min_stay_secs }
    }

    /// Routes told apart at once; the others are added up. Default 50, allowed 1 to 10,000.
    /// More cost memory and time in whatever stores the metrics: about 40 series each.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Different routes told apart in the life of the process; then those that had a value keep
    /// the right to it, and nobody else gets one. Bounds what a store has to remember. Default
    /// four times the limit, allowed from the limit to 100,000.
    pub const fn names(&self) -> usize {
        self.names
    }

    /// Seconds that a route keeps its value before another may take its place. Default 60,
    /// allowed 0 to 1e6. Less follows the traffic sooner and makes more series.
    pub const fn min_stay_secs(&self) -> f64 {
        self.min_stay_secs
    }
}

/// Builds a [`TopConfig`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct TopConfigBuilder {
    limit: usize,
    names: Option<usize>,
    min_stay_secs: f64,
}

impl TopConfigBuilder {
    /// See [`TopConfig::limit`].
    pub const fn limit(mut self, routes: usize) -> Self {
        self.limit = routes;
        self
    }

    /// See [`TopConfig::names`].
    pub const fn names(mut self, names: usize) -> Self {
        self.names = Some(names);
        self
    }

    /// See [`TopConfig::min_stay_secs`].
    pub const fn min_stay(mut self, stay: Duration) -> Self {
        self.min_stay_secs = stay.as_secs_f64();
        self
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`TopConfigError`] naming the field, its value and what is allowed.
    pub fn build(self) -> Result<TopConfig, TopConfigError> {
        let Self { limit, names, min_stay_secs } = self;
        let names = names.unwrap_or_else(|| limit.saturating_mul(4).min(NAMES_LIMIT));
        check("limit", limit as f64, 1.0, TOP_LIMIT as f64)?;
        check("names", names as f64, limit as f64, NAMES_LIMIT as f64)?;
        check("min_stay_secs", min_stay_secs, 0.0, 1e6)?;
        Ok(TopConfig { limit, names, min_stay_secs })
    }
}

fn check(field: &'static str, value: f64, min: f64, max: f64) -> Result<(), TopConfigError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(TopConfigError { field, value, min, max })
    }
}

/// A setting out of range. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TopConfigError {
    /// Which one.
    pub field: &'static str,
    /// What it was set to.
    pub value: f64,
    /// The least that is allowed.
    pub min: f64,
    /// The most that is allowed.
    pub max: f64,
}

impl fmt::Display for TopConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, min, max } = self;
        write!(f, "`{field}` is {value}, allowed is {min} to {max}")
    }
}

impl std::error::Error for TopConfigError {}

/// A newcomer must score so many times as much as the one whose place it takes.
const MARGIN: f64 = 2.0;
/// And so much more, in scores: what is idle does not replace what is idle.
const MARGIN_FLOOR: f64 = 0.1;

/// Whether a score of `challenger` takes the place of one of `holder`.
pub(crate) fn displaces(challenger: f64, holder: f64) -> bool {
    challenger > MARGIN * holder + MARGIN_FLOOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let refused = |b: TopConfigBuilder| b.build().expect_err("out of range");
        assert_eq!(refused(TopConfig::builder().limit(0)).field, "limit");
        assert_eq!(refused(TopConfig::builder().limit(10_001)).field, "limit");
        assert_eq!(refused(TopConfig::builder().limit(9).names(8)).field, "names");
        let long = TopConfig::builder().min_stay(Duration::from_secs(2_000_000));
        let error = refused(long).to_string();
        assert_eq!(error, "`min_stay_secs` is 2000000, allowed is 0 to 1000000");
        assert_eq!(TopConfig::builder().build(), Ok(TopConfig::default()));
        assert_eq!(TopConfig::builder().limit(7).build().map(|c| c.names()), Ok(28));
    }

    #[test]
    fn two_of_a_kind_never_displace_each_other() {
        for score in [0.0, 0.05, 1.0, 1e9] {
            assert!(!displaces(score, score));
        }
        assert!(displaces(3.0, 1.0));
        assert!(!(displaces(1.9, 1.0) || displaces(1.0, 1.9)));
    }
}
