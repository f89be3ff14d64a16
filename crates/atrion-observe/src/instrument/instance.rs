//! Instruments of the instance, its provider and its licence.

use atrion_engine::ProcessCircuit;
use atrion_state::provider::Health;

use super::{Emit, Instrument, Kind, Value};
use crate::snapshot::{ClusterRow, ProviderRow, Snapshot};

fn count(emit: &mut Emit<'_>, count: u64) {
    emit(&[], Value::Count(count));
}

fn number(emit: &mut Emit<'_>, number: f64) {
    emit(&[], Value::Number(number));
}

fn process(s: &Snapshot, emit: &mut Emit<'_>, read: impl Fn(&ProcessCircuit) -> Option<f64>) {
    if let Some(value) = s.process.as_ref().and_then(read) {
        number(emit, value);
    }
}

fn pulse(s: &Snapshot, emit: &mut Emit<'_>, read: impl Fn(&ProviderRow) -> u64) {
    if let Some(provider) = &s.provider {
        count(emit, read(provider));
    }
}

fn cluster(s: &Snapshot, emit: &mut Emit<'_>, read: impl Fn(&ClusterRow) -> Value) {
    if let Some(cluster) = s.provider.as_ref().and_then(|p| p.cluster.as_ref()) {
        emit(&[], read(cluster));
    }
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

pub(super) const TABLE: &[Instrument] = &[
    Instrument {
        name: "atrion.routes",
        kind: Kind::Gauge,
        unit: "{route}",
        labels: &["state"],
        help: "Routes that exist: `awake` or `resting`.",
        read: |s, emit| {
            let awake = s.stats.routes.saturating_sub(s.stats.resting);
            emit(&[("state", "awake")], Value::Number(awake as f64));
            emit(&[("state", "resting")], Value::Number(s.stats.resting as f64));
        },
    },
    Instrument {
        name: "atrion.routes.unnamed",
        kind: Kind::Gauge,
        unit: "{route}",
        labels: &[],
        help: "Routes that are part of `(other)`.",
        read: |s, emit| number(emit, s.other.routes as f64),
    },
    Instrument {
        name: "atrion.routes.evicted",
        kind: Kind::Counter,
        unit: "{route}",
        labels: &[],
        help: "Routes forgotten to make room for others.",
        read: |s, emit| count(emit, s.stats.evicted),
    },
    Instrument {
        name: "atrion.routes.overflowed",
        kind: Kind::Counter,
        unit: "{lookup}",
        labels: &[],
        help: "Look-ups that found no room and got the overflow route.",
        read: |s, emit| count(emit, s.stats.overflowed),
    },
    Instrument {
        name: "atrion.routes.bad_names",
        kind: Kind::Counter,
        unit: "{lookup}",
        labels: &[],
        help: "Look-ups with an empty or overlong name, which got the overflow route.",
        read: |s, emit| count(emit, s.stats.bad_names),
    },
    Instrument {
        name: "atrion.names",
        kind: Kind::Gauge,
        unit: "{name}",
        labels: &["state"],
        help: "Label values for routes: `used` so far, and the `limit`, from which on new routes stay in `(other)`.",
        read: |s, emit| {
            emit(&[("state", "used")], Value::Number(s.routes.len() as f64));
            emit(&[("state", "limit")], Value::Number(s.names_limit as f64));
        },
    },
    Instrument {
        name: "atrion.observer.events",
        kind: Kind::Counter,
        unit: "{event}",
        labels: &["result"],
        help: "Events for observers: `delivered`, `dropped` (an observer did not keep up), `panicked`.",
        read: |s, emit| {
            let health = s.stats.observer;
            for (result, events) in [
                ("delivered", health.delivered),
                ("dropped", health.dropped),
                ("panicked", health.panicked),
            ] {
                emit(&[("result", result)], Value::Count(events));
            }
        },
    },
    Instrument {
        name: "atrion.process.in_flight",
        kind: Kind::Gauge,
        unit: "{request}",
        labels: &[],
        help: "Requests in flight on all routes together. These six need the process circuit.",
        read: |s, emit| process(s, emit, |p| Some(f64::from(p.in_flight))),
    },
    Instrument {
        name: "atrion.process.resistance",
        kind: Kind::Gauge,
        unit: "{ohm}",
        labels: &[],
        help: "What the process's element adds to the resistance of every route.",
        read: |s, emit| process(s, emit, |p| Some(p.resistance.get())),
    },
    Instrument {
        name: "atrion.process.parallelism",
        kind: Kind::Gauge,
        unit: "{request}",
        labels: &[],
        help: "Requests that the process works on at once, once learned.",
        read: |s, emit| process(s, emit, |p| p.parallelism),
    },
    Instrument {
        name: "atrion.process.service_time",
        kind: Kind::Gauge,
        unit: "s",
        labels: &[],
        help: "Latency without a queue over all routes, once learned.",
        read: |s, emit| process(s, emit, |p| p.service_secs),
    },
    Instrument {
        name: "atrion.process.capacity",
        kind: Kind::Gauge,
        unit: "{request}/s",
        labels: &[],
        help: "The highest throughput that the process has shown, once learned.",
        read: |s, emit| process(s, emit, |p| p.capacity_rate),
    },
    Instrument {
        name: "atrion.process.congested",
        kind: Kind::Gauge,
        unit: "1",
        labels: &[],
        help: "1 while requests take longer than their routes take without a queue.",
        read: |s, emit| process(s, emit, |p| Some(flag(p.congested))),
    },
    Instrument {
        name: "atrion.provider.health",
        kind: Kind::Gauge,
        unit: "{provider}",
        labels: &["state"],
        help: "1 for the present state of the link: `healthy`, `degraded`, `disconnected`. From here on: only with a provider.",
        read: |s, emit| {
            let Some(provider) = &s.provider else { return };
            for (state, health) in [
                ("healthy", Health::Healthy),
                ("degraded", Health::Degraded),
                ("disconnected", Health::Disconnected),
            ] {
                emit(&[("state", state)], Value::Number(flag(provider.health == health)));
            }
        },
    },
    Instrument {
        name: "atrion.provider.refused",
        kind: Kind::Counter,
        unit: "{message}",
        labels: &[],
        help: "Messages and stored values that were not what they should be, and were not taken in: garbage, lies, numbers out of range.",
        read: |s, emit| pulse(s, emit, |p| p.vitals.refused.saturating_add(p.pulse.remote_refused)),
    },
    Instrument {
        name: "atrion.pulse.delivered",
        kind: Kind::Counter,
        unit: "{vector}",
        labels: &[],
        help: "Changes of routes that the provider accepted.",
        read: |s, emit| pulse(s, emit, |p| p.pulse.delivered),
    },
    Instrument {
        name: "atrion.pulse.calls",
        kind: Kind::Counter,
        unit: "{call}",
        labels: &["kind"],
        help: "Calls that the provider accepted: `batch`, `heartbeat`.",
        read: |s, emit| {
            let Some(p) = &s.provider else { return };
            emit(&[("kind", "batch")], Value::Count(p.pulse.batches));
            emit(&[("kind", "heartbeat")], Value::Count(p.pulse.heartbeats));
        },
    },
    Instrument {
        name: "atrion.pulse.failures",
        kind: Kind::Counter,
        unit: "{call}",
        labels: &["kind"],
        help: "Calls that failed: `timeout`, `panic`, `error` (anything else).",
        read: |s, emit| {
            let Some(p) = &s.provider.as_ref().map(|p| p.pulse) else { return };
            let errors = p.failures.saturating_sub(p.timeouts).saturating_sub(p.panics);
            emit(&[("kind", "error")], Value::Count(errors));
            emit(&[("kind", "timeout")], Value::Count(p.timeouts));
            emit(&[("kind", "panic")], Value::Count(p.panics));
        },
    },
    Instrument {
        name: "atrion.pulse.pending",
        kind: Kind::Gauge,
        unit: "{vector}",
        labels: &[],
        help: "Changes of routes that wait to be sent.",
        read: |s, emit| {
            if let Some(p) = &s.provider {
                number(emit, p.pulse.pending as f64);
            }
        },
    },
    Instrument {
        name: "atrion.pulse.lag",
        kind: Kind::Gauge,
        unit: "s",
        labels: &[],
        help: "Since a collection last found that the provider had accepted something, heartbeats included.",
        read: |s, emit| {
            if let Some(p) = &s.provider {
                number(emit, p.since_delivery.as_secs_f64());
            }
        },
    },
    Instrument {
        name: "atrion.cluster.nodes",
        kind: Kind::Gauge,
        unit: "{node}",
        labels: &[],
        help: "Nodes believed to be alive, this one included. These five: only with a provider that can tell nodes apart.",
        read: |s, emit| cluster(s, emit, |c| Value::Number(c.nodes as f64)),
    },
    Instrument {
        name: "atrion.cluster.silence",
        kind: Kind::Gauge,
        unit: "s",
        labels: &[],
        help: "The longest that one of the other nodes has been silent.",
        read: |s, emit| cluster(s, emit, |c| Value::Number(c.longest_silence.as_secs_f64())),
    },
    Instrument {
        name: "atrion.cluster.complaints",
        kind: Kind::Gauge,
        unit: "{complaint}",
        labels: &[],
        help: "Complaints of other nodes about routes, now.",
        read: |s, emit| cluster(s, emit, |c| Value::Number(c.complaints as f64)),
    },
    Instrument {
        name: "atrion.cluster.frames",
        kind: Kind::Counter,
        unit: "{frame}",
        labels: &[],
        help: "Frames of other nodes that were taken in.",
        read: |s, emit| cluster(s, emit, |c| Value::Count(c.frames)),
    },
    Instrument {
        name: "atrion.cluster.lost",
        kind: Kind::Counter,
        unit: "{frame}",
        labels: &[],
        help: "Frames of other nodes that are known to be missing.",
        read: |s, emit| cluster(s, emit, |c| Value::Count(c.lost)),
    },
    Instrument {
        name: "atrion.licence.status",
        kind: Kind::Gauge,
        unit: "{licence}",
        labels: &["status"],
        help: "1 for the present status: `valid`, `expiring`, `grace`, `expired`, `missing`, `invalid`. Only with a provider that needs a licence.",
        read: |s, emit| {
            let Some(licence) = s.provider.as_ref().and_then(|p| p.vitals.license.as_ref()) else {
                return;
            };
            for status in ["valid", "expiring", "grace", "expired", "missing", "invalid"] {
                emit(&[("status", status)], Value::Number(flag(licence.status == status)));
            }
        },
    },
    Instrument {
        name: "atrion.licence.remaining",
        kind: Kind::Gauge,
        unit: "s",
        labels: &[],
        help: "Until the licence ends, or in grace until the grace does, in whole days; 0 if it does not work.",
        read: |s, emit| {
            if let Some(licence) = s.provider.as_ref().and_then(|p| p.vitals.license.as_ref()) {
                number(emit, f64::from(licence.days_left.unwrap_or(0)) * 86_400.0);
            }
        },
    },
];
