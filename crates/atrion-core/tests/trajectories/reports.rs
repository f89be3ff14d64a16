//! The route machine of callers who supply telemetry, through the phases of a service's life.

use core::time::Duration;

use atrion_core::breaker::RouteState;
use atrion_core::config::PhysicsConfig;
use atrion_core::flow::{Flow, Priority, Rejection};
use atrion_core::telemetry::Telemetry;
use atrion_core::time::Timestamp;
use atrion_core::units::{Ohms, UnitInterval, Volts};
use atrion_core::vector::PhysicsVector;

use crate::record::{Fingerprint, compare};
use crate::world::Draws;

/// What is reported for a while.
#[derive(Clone, Copy)]
struct Spell {
    reports: u32,
    /// Time between two reports, s.
    every: f64,
    latency: Option<f64>,
    errors: Option<f64>,
    saturation: Option<f64>,
    requests: Option<u64>,
    /// Whether the in-flight count is told.
    counted: bool,
}

const FINE: Spell = Spell {
    reports: 30,
    every: 0.1,
    latency: Some(0.08),
    errors: Some(0.0),
    saturation: Some(0.5),
    requests: Some(20),
    counted: true,
};

fn spells() -> Vec<Spell> {
    let uncounted = Spell { requests: None, counted: false, ..FINE };
    vec![
        FINE,
        Spell { saturation: Some(1.6), latency: Some(0.3), ..FINE },
        Spell { saturation: Some(0.9), every: 0.03, ..FINE },
        Spell { errors: Some(1.0), requests: Some(8), ..FINE },
        Spell { requests: Some(3), ..FINE },
        Spell { errors: Some(0.4), ..FINE },
        Spell { errors: None, saturation: None, ..FINE },
        Spell { requests: Some(0), saturation: Some(0.0), ..FINE },
        Spell { errors: Some(0.9), latency: Some(2.0), ..uncounted },
        Spell { every: 2.5, reports: 8, ..uncounted },
        Spell { saturation: Some(3.0), ..uncounted },
        Spell { latency: None, errors: Some(0.6), every: 0.4, ..FINE },
        Spell { saturation: Some(0.7), every: 0.0, reports: 3, ..FINE },
        FINE,
    ]
}

struct Route {
    config: PhysicsConfig,
    state: RouteState,
    draws: Draws,
    now: Timestamp,
    print: Fingerprint,
}

impl Route {
    fn new(config: PhysicsConfig, seed: u64) -> Self {
        let now = Timestamp::from_secs(50);
        let state = RouteState::new(now, &config);
        Self { config, state, draws: Draws(seed), now, print: Fingerprint::new() }
    }

    /// Up to a fifth more or less.
    fn about(&mut self, value: f64) -> f64 {
        value * (0.8 + 0.4 * self.draws.unit())
    }

    fn sample(&mut self, spell: &Spell) -> Telemetry {
        let mut sample = Telemetry::builder();
        if let Some(secs) = spell.latency {
            sample = sample.latency_secs(self.about(secs));
        }
        if let Some(rate) = spell.errors {
            let rate = self.about(rate);
            sample = sample.error_rate(if rate > 1.0 { 1.0 } else { rate });
        }
        if let Some(share) = spell.saturation {
            let share = self.about(share);
            sample = sample.saturation(share);
            if spell.counted {
                sample = sample.in_flight((16.0 * share) as u64);
            }
        }
        if let Some(requests) = spell.requests {
            sample = sample.requests(requests);
        }
        sample.build().expect("a sample within its bounds")
    }

    fn report(&mut self, spell: &Spell) {
        self.now = self.now.add_secs(spell.every);
        let sample = self.sample(spell);
        let (state, decision) = self.state.report(&sample, self.now, &self.config);
        self.state = state;
        let parts = &decision.parts;
        for number in [
            parts.base.get(),
            parts.latency,
            parts.error,
            parts.saturation,
            parts.momentum.get(),
            parts.scar.get(),
            parts.staleness.get(),
            decision.resistance().get(),
        ] {
            self.print.number(number);
        }
        self.print.word(u64::from(decision.probes));
        self.print.word(decision.mode as u64);
        for (admitted, millis) in [(0, 0), (1, 10), (9, 50), (40, 90), (400, 400)] {
            let since = Duration::from_millis(millis);
            self.print.number(decision.resistance_after(admitted, since).get());
            for priority in Priority::ALL {
                self.flow(decision.flow_after(priority, admitted, since));
            }
            if let Some(outlook) = &decision.outlook {
                self.print.number(outlook.in_flight(admitted, since));
            }
        }
        if let Some(outlook) = &decision.outlook {
            self.print.number(outlook.places());
            self.print.number(outlook.drain_per_sec());
        }
        for priority in Priority::ALL {
            self.flow(decision.flow(priority));
        }
        self.between(spell);
    }

    /// What is asked between two reports.
    fn between(&mut self, spell: &Spell) {
        let (now, config) = (self.now.add_secs(0.4 * spell.every), &self.config.clone());
        let state = self.state;
        for number in [
            state.error_rate(),
            state.scar().get(),
            state.momentum(now, config).get(),
            state.pressure_at(now, config).latency(),
            state.pressure_at(now, config).norm(),
            state.break_threshold(config).get(),
            state.tuner().mean().get(),
            state.tuner().deviation().get(),
            state.tuner().recovery_threshold(&config.tuner()).get(),
        ] {
            self.print.number(number);
        }
        self.vector(&state.vector(now, config));
        self.print.word(u64::from(state.probe_due(now)));
        if let Some(probing) = state.probing() {
            self.print.word(probing.next().as_nanos());
            self.print.word(u64::from(probing.outstanding()));
        }
        for volts in [0_u32, 1, 5, 20, 50] {
            let after = state.passable_after(Volts::from(volts), now, config);
            self.print.word(after.map_or(u64::MAX, |after| after.as_nanos() as u64));
        }
    }

    fn vector(&mut self, vector: &PhysicsVector) {
        for number in [
            vector.resistance.get(),
            vector.momentum.get(),
            vector.scar_tissue.get(),
            vector.evidence.get(),
            vector.demand.get(),
        ] {
            self.print.number(number);
        }
        self.print.word(vector.timestamp.as_nanos());
        self.print.word(u64::from(vector.stance.open));
    }

    fn flow(&mut self, flow: Flow) {
        match flow {
            Flow::Pass => self.print.word(1),
            Flow::Redirect(other) => self.print.word(2 + other as u64),
            Flow::Reject(Rejection::InsufficientVoltage { resistance, .. }) => {
                self.print.number(resistance.get());
            }
            Flow::Reject(_) => self.print.word(0),
        }
    }

    /// Probes that the caller counts itself.
    fn probe(&mut self) {
        let Some(begun) = self.state.begin_probe(self.now, &self.config) else { return };
        let success = match self.draws.word() % 4 {
            0 => None,
            1 => Some(false),
            _ => Some(true),
        };
        let draw = UnitInterval::try_new(self.draws.unit()).expect("a share");
        self.state = begun.probe_ended(success, self.now, draw, &self.config);
    }

    fn row(&self, spell: usize) -> String {
        format!(
            "{spell:3} {:15} scar {:6.2} errors {:5.3} resistance {:9.3} {}",
            self.state.mode().as_str(),
            self.state.scar().get(),
            self.state.error_rate(),
            self.state.decision(self.now, &self.config).resistance().get(),
            self.print
        )
    }
}

/// All spells, twice: the second time the caller counts its probes itself.
fn rows(mut route: Route) -> Vec<String> {
    let mut rows = Vec::new();
    for (number, spell) in spells().iter().chain(&spells()).enumerate() {
        if number == 20 {
            // The clock steps back.
            route.now = Timestamp::from_nanos(route.now.as_nanos() - 9_000_000_000);
        }
        for _ in 0..spell.reports {
            route.report(spell);
            if number >= spells().len() {
                route.probe();
            }
        }
        rows.push(route.row(number + 1));
    }
    rows
}

#[test]
fn reported_to_the_default() {
    compare("reported_to_the_default", &rows(Route::new(PhysicsConfig::default(), 11)));
}

#[test]
fn reported_to_every_part() {
    let config = PhysicsConfig::builder()
        .weight_latency_ohms(4.0)
        .weight_error_ohms(30.0)
        .weight_saturation_ohms(25.0)
        .weight_queue_ohms(15.0)
        .queue_requests(5.0)
        .damping_ohm_secs(3.0)
        .momentum_secs(0.4)
        .pressure_memory_secs(0.7)
        .tanh_scale(0.6)
        .staleness_ohms_per_sec(0.2)
        .healing_per_sec(0.3)
        .trauma_ohms_per_sec(200.0)
        .error_critical(0.35)
        .critical_stress(1.2)
        .error_samples(40.0)
        .error_secs(1.5)
        .longest_step_secs(0.6)
        .probe_secs(0.5)
        .probe_heal(0.4)
        .recovery_per_sec(2.0)
        .bootstrap_secs(2.0)
        .bootstrap_factor(1.5)
        .build()
        .expect("valid");
    compare("reported_to_every_part", &rows(Route::new(config, 12)));
}

#[test]
fn reported_to_an_adaptive_threshold() {
    let config = PhysicsConfig::builder()
        .adaptive_break(true)
        .tuner_window(30.0)
        .tuner_warmup(10.0)
        .tuner_sensitivity(2.0)
        .tuner_floor_ohms(12.0)
        .tuner_ceiling_ohms(90.0)
        .tuner_tick_secs(0.05)
        .bootstrap_secs(0.0)
        .build()
        .expect("valid");
    compare("reported_to_an_adaptive_threshold", &rows(Route::new(config, 13)));
}

#[test]
fn reported_after_a_restart() {
    let config = PhysicsConfig::default();
    let mut route = Route::new(config, 14);
    let scarred = PhysicsVector {
        scar_tissue: Ohms::from(300_u32),
        ..PhysicsVector::idle(Ohms::from(1_u32), route.now)
    };
    route.state = RouteState::restore(&scarred, route.now, &route.config);
    compare("reported_after_a_restart", &rows(route));
}
