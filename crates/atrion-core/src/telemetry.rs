//! What a caller measured, checked where it enters.

use core::time::Duration;

use thiserror::Error;

use crate::error::OutOfRange;
use crate::units::UnitInterval;

/// The longest latency that is believed: 30 days, far beyond the longest workload profile.
pub const LATENCY_MAX_SECS: f64 = 2_592_000.0;
/// The highest saturation that is believed; 1 is full, 1000 a queue of a thousand times that.
pub const SATURATION_MAX: f64 = 1_000.0;
/// The most requests one sample may stand for.
pub const REQUESTS_MAX: u64 = 1_000_000_000_000;

/// One sample of a route's telemetry.
///
/// Latency, error rate and saturation are each optional, but a sample says at least one of them.
/// All numbers are finite and in range: nothing that enters the physics needs a second check.
///
/// ```
/// use atrion_core::telemetry::Telemetry;
/// use std::time::Duration;
///
/// let sample = Telemetry::builder()
///     .latency(Duration::from_millis(120))
///     .outcomes(98, 2)
///     .saturation(0.7)
///     .build()?;
/// assert_eq!(sample.latency_secs(), Some(0.12));
/// assert_eq!(sample.error_rate().map(|rate| rate.get()), Some(0.02));
/// assert_eq!(sample.requests(), Some(100));
///
/// let error = Telemetry::builder().latency_secs(f64::NAN).build().unwrap_err();
/// assert_eq!(error.to_string(), "telemetry.latency is NaN s, allowed is 0 to 2592000 s");
/// # Ok::<(), atrion_core::telemetry::TelemetryError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "TelemetryBuilder"))]
pub struct Telemetry {
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    latency_secs: Option<f64>,
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    error_rate: Option<UnitInterval>,
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    saturation: Option<f64>,
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    requests: Option<u64>,
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    in_flight: Option<u64>,
}

/// A sample that cannot be used. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A number is NaN, infinite, negative or absurd.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The sample says neither latency nor error rate nor saturation.
    #[error("telemetry has neither latency nor error rate nor saturation")]
    Empty,
}

impl Telemetry {
    /// A sample that says nothing yet.
    pub const fn builder() -> TelemetryBuilder {
        TelemetryBuilder {
            latency_secs: None,
            error_rate: None,
            saturation: None,
            requests: None,
            in_flight: None,
        }
    }

    /// Latency in seconds, `0..=`[`LATENCY_MAX_SECS`].
    pub const fn latency_secs(&self) -> Option<f64> {
        self.latency_secs
    }

    /// Share of requests that failed.
    pub const fn error_rate(&self) -> Option<UnitInterval> {
        self.error_rate
    }

    /// How full the service is, `0..=`[`SATURATION_MAX`]; 1 is exactly full.
    pub const fn saturation(&self) -> Option<f64> {
        self.saturation
    }

    /// How many requests the sample stands for, `0..=`[`REQUESTS_MAX`].
    pub const fn requests(&self) -> Option<u64> {
        self.requests
    }

    /// How many requests the service had when it was that full, waiting ones included,
    /// `0..=`[`REQUESTS_MAX`].
    pub const fn in_flight(&self) -> Option<u64> {
        self.in_flight
    }
}

/// Collects a [`Telemetry`] sample; nothing is checked before [`build`](Self::build).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct TelemetryBuilder {
    latency_secs: Option<f64>,
    error_rate: Option<f64>,
    saturation: Option<f64>,
    requests: Option<u64>,
    in_flight: Option<u64>,
}

impl TelemetryBuilder {
    /// A typical latency of the requests sampled.
    #[must_use]
    pub const fn latency(self, latency: Duration) -> Self {
        self.latency_secs(latency.as_secs_f64())
    }

    /// The same in seconds, `0..=`[`LATENCY_MAX_SECS`].
    #[must_use]
    pub const fn latency_secs(mut self, secs: f64) -> Self {
        self.latency_secs = Some(secs);
        self
    }

    /// The share of requests that failed, `0..=1`.
    #[must_use]
    pub const fn error_rate(mut self, rate: f64) -> Self {
        self.error_rate = Some(rate);
        self
    }

    /// How full the service is, `0..=`[`SATURATION_MAX`]; 1 is exactly full.
    #[must_use]
    pub const fn saturation(mut self, saturation: f64) -> Self {
        self.saturation = Some(saturation);
        self
    }

    /// How many requests the sample stands for, `0..=`[`REQUESTS_MAX`].
    #[must_use]
    pub const fn requests(mut self, requests: u64) -> Self {
        self.requests = Some(requests);
        self
    }

    /// How many requests the service had when saturation was measured, waiting ones included,
    /// `0..=`[`REQUESTS_MAX`]. With it a decision can look ahead: see
    /// [`Decision::flow_after`](crate::breaker::Decision::flow_after).
    #[must_use]
    pub const fn in_flight(mut self, in_flight: u64) -> Self {
        self.in_flight = Some(in_flight);
        self
    }

    /// Error rate and number of requests from counts. Without any request there is no error
    /// rate: zero failures of zero requests are not a success.
    #[must_use]
    pub const fn outcomes(mut self, successes: u64, failures: u64) -> Self {
        let requests = successes.saturating_add(failures);
        self.requests = Some(requests);
        self.error_rate = if requests > 0 { Some(failures as f64 / requests as f64) } else { None };
        self
    }

    /// The sample, checked.
    ///
    /// # Errors
    /// [`TelemetryError::OutOfRange`] names the first field whose value is NaN, infinite,
    /// negative or above its bound; [`TelemetryError::Empty`] if nothing was said.
    pub fn build(self) -> Result<Telemetry, TelemetryError> {
        let check = |field, value: Option<f64>, unit, max| {
            value.map(|v| OutOfRange::check(field, v, unit, 0.0, max).map(|v| v + 0.0)).transpose()
        };
        let latency_secs = check("telemetry.latency", self.latency_secs, "s", LATENCY_MAX_SECS)?;
        let error_rate = check("telemetry.error_rate", self.error_rate, "", 1.0)?
            .map(UnitInterval::try_new)
            .transpose()?;
        let saturation = check("telemetry.saturation", self.saturation, "", SATURATION_MAX)?;
        let most = REQUESTS_MAX as f64;
        check("telemetry.requests", self.requests.map(|n| n as f64), "requests", most)?;
        check("telemetry.in_flight", self.in_flight.map(|n| n as f64), "requests", most)?;
        if latency_secs.is_none() && error_rate.is_none() && saturation.is_none() {
            return Err(TelemetryError::Empty);
        }
        let Self { requests, in_flight, .. } = self;
        Ok(Telemetry { latency_secs, error_rate, saturation, requests, in_flight })
    }
}

impl TryFrom<TelemetryBuilder> for Telemetry {
    type Error = TelemetryError;
    fn try_from(builder: TelemetryBuilder) -> Result<Self, TelemetryError> {
        builder.build()
    }
}

impl From<Telemetry> for TelemetryBuilder {
    fn from(sample: Telemetry) -> Self {
        Self {
            latency_secs: sample.latency_secs,
            error_rate: sample.error_rate.map(UnitInterval::get),
            saturation: sample.saturation,
            requests: sample.requests,
            in_flight: sample.in_flight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POISON: [f64; 5] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-9, 1e300];

    #[test]
    fn every_field_refuses_poison_by_name() {
        let blank = Telemetry::builder().saturation(0.5);
        for bad in POISON {
            for (sample, name) in [
                (blank.latency_secs(bad), "telemetry.latency"),
                (blank.error_rate(bad), "telemetry.error_rate"),
                (blank.saturation(bad), "telemetry.saturation"),
            ] {
                let Err(TelemetryError::OutOfRange(e)) = sample.build() else {
                    panic!("{name} took {bad}");
                };
                assert_eq!(e.field, name);
                assert!(e.value.to_bits() == bad.to_bits(), "{name}: {} for {bad}", e.value);
            }
        }
        let crowd = blank.requests(REQUESTS_MAX + 1).build();
        assert!(
            matches!(crowd, Err(TelemetryError::OutOfRange(e)) if e.field == "telemetry.requests")
        );
        let crowd = blank.in_flight(u64::MAX).build();
        assert!(
            matches!(crowd, Err(TelemetryError::OutOfRange(e)) if e.field == "telemetry.in_flight")
        );
    }

    #[test]
    fn the_edges_are_allowed() {
        for sample in [
            Telemetry::builder().latency_secs(0.0),
            Telemetry::builder().latency_secs(LATENCY_MAX_SECS),
            Telemetry::builder().error_rate(1.0),
            Telemetry::builder().error_rate(-0.0),
            Telemetry::builder().saturation(SATURATION_MAX).requests(REQUESTS_MAX),
        ] {
            assert!(sample.build().is_ok(), "{sample:?}");
        }
        assert!(Telemetry::builder().latency(Duration::MAX).build().is_err());
    }

    #[test]
    fn a_sample_says_something() {
        assert_eq!(Telemetry::builder().build(), Err(TelemetryError::Empty));
        assert_eq!(Telemetry::builder().requests(3).build(), Err(TelemetryError::Empty));
        assert_eq!(Telemetry::builder().in_flight(3).build(), Err(TelemetryError::Empty));
        assert_eq!(Telemetry::builder().outcomes(0, 0).build(), Err(TelemetryError::Empty));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn files_pass_the_same_check() {
        let sample: Telemetry = serde_json::from_str(r#"{"latency_secs": 0.5}"#).unwrap();
        assert_eq!(sample, Telemetry::builder().latency_secs(0.5).build().unwrap());
        let text = serde_json::to_string(&sample).unwrap();
        assert_eq!(serde_json::from_str::<Telemetry>(&text).unwrap(), sample);
        for bad in [r"{}", r#"{"latency": 1}"#, r#"{"error_rate": 1.5}"#, r#"{"saturation": -1}"#] {
            assert!(serde_json::from_str::<Telemetry>(bad).is_err(), "{bad}");
        }
    }
}
