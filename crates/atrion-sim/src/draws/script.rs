//! What happens to a drawn service.

use atrion_core::flow::Priority;
use atrion_core::math;

use super::service::{Drawn, log_between, pick};
use crate::distribution::Distribution;
use crate::error::ScenarioError;
use crate::rng::Rng;
use crate::scenario::{Class, Effect, Fault, Retries, Scenario, ScenarioBuilder, TIERS};

/// Times are for services of up to 20 ms; slower ones take longer, so that a run holds about as
/// many requests.
const USUAL_SECS: f64 = 0.02;
const FROM: f64 = 20.0;
const TO: f64 = 50.0;
/// Long runs are squeezed, but never to less than this share.
const MOST_SQUEEZED: f64 = 0.1;

/// Types of scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Calm load, nothing happens.
    Steady,
    /// 1.2 to 10 times the capacity.
    Step,
    /// A rise to 1.5 to 6 times the capacity.
    Ramp,
    /// 5 to 30 times the capacity, shortly.
    Flash,
    /// 1.5 to 3 times and 0.2 to 0.6 times the capacity in turn.
    Oscillation,
    /// 5 to 50 % of the requests 3 to 30 times slower.
    Gray,
    /// All requests 2 to 8 times slower.
    Slow,
    /// 30 to 80 % of the capacity left.
    Half,
    /// The dependency is dead.
    Outage,
    /// Nothing moves.
    Hang,
    /// 1 to 15 % failures.
    Errors,
    /// 1.5 to 5 times the capacity, and who is refused asks again.
    Retries,
    /// The same with a budget for retries.
    Budget,
    /// Callers give up and ask again.
    Timeouts,
    /// Four priorities, together 1.5 to 4 times the capacity.
    Tiers,
    /// A flood of low priority over calm normal and critical.
    Low,
    /// Four routes on one service, one of them surging.
    Routes,
    /// Twice the capacity, with a power-law tail.
    HeavyTail,
    /// 1.2 to 4 times the capacity from the first moment on.
    ColdStart,
    /// 2 % load.
    Trickle,
    /// Hardly ever two requests at once, whatever the capacity.
    Single,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Steady,
        Self::Step,
        Self::Ramp,
        Self::Flash,
        Self::Oscillation,
        Self::Gray,
        Self::Slow,
        Self::Half,
        Self::Outage,
        Self::Hang,
        Self::Errors,
        Self::Retries,
        Self::Budget,
        Self::Timeouts,
        Self::Tiers,
        Self::Low,
        Self::Routes,
        Self::HeavyTail,
        Self::ColdStart,
        Self::Trickle,
        Self::Single,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Step => "step",
            Self::Ramp => "ramp",
            Self::Flash => "flash",
            Self::Oscillation => "oscillation",
            Self::Gray => "gray",
            Self::Slow => "slow",
            Self::Half => "half",
            Self::Outage => "outage",
            Self::Hang => "hang",
            Self::Errors => "errors",
            Self::Retries => "retries",
            Self::Budget => "budget",
            Self::Timeouts => "timeouts",
            Self::Tiers => "tiers",
            Self::Low => "low",
            Self::Routes => "routes",
            Self::HeavyTail => "heavytail",
            Self::ColdStart => "coldstart",
            Self::Trickle => "trickle",
            Self::Single => "single",
        }
    }
}

/// Everything drawn about what happens, so that it can be told at another speed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    pub(super) kind: Kind,
    /// Calm load as a share of the capacity.
    calm: f64,
    /// How much, as the kind understands it.
    much: f64,
    /// A second number, likewise.
    also: f64,
}

pub(super) fn draw(rng: &mut Rng) -> Script {
    let kind = pick(rng, &Kind::ALL).unwrap_or(Kind::Steady);
    let calm = rng.between(0.5, 0.8);
    let (much, also) = match kind {
        Kind::Step => (log_between(rng, (1.2, 10.0)), 0.0),
        Kind::Ramp => (log_between(rng, (1.5, 6.0)), 0.0),
        Kind::Flash => (log_between(rng, (5.0, 30.0)), 0.0),
        Kind::Oscillation => (rng.between(1.5, 3.0), rng.between(0.2, 0.6)),
        Kind::Gray => (log_between(rng, (0.05, 0.5)), log_between(rng, (3.0, 30.0))),
        Kind::Slow => (log_between(rng, (2.0, 8.0)), 0.0),
        Kind::Half => (rng.between(0.3, 0.8), 0.0),
        Kind::Errors => (log_between(rng, (0.01, 0.15)), 0.0),
        Kind::Retries | Kind::Budget => (log_between(rng, (1.5, 5.0)), rng.between(0.05, 0.2)),
        Kind::Timeouts => (rng.between(1.2, 2.5), 0.0),
        Kind::Tiers => (log_between(rng, (1.5, 4.0)), 0.0),
        Kind::Low => (log_between(rng, (3.0, 15.0)), 0.0),
        Kind::Routes => (log_between(rng, (3.0, 15.0)), rng.uniform()),
        Kind::HeavyTail => (rng.between(1.3, 2.2), rng.between(1.5, 3.0)),
        Kind::ColdStart => (log_between(rng, (1.2, 4.0)), 0.0),
        Kind::Steady | Kind::Outage | Kind::Hang | Kind::Trickle | Kind::Single => (0.0, 0.0),
    };
    Script { kind, calm, much, also }
}

impl Script {
    /// The scenario, with all times squeezed by one factor if it would hold more than about
    /// `most_requests`.
    pub(super) fn play(
        &self,
        name: &str,
        drawn: &Drawn,
        most_requests: f64,
    ) -> Result<Scenario, ScenarioError> {
        let stretch = math::max(drawn.service.mean_secs / USUAL_SECS, 1.0);
        let whole = self.told(name, drawn, stretch)?;
        let expected = whole.expected_requests();
        if expected <= most_requests {
            return Ok(whole);
        }
        self.told(name, drawn, stretch * math::max(most_requests / expected, MOST_SQUEEZED))
    }

    fn told(&self, name: &str, drawn: &Drawn, k: f64) -> Result<Scenario, ScenarioError> {
        let b = Scenario::builder(name, drawn.service.clone())
            .description(format!("{} on {}", self.kind.name(), drawn.model.name()))
            .deadline_secs(drawn.deadline_secs);
        let (from, to) = (FROM * k, TO * k);
        let act = |effect: Effect| Fault::new(from, to, effect);
        let load = |factor: f64| Effect::Load { factor, class: None };
        let calm = |b: ScenarioBuilder| b.class(Class::new("normal", self.calm));
        let (b, end) = match self.kind {
            Kind::Steady => (calm(b).window_secs(from, to), to),
            Kind::Trickle => (b.class(Class::new("normal", 0.02)).window_secs(from, to), to),
            Kind::Single => {
                let rate = Some(0.05 / drawn.service.mean_secs);
                let class = Class { load: None, rate_per_sec: rate, ..Class::new("normal", 0.0) };
                (b.class(class).window_secs(from, 10.0 * to), 10.0 * to)
            }
            Kind::ColdStart => {
                (b.class(Class::new("normal", self.much)).window_secs(2.0 * k, from), from)
            }
            Kind::Step => (calm(b).fault(act(load(self.much / self.calm))), to + 5.0 * k),
            Kind::Flash => {
                let crowd = load(self.much / self.calm);
                (calm(b).fault(Fault::new(from, from + 5.0 * k, crowd)), from + 10.0 * k)
            }
            Kind::Outage => {
                let dead = Effect::Outage { min_secs: 0.001, max_secs: 0.02 };
                let end = to + 30.0 * k;
                (calm(b).fault(act(dead)).window_secs(from, end), end)
            }
            Kind::Hang => {
                let end = from + 30.0 * k;
                let hang = Fault::new(from, from + 5.0 * k, Effect::Hang);
                (calm(b).fault(hang).window_secs(from, end), end)
            }
            Kind::Retries | Kind::Budget | Kind::Timeouts => {
                (b.class(self.insistent(drawn, k)).fault(act(load(self.much / self.calm))), to)
            }
            Kind::Tiers => {
                let classes = TIERS.iter().map(|(name, priority, share)| {
                    Class::new(*name, share * self.calm).with_priority(*priority)
                });
                let surge = act(load(self.much / self.calm));
                (b.classes(classes.collect()).fault(surge), to)
            }
            Kind::Low => {
                let flood = Effect::Load { factor: self.much * 10.0, class: Some("low".into()) };
                let low = Class::new("low", 0.1).with_priority(Priority::Low);
                let critical = Class::new("critical", 0.1).with_priority(Priority::Critical);
                let normal = Class::new("normal", self.calm - 0.2);
                (b.class(critical).class(normal).class(low).fault(act(flood)), to)
            }
            Kind::Routes => (self.routes(b, act), to),
            Kind::HeavyTail => {
                let tail =
                    Effect::Spread { distribution: Distribution::Pareto { shape: self.much } };
                (calm(b).fault(act(tail)).fault(act(load(self.also / self.calm))), to)
            }
            Kind::Ramp
            | Kind::Oscillation
            | Kind::Gray
            | Kind::Slow
            | Kind::Half
            | Kind::Errors => (calm(b).fault(act(self.effect(k))), to),
        };
        b.duration_secs(end).build()
    }

    fn effect(&self, k: f64) -> Effect {
        let (much, also) = (self.much, self.also);
        match self.kind {
            Kind::Ramp => Effect::Ramp { factor: much / self.calm, class: None },
            Kind::Oscillation => Effect::Oscillation {
                high: much / self.calm,
                low: also / self.calm,
                half_period_secs: 5.0 * k,
                class: None,
            },
            Kind::Gray => Effect::Gray { share: much, factor: also },
            Kind::Half => Effect::Capacity { factor: much },
            Kind::Errors => Effect::Errors { share: much },
            _ => Effect::Gray { share: 1.0, factor: much },
        }
    }

    fn insistent(&self, drawn: &Drawn, k: f64) -> Class {
        let budget = (self.kind == Kind::Budget).then_some(self.also);
        let retries = Retries { attempts: 3, backoff_secs: 0.1 * k, budget };
        let class = Class::new("normal", self.calm).with_retries(retries);
        if self.kind == Kind::Timeouts { class.with_timeout(drawn.deadline_secs) } else { class }
    }

    /// Four routes of different cost and priority; any of them may surge.
    fn routes(&self, b: ScenarioBuilder, act: impl Fn(Effect) -> Fault) -> ScenarioBuilder {
        let part = self.calm / 0.7;
        let all = [
            ("health", 0.1, 0.2, Priority::Critical),
            ("search", 0.3, 1.0, Priority::Normal),
            ("report", 0.1, 3.0, Priority::High),
            ("export", 0.2, 2.0, Priority::Low),
        ];
        let classes = all.iter().map(|(name, load, cost, priority)| {
            Class::new(*name, load * part).on_route(*name).with_cost(*cost).with_priority(*priority)
        });
        let surging = all.get((self.also * all.len() as f64) as usize).map(|r| r.0.to_owned());
        b.classes(classes.collect()).fault(act(Effect::Load { factor: self.much, class: surging }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_told_about_any_service() {
        let mut rng = Rng::new(3, 3);
        let mut seen = Vec::new();
        for _ in 0..600 {
            let drawn = super::super::service::draw(&mut rng);
            let script = draw(&mut rng);
            let scenario = script.play("x", &drawn, 100_000.0);
            let scenario = scenario.unwrap_or_else(|e| panic!("{script:?} {drawn:?}: {e}"));
            assert!(
                scenario.ideal() > 0.0 || script.kind == Kind::HeavyTail,
                "{script:?} {drawn:?}"
            );
            assert!(scenario.expected_requests() < 4e6, "{script:?} {drawn:?}");
            seen.push(script.kind.name());
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), Kind::ALL.len(), "{seen:?}");
    }
}
