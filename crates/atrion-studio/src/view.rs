//! What the desk answers: routes, the cluster, events, the configuration.

use std::collections::HashMap;
use std::sync::Arc;

use atrion_state::clock::Clock as _;
use serde_json::{Value, json};

use crate::audit;
use crate::desk::Desk;
use crate::event::now_ms;
use crate::history::Track;
use crate::settings;
use crate::source::{self, MODES};

/// Troubled routes that the cluster's page shows.
const TROUBLED: usize = 50;
/// A node that was silent for this long is quiet, in seconds: three pulses of a tenth of a second
/// would be lost in the noise, heartbeats come once a second.
const QUIET_SECS: f64 = 3.0;

impl Desk {
    /// One route, and from now on its history; `None` if it is gone.
    pub(crate) fn describe_route(&mut self, id: u64, with_history: bool) -> Option<Value> {
        let name = Arc::clone(self.overview.name(id)?);
        let report = self.atrion.report(&name)?;
        let (now, at_ms) = (self.clock.now(), now_ms());
        let is_new = self.histories.get(id).is_none();
        let track = self.histories.want(id, &name, now);
        if track.samples().next().is_none() {
            track.push(source::sample(&report, at_ms, None, 0.0), 1);
        }
        if is_new {
            self.tend_histories();
        }
        let law = self.atrion.config();
        let physics = law.physics();
        let mut value = source::describe(id, &report, at_ms);
        let hearing = self.atrion.hearing(&name).map(|hearing| {
            source::hearing(&hearing, source::is_open(&report), &self.atrion.nodes()).0
        });
        let mut more = json!({
            "bands": {
                "base_ohm": law.law().base_ohms(), "open_ohm": law.law().open_ohms(),
                "close_ohm": law.law().close_ohms(), "error_critical": law.law().error_critical(),
                "reported_base_ohm": physics.base_ohms(),
                "tiers": source::tiers().map(|(name, volt)| json!({"name": name, "volt": volt})).collect::<Vec<_>>(),
            },
            "cluster": hearing,
        });
        let track = self.histories.get(id)?;
        if with_history && let Value::Object(more) = &mut more {
            let history = history(track, self.settings.interval.as_millis());
            more.extend(history);
        }
        if let (Value::Object(into), Value::Object(more)) = (&mut value, more) {
            into.extend(more);
            if let Some(newest) = track.samples().last() {
                let mut sample = String::new();
                newest.put(&mut sample);
                into.insert("now".into(), serde_json::from_str(&sample).unwrap_or(Value::Null));
            }
        }
        Some(value)
    }

    /// The cluster: nodes, link, and the routes in trouble.
    pub(crate) fn describe_cluster(&mut self) -> Value {
        self.freshen();
        let nodes = self.atrion.nodes();
        let mut outlying: HashMap<_, usize> = HashMap::new();
        let mut troubled = Vec::new();
        for (id, name) in self.spoken_of(!nodes.is_empty()) {
            let Some(hearing) = self.atrion.hearing(&name) else { continue };
            let open = self.atrion.report(&name).is_some_and(|report| source::is_open(&report));
            let (cluster, far) = source::hearing(&hearing, open, &nodes);
            for node in far {
                *outlying.entry(node).or_default() += 1;
            }
            troubled.push(json!({"id": id, "name": &*name, "cluster": cluster}));
        }
        let nodes: Vec<Value> = nodes
            .iter()
            .map(|node| {
                source::node(node, QUIET_SECS, outlying.get(&node.id).copied().unwrap_or_default())
            })
            .collect();
        let pulse = self.atrion.pulse_stats();
        let health = self.atrion.health();
        json!({
            "provider": source::health(health), "trouble": self.atrion.trouble(),
            "gamma": self.atrion.gamma().map(atrion_core::units::UnitInterval::get),
            "pulse": {
                "sent": pulse.batches + pulse.heartbeats, "failed": pulse.failures,
                "last_success_ms": health.map(|_| self.lag_ms()), "pending": pulse.pending,
                "dropped": pulse.refused_full + pulse.refused_name,
            },
            "nodes": nodes, "troubled": troubled,
        })
    }

    /// The routes that are in trouble here, worst first, and those that others complain about.
    fn spoken_of(&self, in_cluster: bool) -> Vec<(u64, Arc<str>)> {
        if !in_cluster {
            return Vec::new();
        }
        let here = self.troubled.iter().map(|route| (route.id, Arc::clone(&route.name)));
        let mut routes: Vec<(u64, Arc<str>)> = here.take(TROUBLED).collect();
        for name in self.atrion.complained_about() {
            if routes.len() >= TROUBLED {
                break;
            }
            let known = self.overview.id(&name).filter(|id| routes.iter().all(|(r, _)| r != id));
            routes.extend(known.map(|id| (id, name)));
        }
        routes
    }

    pub(crate) fn describe_events(&self, after: u64, limit: usize) -> Value {
        let page = self.journal.page(after, limit);
        let events: Vec<Value> = page
            .entries
            .iter()
            .map(|(seq, entry)| {
                let id = entry.route.as_deref().and_then(|name| self.overview.id(name));
                entry.describe(*seq, id)
            })
            .collect();
        json!({"events": events, "next": page.next, "lost": page.lost})
    }

    pub(crate) fn describe_audit(&self, after: u64, limit: usize) -> Value {
        let page = self.audit.page(after, limit);
        let entries: Vec<Value> = page
            .entries
            .iter()
            .map(|(seq, entry)| {
                let id = entry.route.as_deref().and_then(|name| self.overview.id(name));
                audit::describe(entry, *seq, id)
            })
            .collect();
        json!({"entries": entries, "next": page.next, "lost": page.lost})
    }

    pub(crate) fn describe_config(&mut self) -> Value {
        self.look_at_config();
        let (current, previous) = self.configs();
        let (reloads, reloaded_ms) = self.journal.reloads();
        json!({
            "current": serde_json::to_value(&**current).unwrap_or(Value::Null),
            "fields": settings::overview(current, previous.map(|previous| &**previous)),
            "reloads": reloads, "reloaded_ms": reloaded_ms,
        })
    }
}

fn history(track: &Track, interval_ms: u128) -> serde_json::Map<String, Value> {
    let mut samples = Vec::new();
    for sample in track.samples() {
        let mut text = String::new();
        sample.put(&mut text);
        samples.push(serde_json::from_str::<Value>(&text).unwrap_or(Value::Null));
    }
    let modes: Vec<Value> = track
        .modes()
        .map(|(at_ms, mode)| json!({"at_ms": at_ms, "mode": MODES.get(usize::from(*mode))}))
        .collect();
    let refusals: Vec<Value> = track
        .refusals(0)
        .0
        .map(|refused| {
            let mut text = String::new();
            refused.put(&mut text);
            serde_json::from_str(&text).unwrap_or(Value::Null)
        })
        .collect();
    let mut members = serde_json::Map::new();
    members
        .insert("history".into(), json!({"interval_ms": interval_ms as u64, "samples": samples}));
    members.insert("modes_timeline".into(), modes.into());
    members.insert("refusals".into(), refusals.into());
    members
}
