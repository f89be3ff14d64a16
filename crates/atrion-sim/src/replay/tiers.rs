//! What requests of one voltage met, and the latencies of all.

use atrion_trace::{Outcome, Request, Trace};
use serde::Serialize;

/// Requests of one voltage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Tier {
    /// The voltage.
    pub volts: f64,
    /// Requests.
    pub asked: u64,
    /// Requests that were refused.
    pub refused: u64,
}

impl Tier {
    /// Percent that was refused; 0 if there were no requests.
    pub fn refused_percent(&self) -> f64 {
        if self.asked == 0 { 0.0 } else { 100.0 * self.refused as f64 / self.asked as f64 }
    }
}

/// Counts a request into the tier of its voltage; tiers stay in the order of their voltages.
pub(super) fn count(tiers: &mut Vec<Tier>, volts: f64, refused: bool) {
    let at = tiers.binary_search_by(|tier| tier.volts.total_cmp(&volts));
    let index = at.unwrap_or_else(|index| {
        tiers.insert(index, Tier { volts, ..Tier::default() });
        index
    });
    if let Some(tier) = tiers.get_mut(index) {
        tier.asked += 1;
        tier.refused += u64::from(refused);
    }
}

/// What a run came to: the recorded one, or one through the fitted service.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Requests.
    pub asked: u64,
    /// Requests refused.
    pub refused: u64,
    /// By voltage, lowest first.
    pub tiers: Vec<Tier>,
    /// Requests that succeeded within the deadline.
    pub good: u64,
    /// The same, per second.
    pub good_per_sec: f64,
    /// Median latency of what succeeded, in seconds; `None` if nothing did.
    pub p50_secs: Option<f64>,
    /// 99th percentile of it.
    pub p99_secs: Option<f64>,
}

impl Figures {
    /// The recorded run of one route.
    pub(super) fn recorded(trace: &Trace, route: u32, deadline_secs: f64, secs: f64) -> Self {
        let mut figures = Self::default();
        let mut latencies = Vec::new();
        for request in trace.requests().iter().filter(|r| r.route == route) {
            let refused = !request.decision.is_admitted();
            figures.asked += 1;
            figures.refused += u64::from(refused);
            count(&mut figures.tiers, request.volts, refused);
            if let Some(latency) = success_secs(request) {
                figures.good += u64::from(latency <= deadline_secs);
                latencies.push(latency);
            }
        }
        figures.good_per_sec = figures.good as f64 / secs;
        latencies.sort_unstable_by(f64::total_cmp);
        figures.p50_secs = quantile(&latencies, 0.5);
        figures.p99_secs = quantile(&latencies, 0.99);
        figures
    }

    /// Percent that was refused.
    pub fn refused_percent(&self) -> f64 {
        Tier { asked: self.asked, refused: self.refused, volts: 0.0 }.refused_percent()
    }
}

/// Latency of a request that succeeded.
pub(super) fn success_secs(request: &Request) -> Option<f64> {
    let succeeded = matches!(request.end, Some((_, Outcome::Success)));
    request.latency_nanos().filter(|_| succeeded).map(|nanos| nanos as f64 / 1e9)
}

/// Of sorted values; `None` of none.
pub(super) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied()
}
