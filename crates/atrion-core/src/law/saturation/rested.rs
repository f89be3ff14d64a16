//! What is known of a service that nobody uses.

use super::Saturation;
use crate::time::Timestamp;

/// A [`Saturation`] in less space.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct RestedSaturation {
    calm_since: Timestamp,
    grown_at: Timestamp,
    last_uncontended: Timestamp,
    service_secs: f32,
    service_ln: f32,
    recent_ln: f32,
    capacity_rate: f32,
    present_rate: f32,
    mean_in_flight: f32,
    calm_minimum: f32,
    calm_done: f32,
    parallelism: f32,
    growth: f32,
    standing: f32,
    samples: f32,
    spread_ln: f32,
    quick: f32,
    congested: bool,
}

impl Saturation {
    pub(in super::super) const fn rest(&self) -> RestedSaturation {
        RestedSaturation {
            calm_since: self.calm_since,
            grown_at: self.grown_at,
            last_uncontended: self.last_uncontended,
            service_secs: self.service_secs as f32,
            service_ln: self.service_ln as f32,
            recent_ln: self.recent_ln as f32,
            capacity_rate: self.capacity_rate as f32,
            present_rate: self.present_rate as f32,
            mean_in_flight: self.mean_in_flight as f32,
            calm_minimum: self.calm_minimum as f32,
            calm_done: self.calm_done,
            parallelism: self.parallelism as f32,
            growth: self.growth as f32,
            standing: self.standing as f32,
            samples: self.samples as f32,
            spread_ln: self.spread_ln,
            quick: self.quick,
            congested: self.congested,
        }
    }

    pub(in super::super) fn woken(rested: &RestedSaturation) -> Self {
        Self {
            service_secs: f64::from(rested.service_secs),
            service_ln: f64::from(rested.service_ln),
            recent_ln: f64::from(rested.recent_ln),
            capacity_rate: f64::from(rested.capacity_rate),
            present_rate: f64::from(rested.present_rate),
            mean_in_flight: f64::from(rested.mean_in_flight),
            calm_minimum: f64::from(rested.calm_minimum),
            calm_since: rested.calm_since,
            calm_done: rested.calm_done,
            parallelism: f64::from(rested.parallelism),
            growth: f64::from(rested.growth),
            grown_at: rested.grown_at,
            standing: f64::from(rested.standing),
            congested: rested.congested,
            spread_ln: rested.spread_ln,
            quick: rested.quick,
            samples: f64::from(rested.samples),
            last_uncontended: rested.last_uncontended,
        }
    }
}
