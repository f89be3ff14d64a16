//! The published model against recorded outputs of its implementation.
//!
//! `testdata/golden/physics_sequences.json` holds a part of the recording; the variable
//! `ATRION_PHYSICS_SEQUENCES` names a file with all of it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failing test may say so, and an index out of bounds is one"
)]

use std::path::PathBuf;

use atrion_sim::policy::{ModelConfig, ModelMode, ReferenceModel, TunerConfig};
use serde_json::Value;

/// Recorded by another `exp`: one or two units in the last place each time it is called.
const SCAR_TOLERANCE: f64 = 1e-11;

fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("NaN") => f64::NAN,
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        Some("-0") => -0.0,
        _ => value.as_f64().expect("a number"),
    }
}

fn pressures(value: &Value) -> [f64; 3] {
    [0, 1, 2].map(|i| number(&value[i]))
}

fn model(sequence: &Value) -> ReferenceModel {
    let c = &sequence["config"];
    let config = ModelConfig {
        base: number(&c["baseResistance"]),
        decay_per_sec: number(&c["decayRate"]),
        scar_factor: number(&c["scarFactor"]),
        damping: number(&c["dampingFactor"]),
        critical: number(&c["criticalPressure"]),
        break_multiplier: number(&c["breakMultiplier"]),
        bootstrap_ticks: c["bootstrapTicks"].as_u64().expect("a count") as u32,
        weights: pressures(&sequence["weights"]),
    };
    let tuner = sequence["tuner"].as_object().map(|tuner| {
        let c = &tuner["config"];
        TunerConfig {
            window: number(&c["windowSize"]),
            sensitivity: number(&c["sensitivity"]),
            floor: number(&c["minFloor"]),
            ceiling: number(&c["hardCeiling"]),
            warmup: c["warmupTicks"].as_u64().expect("a count") as u32,
            recovery_multiplier: number(&c["recoveryMultiplier"]),
            fallback: number(&tuner["fallbackBreak"]),
        }
    });
    let initial = pressures(&sequence["initialPressure"]);
    ReferenceModel::new(config, tuner, initial, number(&sequence["t0"]))
}

fn close(a: f64, b: f64) -> bool {
    let scale = if b.abs() > 1.0 { b.abs() } else { 1.0 };
    (a - b).abs() <= SCAR_TOLERANCE * scale
}

fn check(sequence: &Value) -> Result<usize, String> {
    let mut model = model(sequence);
    let modes = sequence["mode"].as_str().expect("one letter per tick");
    for (i, mode) in modes.chars().enumerate() {
        let input = ["pl", "pe", "ps"].map(|column| number(&sequence[column][i]));
        model.update(input, number(&sequence["now"][i]));
        let expected = match mode {
            'B' => ModelMode::Bootstrap,
            'O' => ModelMode::Operational,
            _ => ModelMode::CircuitBreaker,
        };
        let momentum = &sequence["momentum"][i];
        let same_momentum = match model.momentum() {
            None => momentum.is_null(),
            // Only + - * / and sqrt: the same bits.
            Some(m) => !momentum.is_null() && m.to_bits() == number(momentum).to_bits(),
        };
        let same = model.mode() == expected
            && same_momentum
            && close(model.scar(), number(&sequence["scar"][i]))
            && close(model.resistance(), number(&sequence["resistance"][i]));
        if !same {
            let id = &sequence["id"];
            return Err(format!(
                "sequence {id}, tick {i}: expected {mode} {momentum}, is {model:?}"
            ));
        }
    }
    Ok(modes.len())
}

#[test]
fn the_reference_model_is_the_published_one_tick_for_tick() {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/golden/physics_sequences.json");
    let path = std::env::var_os("ATRION_PHYSICS_SEQUENCES").map_or(beside, PathBuf::from);
    let text = std::fs::read_to_string(&path).expect("the recording");
    let recorded: Value = serde_json::from_str(&text).expect("JSON");
    let of = |name: &str| recorded[name].as_array().expect("sequences").clone();
    let sequences = [of("sequences"), of("extra_clock_skew")].concat();
    let mut ticks = 0;
    let mut mismatches = Vec::new();
    for sequence in &sequences {
        match check(sequence) {
            Ok(count) => ticks += count,
            Err(why) => mismatches.push(why),
        }
    }
    println!("{} sequences, {ticks} ticks, {} mismatches", sequences.len(), mismatches.len());
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n"));
    assert!(ticks >= 3000, "only {ticks} ticks were recorded");
}
