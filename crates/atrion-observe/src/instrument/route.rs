//! Instruments of routes.

use atrion_engine::{Force, Parts};

use super::{Emit, Instrument, Kind, Value};
use crate::aggregate::OtherRow;
use crate::label::OTHER;
use crate::sample::{Counters, Gauges, REASONS, TIERS};
use crate::snapshot::Snapshot;

/// Label values and counters of every series: the routes by name, then the sum.
fn totals(s: &Snapshot) -> impl Iterator<Item = (&str, &Counters<u64>)> {
    let own = s.routes.iter().map(|row| (&*row.label, &row.totals));
    own.chain([(OTHER, &s.other.totals)])
}

/// The routes that have a label value now.
fn gauges(s: &Snapshot) -> impl Iterator<Item = (&str, &Gauges)> {
    s.routes.iter().filter_map(|row| Some((&*row.label, row.now.as_ref()?)))
}

fn each(s: &Snapshot, emit: &mut Emit<'_>, number: impl Fn(&Gauges) -> Option<f64>) {
    for (route, gauges) in gauges(s) {
        if let Some(number) = number(gauges) {
            emit(&[("route", route)], Value::Number(number));
        }
    }
}

/// Of those by name, and how many among the others.
fn flag(
    s: &Snapshot,
    emit: &mut Emit<'_>,
    own: impl Fn(&Gauges) -> bool,
    others: impl Fn(&OtherRow) -> u64,
) {
    each(s, emit, |gauges| Some(f64::from(u8::from(own(gauges)))));
    emit(&[("route", OTHER)], Value::Number(others(&s.other) as f64));
}

fn by_tier(
    s: &Snapshot,
    emit: &mut Emit<'_>,
    counts: impl Fn(&Counters<u64>) -> [u64; TIERS.len()],
) {
    if !s.tallied {
        return;
    }
    for (route, totals) in totals(s) {
        for (tier, count) in TIERS.iter().zip(counts(totals)) {
            emit(&[("route", route), ("tier", tier.as_str())], Value::Count(count));
        }
    }
}

pub(super) const TABLE: &[Instrument] = &[
    Instrument {
        name: "atrion.route.requests",
        kind: Kind::Counter,
        unit: "{request}",
        labels: &["route", "outcome"],
        help: "Requests by outcome: `completed` (with a result, good or bad), `cancelled` (given up), `refused`.",
        read: |s, emit| {
            for (route, t) in totals(s) {
                for (outcome, count) in
                    [("completed", t.completed), ("cancelled", t.cancelled), ("refused", t.refused)]
                {
                    emit(&[("route", route), ("outcome", outcome)], Value::Count(count));
                }
            }
        },
    },
    Instrument {
        name: "atrion.route.admitted",
        kind: Kind::Counter,
        unit: "{request}",
        labels: &["route", "tier"],
        help: "Requests admitted, by priority tier. Needs the tally.",
        read: |s, emit| by_tier(s, emit, |totals| totals.admitted_by_tier),
    },
    Instrument {
        name: "atrion.route.refused",
        kind: Kind::Counter,
        unit: "{request}",
        labels: &["route", "tier"],
        help: "Requests refused, by priority tier. Needs the tally.",
        read: |s, emit| by_tier(s, emit, |totals| totals.refused_by_tier),
    },
    Instrument {
        name: "atrion.route.refusals",
        kind: Kind::Counter,
        unit: "{request}",
        labels: &["route", "reason"],
        help: "The same by reason: `saturated`, `scarred`, `breaker_open`, `held`, `forced_open`. Needs the tally.",
        read: |s, emit| {
            if !s.tallied {
                return;
            }
            for (route, totals) in totals(s) {
                for (reason, count) in REASONS.iter().zip(totals.refused_by_reason) {
                    emit(&[("route", route), ("reason", reason.as_str())], Value::Count(count));
                }
            }
        },
    },
    Instrument {
        name: "atrion.route.shadow_refused",
        kind: Kind::Counter,
        unit: "{request}",
        labels: &["route"],
        help: "Requests that a shadowed route admitted though it would have refused them.",
        read: |s, emit| {
            for (route, totals) in totals(s) {
                emit(&[("route", route)], Value::Count(totals.shadow_refused));
            }
        },
    },
    Instrument {
        name: "atrion.route.in_flight",
        kind: Kind::Gauge,
        unit: "{request}",
        labels: &["route"],
        help: "Requests in flight.",
        read: |s, emit| {
            each(s, emit, |g| Some(f64::from(g.in_flight)));
            emit(&[("route", OTHER)], Value::Number(s.other.in_flight as f64));
        },
    },
    Instrument {
        name: "atrion.route.leases",
        kind: Kind::Gauge,
        unit: "{lease}",
        labels: &["route"],
        help: "Those of them that hold a lease.",
        read: |s, emit| {
            each(s, emit, |g| Some(f64::from(g.leases)));
            emit(&[("route", OTHER)], Value::Number(s.other.leases as f64));
        },
    },
    Instrument {
        name: "atrion.route.resistance",
        kind: Kind::Gauge,
        unit: "{ohm}",
        labels: &["route"],
        help: "R: what the voltage of the next request has to exceed. Bulk has 1 V, low 5, normal 20, high 50, critical 100.",
        read: |s, emit| each(s, emit, |g| Some(g.resistance)),
    },
    Instrument {
        name: "atrion.route.resistance_part",
        kind: Kind::Gauge,
        unit: "{ohm}",
        labels: &["route", "part"],
        help: "What R is made of: `base`, `saturation`, `process`, `scar` (the own share), `cluster_scar` (what other nodes' words add), `reported` (telemetry).",
        read: |s, emit| {
            for (route, g) in gauges(s) {
                for (part, ohms) in Parts::NAMES.into_iter().zip(g.parts.values()) {
                    emit(&[("route", route), ("part", part)], Value::Number(ohms));
                }
            }
        },
    },
    Instrument {
        name: "atrion.route.own_scar",
        kind: Kind::Gauge,
        unit: "{ohm}",
        labels: &["route"],
        help: "This process's own memory of failures, before it is blended with what other nodes say.",
        read: |s, emit| each(s, emit, |g| Some(g.own_scar)),
    },
    Instrument {
        name: "atrion.route.breaker_open",
        kind: Kind::Gauge,
        unit: "{route}",
        labels: &["route"],
        help: "1 while the breaker is open and only probes pass. Of `(other)`: how many.",
        read: |s, emit| flag(s, emit, Gauges::is_open, |o| o.open),
    },
    Instrument {
        name: "atrion.route.held",
        kind: Kind::Gauge,
        unit: "{route}",
        labels: &["route"],
        help: "1 while only probes pass because of what other nodes say. Of `(other)`: how many.",
        read: |s, emit| flag(s, emit, |g| g.held, |o| o.held),
    },
    Instrument {
        name: "atrion.route.shadowed",
        kind: Kind::Gauge,
        unit: "{route}",
        labels: &["route"],
        help: "1 while decisions are counted and everything is admitted. Of `(other)`: how many.",
        read: |s, emit| flag(s, emit, |g| g.shadow, |o| o.shadow),
    },
    Instrument {
        name: "atrion.route.forced_open",
        kind: Kind::Gauge,
        unit: "{route}",
        labels: &["route"],
        help: "1 while somebody refuses everything by hand. Of `(other)`: how many.",
        read: |s, emit| flag(s, emit, |g| g.is_forced(Force::Open), |o| o.forced_open),
    },
    Instrument {
        name: "atrion.route.forced_closed",
        kind: Kind::Gauge,
        unit: "{route}",
        labels: &["route"],
        help: "1 while somebody admits everything by hand. Of `(other)`: how many.",
        read: |s, emit| flag(s, emit, |g| g.is_forced(Force::Closed), |o| o.forced_closed),
    },
    Instrument {
        name: "atrion.route.parallelism",
        kind: Kind::Gauge,
        unit: "{request}",
        labels: &["route"],
        help: "C: requests that the service works on at once, once learned.",
        read: |s, emit| each(s, emit, |g| g.parallelism),
    },
    Instrument {
        name: "atrion.route.service_time",
        kind: Kind::Gauge,
        unit: "s",
        labels: &["route"],
        help: "R0: latency without a queue, once learned.",
        read: |s, emit| each(s, emit, |g| g.service_secs),
    },
    Instrument {
        name: "atrion.route.capacity",
        kind: Kind::Gauge,
        unit: "{request}/s",
        labels: &["route"],
        help: "X: the highest throughput the route has shown, once learned.",
        read: |s, emit| each(s, emit, |g| g.capacity_rate),
    },
    Instrument {
        name: "atrion.route.error_rate",
        kind: Kind::Gauge,
        unit: "1",
        labels: &["route"],
        help: "Failures among results, smoothed as the breaker sees them.",
        read: |s, emit| each(s, emit, |g| Some(g.error_rate)),
    },
    Instrument {
        name: "atrion.route.momentum",
        kind: Kind::Gauge,
        unit: "1/s",
        labels: &["route"],
        help: "How fast reported pressure changes; zero unless telemetry is reported.",
        read: |s, emit| each(s, emit, |g| Some(g.momentum)),
    },
    Instrument {
        name: "atrion.route.next_probe",
        kind: Kind::Gauge,
        unit: "s",
        labels: &["route"],
        help: "Time until the next probe may pass; absent while requests flow.",
        read: |s, emit| each(s, emit, |g| g.next_probe_secs),
    },
];
