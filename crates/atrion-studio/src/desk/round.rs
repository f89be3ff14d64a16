//! One round: all routes looked at once, and the line that all viewers get.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use atrion_core::time::Timestamp;
use atrion_engine::RouteReport;
use atrion_state::clock::Clock as _;
use serde_json::json;

use super::{Desk, PAUSE, TROUBLE_OHMS, TROUBLED, Troubled, attach};
use crate::event::{Watcher, now_ms};
use crate::number::rounded;
use crate::source;

impl Desk {
    /// Goes over all routes once, and writes the line that all viewers get.
    pub(super) fn round(&mut self, now: Timestamp) {
        let paused = self.settings.interval * PAUSE;
        let elapsed = self.last_round.map(|last| now.since(last)).filter(|time| *time <= paused);
        let secs = elapsed.map_or(0.0, |time| time.as_secs_f64());
        self.last_round = Some(now);
        self.look_at_config();
        let at_ms = now_ms();
        let Self { atrion, overview, histories, tallies, troubled, settings, .. } = self;
        overview.begin(secs);
        troubled.clear();
        atrion.visit_reports(|report| {
            let id = overview.observe(&report.name, &source::reading(&report));
            let score = trouble(&report);
            if score > 0.0 {
                if settings.history {
                    histories.want(id, &report.name, now);
                }
                if troubled.len() < TROUBLED {
                    troubled.push(Troubled { id, name: Arc::clone(&report.name), score });
                }
            }
            if histories.get(id).is_some() {
                histories.push(id, source::sample(&report, at_ms, tallies.get(&id), secs));
                if let Some(tally) = report.tally {
                    tallies.insert(id, tally);
                }
            }
        });
        troubled.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.take_refusals();
        let rest = self.totals_and_health(now);
        let line = self.overview.finish(at_ms, rest);
        // Nobody may be listening.
        let _ = self.frames.send(line);
        self.feed_routes(at_ms);
        self.histories.sweep(now);
        self.tend_histories();
    }

    fn take_refusals(&mut self) {
        for (name, refused) in self.journal.take_refused() {
            let track = self.overview.id(&name).and_then(|id| self.histories.get_mut(id));
            if let Some(track) = track {
                track.refuse(refused);
            }
        }
    }

    /// Watches the refusals of the routes that are kept, and of no others.
    pub(crate) fn tend_histories(&mut self) {
        let histories = &self.histories;
        self.tallies.retain(|id, _| histories.get(*id).is_some());
        self.journal.watch(histories.kept().map(|(_, name)| Arc::clone(name)));
        if histories.is_empty() {
            self.refusals = None;
        } else if self.refusals.is_none() {
            self.refusals = attach(&self.atrion, Watcher::of_refusals(&self.journal));
        }
    }

    fn totals_and_health(&mut self, now: Timestamp) -> String {
        let (stats, pulse) = (self.atrion.stats(), self.atrion.pulse_stats());
        let exchanged = pulse.batches + pulse.heartbeats;
        if exchanged != self.exchanged.0 {
            self.exchanged = (exchanged, now);
        }
        let sums = self.overview.sums();
        let [_, open, held, forced_open, forced_closed] = sums.by_mode;
        let totals = json!({
            "routes": self.overview.len(), "resting": stats.resting, "in_flight": sums.in_flight,
            "admitted_rate": rounded(sums.admitted_rate), "shed_rate": rounded(sums.shed_rate),
            "open": open, "held": held, "forced": forced_open + forced_closed,
            "shadow": sums.shadowed, "evicted": stats.evicted, "overflowed": stats.overflowed,
            "bad_names": stats.bad_names,
        });
        let health = self.atrion.health();
        let health = json!({
            "provider": source::health(health),
            "trouble": self.atrion.trouble(),
            "nodes": self.atrion.nodes().len(),
            "lag_ms": health.map(|_| self.lag_ms()),
            "pending": pulse.pending,
            "license": self.gate.code(),
            "viewers": self.viewers.load(Relaxed),
            "audit_seq": self.audit.newest(),
            "event_seq": self.journal.newest(),
            "observer_dropped": stats.observer.dropped,
        });
        format!("\"totals\":{totals},\"health\":{health}")
    }

    /// A round now, unless the last one is still fresh.
    pub(crate) fn freshen(&mut self) {
        let now = self.clock.now();
        if self.last_round.is_none_or(|last| now.since(last) >= self.settings.interval) {
            self.round(now);
        }
    }
}

/// How much attention a route needs; nothing if it is well.
fn trouble(report: &RouteReport) -> f64 {
    let ohms = report.parts.scar + report.parts.cluster_scar + report.parts.reported;
    let closed_off = source::mode(report) != 0;
    let ohms = if ohms >= TROUBLE_OHMS { ohms } else { 0.0 };
    if closed_off { 1e9 + ohms } else { ohms }
}
