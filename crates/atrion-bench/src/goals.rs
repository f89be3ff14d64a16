//! What is to be reached: one table of data. How it is measured is elsewhere.

use crate::stage::Stage;

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

impl Better {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Less => "less",
            Self::More => "more",
        }
    }

    /// The sign between a figure and its bound.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<=",
            Self::More => ">=",
        }
    }
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// Nothing: it is there to be known.
    None,
    /// The figure itself.
    Value(f64),
    /// Its ratio to the figure of this peer.
    Ratio { peer: &'static str, bound: f64 },
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    /// Names it in the report's files; never used again for something else.
    pub(crate) id: &'static str,
    pub(crate) stage: Stage,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) bound: Bound,
}

impl Goal {
    /// The goal as people read it; empty if there is none.
    pub(crate) fn text(&self) -> String {
        let sign = self.better.sign();
        match self.bound {
            Bound::None => String::new(),
            Bound::Value(bound) => format!("{sign} {bound} {}", self.unit).trim_end().to_owned(),
            Bound::Ratio { peer, bound } => format!("{sign} {bound} x {peer}"),
        }
    }
}

const fn less(
    id: &'static str,
    stage: Stage,
    what: &'static str,
    unit: &'static str,
    bound: Bound,
) -> Goal {
    Goal { id, stage, what, unit, better: Better::Less, bound }
}

const fn more(
    id: &'static str,
    stage: Stage,
    what: &'static str,
    unit: &'static str,
    bound: Bound,
) -> Goal {
    Goal { id, stage, what, unit, better: Better::More, bound }
}

const fn of(peer: &'static str, bound: f64) -> Bound {
    Bound::Ratio { peer, bound }
}

/// Stands for whichever of the crates before the same service does best.
pub(crate) const BEST_CRATE: &str = "best crate";

use Bound::{None as Unbound, Value};
use Stage::{
    Cluster, Contest, Memory, Micro, Scenarios, Service, Simulator, Store, Studio, Watch, Wire,
};

/// Every goal, grouped by stage in the order of the report.
#[rustfmt::skip]
pub(crate) const GOALS: &[Goal] = &[
    less("micro.read", Micro, "reading a decision", "ns", Value(2.0)),
    less("micro.read.atomic", Micro, "reading a decision, beside a relaxed load and compare", "ns", of("relaxed load", 3.0)),
    less("micro.admit.recloser", Micro, "admit and record, beside recloser", "ns", of("recloser", 0.8)),
    less("micro.admit.governor", Micro, "admit and record, beside governor", "ns", of("governor", 0.6)),
    less("micro.admit.failsafe", Micro, "admit and record, beside failsafe", "ns", of("failsafe", 0.25)),
    less("micro.admit.threads", Micro, "admit and record, 2 threads on one route, per thread", "ns", of("one thread", 1.3)),
    less("micro.admit.threads.peers", Micro, "admit and record, 2 threads, beside others on 2 threads", "ns", Unbound),
    less("micro.layer.breaker", Micro, "a Tower layer adds, beside tower-resilience's breaker", "ns", of("tower-resilience breaker", 0.25)),
    less("micro.layer.limit", Micro, "a Tower layer adds, beside LoadShed + ConcurrencyLimit", "ns", of("LoadShed + ConcurrencyLimit", 1.0)),
    less("micro.tick", Micro, "one physics tick", "ns", Value(60.0)),
    less("micro.lookup.1000", Micro, "route by name among 1,000", "ns", Unbound),
    less("micro.lookup.100000", Micro, "route by name among 100,000", "ns", Unbound),

    less("simulator.steady", Simulator, "a simulated request: steady", "ns", Value(1000.0)),
    less("simulator.step5x", Simulator, "a simulated request: step5x", "ns", Value(1000.0)),
    less("simulator.retries", Simulator, "a simulated request: retries", "ns", Value(1000.0)),
    less("simulator.tiers", Simulator, "a simulated request: tiers", "ns", Value(1000.0)),

    more("wire.decode", Wire, "decoding a full frame", "million vectors/s", Value(20.0)),
    more("wire.decode.authenticated", Wire, "decoding an authenticated frame", "million vectors/s", Unbound),
    more("wire.encode", Wire, "encoding a full frame", "million vectors/s", Unbound),

    less("memory.rest", Memory, "memory per idle route, its name left out", "B", Value(256.0)),
    less("memory.route", Memory, "memory per route in use", "B", Value(256.0)),
    less("memory.calm", Memory, "allocations per request, calm", "", Value(0.0)),
    less("memory.overload", Memory, "allocations per request, overload", "", Value(0.0)),

    more("scenarios.step1.5x", Scenarios, "goodput at 1.5x, of the best static limit in hindsight", "%", Value(99.5)),
    more("scenarios.step2x", Scenarios, "goodput at 2x", "%", Value(99.5)),
    more("scenarios.step5x", Scenarios, "goodput at 5x", "%", Value(99.5)),
    more("scenarios.step10x", Scenarios, "goodput at 10x", "%", Value(99.5)),
    less("scenarios.step.p99", Scenarios, "p99 of what is admitted, worst of these steps", "deadlines", Value(1.0)),
    more("scenarios.draws.mean", Scenarios, "services never tuned for: goodput of the hindsight limit, mean", "%", Value(98.5)),
    more("scenarios.draws.worst", Scenarios, "services never tuned for: worst draw", "%", Value(85.0)),
    more("scenarios.draws.close", Scenarios, "services never tuned for: draws within 2 points of the best peer", "%", Value(95.0)),
    more("scenarios.routes", Scenarios, "several routes, one surging tenfold: what the worst other one keeps", "%", Value(95.0)),
    more("scenarios.routes.top", Scenarios, "the same with the process circuit: what the top tier keeps", "%", Value(99.0)),
    more("scenarios.low12x", Scenarios, "top tier served under 12x low priority", "%", Value(99.9)),
    less("scenarios.reaction", Scenarios, "1.4x step at microsecond services: within the objective after", "ms", Value(20.0)),
    more("scenarios.reaction.goodput", Scenarios, "1.4x step at microsecond services: goodput from then on (no collapse)", "%", Value(90.0)),
    less("scenarios.outage.reach", Scenarios, "hard outage: requests that reach the dead dependency", "%", Value(1.0)),
    less("scenarios.outage.recovery", Scenarios, "hard outage: full service after it heals", "s", Value(1.0)),
    less("scenarios.steady", Scenarios, "shed at a steady load of 70 %", "%", Value(0.0)),
    less("scenarios.flapping", Scenarios, "mode changes per incident, worst of five incidents", "", Value(2.0)),

    less("service.calm", Service, "shed over HTTP at 70 % load", "requests", Value(0.0)),
    more("service.overload", Service, "goodput over HTTP at 3x, of calm capacity", "%", Value(95.0)),
    more("service.top", Service, "top tier served over HTTP at 3x", "%", Value(99.9)),
    less("service.reach", Service, "outage over HTTP: requests that reach the dead dependency", "%", Value(2.0)),
    less("service.recovery", Service, "outage over HTTP: full service after it heals", "s", Value(2.0)),

    more("contest.goodput3x", Contest, "goodput over HTTP at 3x, beside the crates of others", "%", Value(95.0)),
    more("contest.goodput10x", Contest, "goodput over HTTP at 10x, beside the crates of others", "%", Value(95.0)),
    more("contest.best3x", Contest, "goodput over HTTP at 3x, of the best of these crates", "%", of(BEST_CRATE, 1.0)),
    more("contest.best10x", Contest, "goodput over HTTP at 10x, of the best of these crates", "%", of(BEST_CRATE, 1.0)),
    more("contest.top3x", Contest, "top tier served over HTTP at 3x, beside the crates of others", "%", Value(99.9)),
    more("contest.top10x", Contest, "top tier served over HTTP at 10x, where it alone asks for the whole capacity", "%", Unbound),
    less("contest.p99", Contest, "p99 of what is answered in time at 10x", "ms", Value(200.0)),

    less("cluster.warned", Cluster, "another node knows, p99, interval 100 ms", "ms", Value(105.0)),
    less("cluster.unwarned", Cluster, "warnings that never came", "", Value(0.0)),
    less("cluster.dead", Cluster, "requests to a dead dependency, three services", "requests", of("alone", 1.0)),
    less("cluster.recovery", Cluster, "full service after it heals", "s", Value(1.5)),
    less("cluster.delayed", Cluster, "requests failed or delayed by sync while Redis fails", "requests", Value(0.0)),
    less("cluster.converged", Cluster, "all nodes agree again, worst fault", "intervals", Value(3.0)),
    less("cluster.lied.normal", Cluster, "normal and above refused under a lying node", "requests", Value(0.0)),
    less("cluster.lied.bulk", Cluster, "bulk refused under a lying node", "%", Value(2.0)),
    less("cluster.bytes", Cluster, "bytes in a frame per changed route", "B", Value(32.0)),
    less("cluster.admit", Cluster, "admit in the service, p99, clock included", "us", Unbound),

    less("store.restore", Store, "100,000 routes restored from PostgreSQL", "s", Value(2.0)),
    less("store.restore.other", Store, "the same by a node that did not write them", "s", Value(2.0)),
    more("store.save", Store, "changed vectors saved, in batches of 4,096", "vectors/s", Value(10_000.0)),
    more("store.save.interval", Store, "changed vectors saved, in batches of 64", "vectors/s", Unbound),
    less("store.admit", Store, "admit and record while 10,000 changes a second are saved", "ns", of("alone", 1.1)),

    less("watch.tracing", Watch, "admit and record with `tracing`", "ns", of("nothing", 1.1)),
    less("watch.metrics", Watch, "admit and record with `metrics` every second", "ns", of("nothing", 1.1)),
    less("watch.otel", Watch, "admit and record with OpenTelemetry every second", "ns", of("nothing", 1.1)),
    less("watch.tally", Watch, "admit and record with the tally by tier and reason", "ns", of("nothing", 3.0)),
    less("watch.sampled", Watch, "admit and record with one decision in 1,000 sampled", "ns", of("nothing", 3.0)),
    less("watch.refuse", Watch, "a refusal with the tally", "ns", of("nothing", 3.0)),
    less("watch.collect", Watch, "collecting 10,000 routes for `metrics`", "ms", Unbound),

    less("studio.viewers", Studio, "100 viewers of 10,000 routes, one in ten busy", "% of a core", Value(5.0)),
    less("studio.viewers.busy", Studio, "100 viewers of 10,000 routes, all busy", "% of a core", Value(5.0)),
    less("studio.viewer", Studio, "one viewer of 10,000 routes, all busy", "% of a core", Unbound),
    less("studio.bytes", Studio, "sent to each viewer, all busy", "kB/s", Unbound),
];

/// The goal of this name.
pub(crate) fn find(id: &str) -> Option<&'static Goal> {
    GOALS.iter().find(|goal| goal.id == id)
}

/// The goals of one stage, in order.
pub(crate) fn of_stage(stage: Stage) -> impl Iterator<Item = &'static Goal> {
    GOALS.iter().filter(move |goal| goal.stage == stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_begin_with_their_stage_and_go_into_any_file() {
        for (index, goal) in GOALS.iter().enumerate() {
            let prefix = format!("{}.", goal.stage.name());
            assert!(goal.id.starts_with(&prefix), "{}", goal.id);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.';
            assert!(goal.id.chars().all(plain), "{}", goal.id);
            assert!(!GOALS[..index].iter().any(|other| other.id == goal.id), "{}", goal.id);
            assert!(!goal.what.is_empty() && !goal.what.contains('|'), "{}", goal.id);
        }
    }

    #[test]
    fn every_stage_has_goals_in_one_block_and_in_order() {
        let mut stages: Vec<Stage> = GOALS.iter().map(|goal| goal.stage).collect();
        stages.dedup();
        assert_eq!(stages, Stage::ALL);
    }

    #[test]
    fn bounds_are_numbers_that_can_be_met() {
        for goal in GOALS {
            match goal.bound {
                Bound::None => assert_eq!(goal.text(), ""),
                Bound::Value(bound) => {
                    assert!(bound.is_finite() && bound >= 0.0, "{}", goal.id);
                    let percent = goal.unit == "%" && goal.better == Better::More;
                    assert!(!percent || bound <= 100.0, "{}", goal.id);
                }
                Bound::Ratio { peer, bound } => {
                    assert!(bound.is_finite() && bound > 0.0 && !peer.is_empty(), "{}", goal.id);
                }
            }
        }
    }

    #[test]
    fn goals_read_well() {
        let text = |id| find(id).expect("there").text();
        assert_eq!(text("micro.read"), "<= 2 ns");
        assert_eq!(text("micro.admit.failsafe"), "<= 0.25 x failsafe");
        assert_eq!(text("scenarios.flapping"), "<= 2");
        assert_eq!(text("scenarios.step5x"), ">= 99.5 %");
    }
}
