//! The study's tables. `ATRION_STUDY=1 cargo test --release --test control_law study` prints
//! all of them; see [`tables`] for what else it may be set to.

use crate::draws::table;
use crate::engine::Engine;
use crate::oracle::{best, mean, run_routes};
use crate::scenario::{Model, Scenario};
use crate::spec_law::SpecLaw;
use crate::world::Report;

/// The services of the second study's scenario table.
pub fn models() -> Vec<Model> {
    let mut io_half = Model::ps_io(4, 0.02, 0.5);
    io_half.name = "psio.5";
    let mut io_little = Model::ps_io(4, 0.02, 0.15);
    io_little.name = "psio.15";
    vec![
        Model::fifo(4, 0.02),
        Model::ps(4, 0.02),
        io_half,
        io_little,
        Model::pooled(4, 0.02),
        Model::paused(4, 0.02),
        Model::classes(4, 0.02),
        Model::collapsing(4, 0.02),
    ]
}

/// What one policy achieved in one scenario.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub goodput: f64,
    pub p99: f64,
    pub critical: f64,
    pub false_rejects: f64,
    pub dead: f64,
    pub recovery: f64,
    pub modes: f64,
    pub learned: (f64, f64),
}

impl Row {
    pub fn of(reports: &[Report]) -> Self {
        Self {
            goodput: mean(reports, Report::goodput),
            p99: mean(reports, |r| r.p99),
            critical: mean(reports, |r| r.served(100.0)),
            false_rejects: mean(reports, |r| r.false_rejects),
            dead: mean(reports, |r| r.dead as f64),
            recovery: mean(reports, |r| r.recovery),
            modes: mean(reports, |r| f64::from(r.mode_changes)),
            learned: (
                mean(reports, |r| r.learned_calm.parallelism),
                mean(reports, |r| r.learned.parallelism),
            ),
        }
    }
}

pub fn spec(scenario: &Scenario, seeds: &[u64]) -> Vec<Report> {
    seeds.iter().map(|s| run_routes(scenario, *s, SpecLaw::new)).collect()
}

pub fn engine(scenario: &Scenario, seeds: &[u64]) -> Vec<Report> {
    seeds.iter().map(|s| run_routes(scenario, *s, Engine::new)).collect()
}

fn print_row(scenario: &Scenario, seeds: &[u64], sums: &mut [f64; 3]) {
    let oracle_seeds = &seeds[..seeds.len().min(3)];
    let (limit, reports) = best(scenario, oracle_seeds);
    let o = Row::of(&reports);
    let s = Row::of(&spec(scenario, seeds));
    let e = Row::of(&engine(scenario, seeds));
    let capped = |g: f64| if g > 100.0 { 100.0 } else { g };
    for (sum, row) in sums.iter_mut().zip([o, s, e]) {
        *sum += capped(row.goodput);
    }
    println!(
        "{:>8}:{:<12} | {:6.1} ({limit:>3}) | {:6.1} | {:6.1} | p99 {:5.2} {:5.2} {:5.2} | crit {:5.1} {:5.1} {:5.1} | false {:5.2} {:5.2} {:5.2} | C {:5.1}>{:5.1} {:5.1}>{:5.1}{}",
        scenario.model.name,
        scenario.name,
        o.goodput,
        s.goodput,
        e.goodput,
        o.p99,
        s.p99,
        e.p99,
        o.critical,
        s.critical,
        e.critical,
        o.false_rejects,
        s.false_rejects,
        e.false_rejects,
        s.learned.0,
        s.learned.1,
        e.learned.0,
        e.learned.1,
        if s.dead + e.dead > 0.0 {
            format!(
                " | dead {:.0} {:.0} recovery {:.2} {:.2} modes {:.1} {:.1}",
                s.dead, e.dead, s.recovery, e.recovery, s.modes, e.modes
            )
        } else {
            String::new()
        }
    );
}

/// All scenarios of one model; prints rows and the model's means.
pub fn model_table(model: &Model, seeds: &[u64]) {
    let mut sums = [0.0; 3];
    let scenarios = Scenario::all(model);
    for scenario in &scenarios {
        print_row(scenario, seeds, &mut sums);
    }
    let [o, s, e] = sums.map(|sum| sum / scenarios.len() as f64);
    println!("{:>8} MEAN oracle {o:.1} spec {s:.1} engine {e:.1}\n", model.name);
}

/// Prints what `ATRION_STUDY` asks for: `base`, `models`, a model's name, `draws`, `1` for all.
#[test]
fn tables() {
    let wanted = std::env::var("ATRION_STUDY").unwrap_or_default();
    let count = std::env::var("ATRION_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(4);
    let seeds: Vec<u64> = (400..400 + count).collect();
    let all = wanted == "1";
    if all || wanted == "base" {
        let model = Model::fifo(16, 0.02);
        let mut sums = [0.0; 3];
        let mut scenarios = Scenario::all(&model);
        scenarios.push(Scenario::ramp(model.clone()));
        scenarios.push(Scenario::low_traffic(model.clone()));
        scenarios.push(Scenario::hang(model.clone(), 10.0));
        for scenario in &scenarios {
            print_row(scenario, &seeds, &mut sums);
        }
    }
    if all || wanted == "draws" {
        let first = std::env::var("ATRION_FIRST").ok().and_then(|s| s.parse().ok());
        let count = std::env::var("ATRION_DRAWS").ok().and_then(|s| s.parse().ok());
        for of_fifo in [true, false] {
            table(first.unwrap_or(60_000), count.unwrap_or(150), of_fifo);
        }
    }
    for model in models() {
        if all || wanted == "models" || wanted == model.name {
            model_table(&model, &seeds);
        }
    }
}
