//! From the engine's reports to what is shown.

use atrion_core::breaker::Decision;
use atrion_core::flow::Priority;
use atrion_core::law::{BreakerMode, Phase};
use atrion_core::merge::lower_median_by;
use atrion_engine::{Counts, Force, Hearing, RouteReport, Tally};
use atrion_state::peers::{Node, NodeId};
use atrion_state::provider::Health;
use serde_json::{Value, json};

use crate::frame::Reading;
use crate::history::{Sample, TIERS};
use crate::number::rounded;

/// The names of the modes, by index.
pub(crate) const MODES: [&str; 5] = ["closed", "open", "held", "forced_open", "forced_closed"];
/// The names of the flags, by bit.
pub(crate) const FLAGS: [&str; 3] = ["shadow", "resting", "learning"];
/// Index of a report's mode in [`MODES`]: what decides about its requests now.
pub(crate) fn mode(report: &RouteReport) -> u8 {
    match (report.forced.map(|forced| forced.force), report.mode) {
        (Some(Force::Open), _) => 3,
        (Some(Force::Closed), _) => 4,
        (None, BreakerMode::Open) => 1,
        (None, BreakerMode::Closed) if report.held => 2,
        (None, BreakerMode::Closed) => 0,
    }
}

pub(crate) fn mode_name(mode: u8) -> &'static str {
    MODES.get(usize::from(mode)).copied().unwrap_or("closed")
}

fn flags(report: &RouteReport) -> u8 {
    u8::from(report.shadow)
        | u8::from(report.resting) << 1
        | u8::from(report.phase != Phase::Running) << 2
}

pub(crate) fn flag_names(report: &RouteReport) -> Vec<&'static str> {
    let flags = flags(report);
    let is_set = |(bit, name): (usize, &&'static str)| (flags >> bit & 1 == 1).then_some(*name);
    FLAGS.iter().enumerate().filter_map(is_set).collect()
}

/// Requests refused, or that would have been on a shadowed route.
const fn refused(counts: &Counts) -> u32 {
    counts.shed.wrapping_add(counts.shadow_shed)
}

/// What the overview shows of a report.
pub(crate) fn reading(report: &RouteReport) -> Reading {
    let parts = report.parts.values();
    let largest = parts.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    Reading {
        mode: mode(report),
        flags: flags(report),
        resistance_ohm: report.resistance,
        cause: largest.map_or(0, |(index, _)| index as u8),
        in_flight: report.counts.in_flight,
        done: report.counts.completed.wrapping_add(report.counts.cancelled),
        shed: refused(&report.counts),
        error_rate: report.error_rate,
        service_secs: report.service_secs,
    }
}

/// What the history of a route keeps of a report. `before` is its tally `secs` ago.
pub(crate) fn sample(
    report: &RouteReport,
    at_ms: u64,
    before: Option<&Tally>,
    secs: f64,
) -> Sample {
    let rates = report.tally.as_ref().map(|tally| {
        let rate = |now: [u32; TIERS], then: [u32; TIERS]| {
            let mut rates = [0.0_f32; TIERS];
            for ((rate, now), then) in rates.iter_mut().zip(now).zip(then) {
                let count = now.wrapping_sub(then);
                // A count that began anew is not a huge one.
                if secs > 0.0 && count < 1 << 31 {
                    *rate = (f64::from(count) / secs) as f32;
                }
            }
            rates
        };
        let before = before.unwrap_or(tally);
        (rate(tally.admitted, before.admitted), rate(tally.refused, before.refused))
    });
    Sample {
        at_ms,
        mode: mode(report),
        parts: report.parts.values().map(|ohms| ohms as f32),
        stress: stress(report.reported.as_ref()),
        in_flight: report.counts.in_flight,
        error_rate: report.error_rate as f32,
        service_ms: report.service_secs.map(|secs| (1e3 * secs) as f32),
        rates,
    }
}

fn stress(reported: Option<&Decision>) -> [f32; 5] {
    let Some(Decision { parts, .. }) = reported else { return [0.0; 5] };
    [parts.latency, parts.error, parts.saturation, parts.momentum.get(), parts.staleness.get()]
        .map(|ohms| ohms as f32)
}

/// One route, without its history.
pub(crate) fn describe(id: u64, report: &RouteReport, at_ms: u64) -> Value {
    let counts = &report.counts;
    json!({
        "id": id,
        "name": &*report.name,
        "at_ms": at_ms,
        "mode": mode_name(mode(report)),
        "flags": flag_names(report),
        "phase": match report.phase {
            Phase::Startup => "startup",
            Phase::Exhale => "exhale",
            Phase::Running => "running",
        },
        "force": force(report),
        "learned": {
            "parallelism": report.parallelism, "service_secs": report.service_secs,
            "capacity_rate": report.capacity_rate,
        },
        "limits": tiers().map(|(name, volt)| {
            json!({"name": name, "volt": volt, "in_flight": rounded(report.limit_for(volts(volt)))})
        }).collect::<Vec<_>>(),
        "error_rate": rounded(report.error_rate),
        "next_probe_secs": next_probe_secs(report),
        "counts": {
            "completed": counts.completed, "shed": counts.shed, "shadow_shed": counts.shadow_shed,
            "cancelled": counts.cancelled, "in_flight": counts.in_flight,
        },
        "reported": report.reported.as_ref().map(|decision| reported(decision, report.momentum)),
    })
}

fn volts(volt: u32) -> atrion_core::units::Volts {
    volt.into()
}

/// Name and volts of each tier.
pub(crate) fn tiers() -> impl Iterator<Item = (&'static str, u32)> {
    Priority::ALL.into_iter().map(|tier| (tier.as_str(), tier.volts().get() as u32))
}

/// The manual override.
pub(crate) fn force(report: &RouteReport) -> Value {
    report.forced.map_or(Value::Null, |forced| {
        json!({"to": force_name(forced.force), "remaining_secs": rounded(forced.until.secs_since(report.at))})
    })
}

pub(crate) const fn force_name(force: Force) -> &'static str {
    match force {
        Force::Open => "open",
        Force::Closed => "closed",
    }
}

pub(crate) fn next_probe_secs(report: &RouteReport) -> Option<f64> {
    report.next_probe.map(|at| rounded(at.secs_since(report.at)))
}

fn reported(decision: &Decision, momentum_rate: f64) -> Value {
    let parts = &decision.parts;
    json!({
        "mode": decision.mode.as_str().to_ascii_lowercase(),
        "pressure_ohm": [rounded(parts.latency), rounded(parts.error), rounded(parts.saturation)],
        "momentum_ohm": rounded(parts.momentum.get()),
        "momentum_rate": rounded(momentum_rate),
        "scar_ohm": rounded(parts.scar.get()),
        "staleness_ohm": rounded(parts.staleness.get()),
        "total_ohm": rounded(decision.resistance().get()),
    })
}

/// The word for a provider's health.
pub(crate) const fn health(health: Option<Health>) -> &'static str {
    match health {
        None => "none",
        Some(Health::Disconnected) => "disconnected",
        Some(Health::Healthy) => "healthy",
        Some(_) => "degraded",
    }
}

/// A claim that differs from the others' median by less than this is no outlier, in ohms.
const OUTLIER_OHMS: f64 = 5.0;

/// Which of these claims are far from what the others say: by more than half of the larger, and by
/// five ohms at least. With fewer than three claims nobody can tell who is off.
pub(crate) fn outliers(claims: &[f64]) -> Vec<bool> {
    let far = |place: usize, claim: f64| {
        let mut others: Vec<f64> = claims.to_vec();
        others.swap_remove(place);
        let median = lower_median_by(&mut others, f64::total_cmp).copied().unwrap_or(claim);
        let distance = (claim - median).abs();
        let larger = if claim > median { claim } else { median };
        distance >= OUTLIER_OHMS && distance > 0.5 * larger
    };
    let tell = claims.len() >= 3;
    claims.iter().enumerate().map(|(place, claim)| tell && far(place, *claim)).collect()
}

/// The word for what a node does about a route.
const fn stance(open: bool, held: bool) -> &'static str {
    match (open, held) {
        (true, _) => "open",
        (false, true) => "held",
        (false, false) => "closed",
    }
}

/// Whether the breaker is open, whatever an override says.
pub(crate) fn is_open(report: &RouteReport) -> bool {
    report.mode == BreakerMode::Open
}

/// What the cluster says of a route, and the nodes that are outliers in it.
pub(crate) fn hearing(hearing: &Hearing, open: bool, nodes: &[Node]) -> (Value, Vec<NodeId>) {
    struct Said {
        id: Option<NodeId>,
        is_self: bool,
        scar: f64,
        evidence: f64,
        vote: Option<f64>,
        rest: Value,
    }
    let me = nodes.iter().find(|node| node.is_self);
    let own = Said {
        id: me.map(|node| node.id),
        is_self: true,
        scar: hearing.own_scar.get(),
        evidence: hearing.own_evidence.get(),
        vote: hearing.own_votes.then_some(hearing.own_scar.get()),
        rest: json!({"demand_rate": rounded(hearing.word.demand), "stance": stance(open, hearing.held), "age_secs": 0}),
    };
    let others = hearing.voices.iter().map(|voice| Said {
        id: Some(voice.node),
        is_self: false,
        scar: voice.report.scar.get(),
        evidence: voice.report.evidence.get(),
        vote: voice.vote.map(atrion_core::units::Ohms::get),
        rest: json!({
            "demand_rate": rounded(voice.report.demand.get()),
            "stance": stance(voice.report.stance.open, voice.report.stance.held),
            "age_secs": rounded(voice.report.age_secs),
        }),
    });
    let said: Vec<Said> = std::iter::once(own).chain(others).collect();
    let claims: Vec<f64> = said.iter().filter_map(|said| said.vote).collect();
    let mut far = outliers(&claims).into_iter();
    let median = hearing.word.median.get();
    let mut has_median = false;
    let mut outlying = Vec::new();
    let voices: Vec<Value> = said
        .into_iter()
        .map(|said| {
            let votes = said.vote.is_some();
            let outlier = votes && far.next().unwrap_or(false);
            let is_median = !has_median
                && said.vote.is_some_and(|vote| (vote - median).abs() <= 1e-9 * (1.0 + median));
            has_median |= is_median;
            let own = if said.is_self { hearing.own_share } else { 0.0 };
            let weight = own + if is_median { 1.0 - hearing.own_share } else { 0.0 };
            if let (true, Some(id)) = (outlier, said.id) {
                outlying.push(id);
            }
            let name = nodes.iter().find(|node| Some(node.id) == said.id).map(|node| &*node.name);
            let mut value = json!({
                "node": said.id.map(|id| id.to_string()), "name": name.unwrap_or(""), "is_self": said.is_self,
                "scar_ohm": rounded(said.scar), "evidence": rounded(said.evidence), "votes": votes,
                "weight": rounded(weight), "is_median": is_median, "outlier": outlier,
            });
            if let (Value::Object(into), Value::Object(rest)) = (&mut value, said.rest) {
                into.extend(rest);
            }
            value
        })
        .collect();
    let value = json!({
        "gamma": hearing.gamma.get(),
        "own_scar_ohm": rounded(hearing.own_scar.get()),
        "own_share": rounded(hearing.own_share),
        "cluster_scar_ohm": rounded(median),
        "added_ohm": rounded(hearing.added_ohms),
        "held": hearing.held,
        "voices": voices,
    });
    (value, outlying)
}

/// A node, as the cluster's page shows it.
pub(crate) fn node(node: &Node, quiet_after_secs: f64, outlier_routes: usize) -> Value {
    let seen = node.frames + node.lost;
    let loss = if seen == 0 { 0.0 } else { node.lost as f64 / seen as f64 };
    let silent_secs = node.silent_for.as_secs_f64();
    let link = match (silent_secs > quiet_after_secs, loss > 0.05) {
        (true, _) => "quiet",
        (false, true) => "lossy",
        (false, false) => "up",
    };
    json!({
        "id": node.id.to_string(), "name": &*node.name, "is_self": node.is_self,
        "silent_secs": rounded(silent_secs), "routes": node.routes, "complaints": node.complaints,
        "frames": node.frames, "lost": node.lost, "loss": rounded(loss), "link": link,
        "outlier_routes": outlier_routes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_liar_stands_out_and_a_majority_does_not() {
        let far = |claims: &[f64]| outliers(claims);
        assert_eq!(far(&[0.0, 0.0, 500.0]), [false, false, true]);
        assert_eq!(far(&[0.0, 400.0, 500.0, 480.0]), [true, false, false, false]);
        assert_eq!(far(&[0.0, 500.0]), [false, false]);
        assert_eq!(far(&[0.0, 1.0, 4.0]), [false; 3]);
        assert_eq!(far(&[100.0, 120.0, 140.0]), [false; 3]);
        assert_eq!(far(&[]), [false; 0]);
    }
}
