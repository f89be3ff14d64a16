//! The reference model as a whole: sequences of telemetry, tick for tick.

use atrion_reference::{ModelConfig, ModelMode, Pressures, ReferenceModel, TunerConfig};
use serde_json::{Value, json};

use super::read::{field, list, num, number, nums, text, three};
use super::sheet::Sheet;

/// Of scar and resistance: one or two units in the last place at each call of `exp`.
const TOLERANCE: f64 = 1e-11;

pub(super) fn physics_sequences(file: &Value, sheet: &mut Sheet) -> Result<(), String> {
    for sequence in list(file, "sequences")?.iter().chain(list(file, "extra_clock_skew")?) {
        one_sequence(sequence, sheet)?;
    }
    Ok(())
}

fn count(object: &Value, name: &str) -> Result<u32, String> {
    let count = field(object, name)?.as_u64().and_then(|n| u32::try_from(n).ok());
    count.ok_or_else(|| format!("{name} is no count"))
}

fn model(sequence: &Value) -> Result<ReferenceModel, String> {
    let c = field(sequence, "config")?;
    let config = ModelConfig {
        base: num(c, "baseResistance")?,
        decay_per_sec: num(c, "decayRate")?,
        scar_factor: num(c, "scarFactor")?,
        damping: num(c, "dampingFactor")?,
        critical: num(c, "criticalPressure")?,
        break_multiplier: num(c, "breakMultiplier")?,
        bootstrap_ticks: count(c, "bootstrapTicks")?,
        weights: three(sequence, "weights")?,
    };
    let tuner = match field(sequence, "tuner")? {
        Value::Null => None,
        tuner => Some(self::tuner(tuner)?),
    };
    let initial: Pressures = three(sequence, "initialPressure")?;
    Ok(ReferenceModel::new(config, tuner, initial, num(sequence, "t0")?))
}

fn tuner(tuner: &Value) -> Result<TunerConfig, String> {
    let c = field(tuner, "config")?;
    Ok(TunerConfig {
        window: num(c, "windowSize")?,
        sensitivity: num(c, "sensitivity")?,
        floor: num(c, "minFloor")?,
        ceiling: num(c, "hardCeiling")?,
        warmup: count(c, "warmupTicks")?,
        recovery_multiplier: num(c, "recoveryMultiplier")?,
        fallback: num(tuner, "fallbackBreak")?,
    })
}

fn mode(letter: char) -> Result<ModelMode, String> {
    match letter {
        'B' => Ok(ModelMode::Bootstrap),
        'O' => Ok(ModelMode::Operational),
        'C' => Ok(ModelMode::CircuitBreaker),
        other => Err(format!("`{other}` is no mode")),
    }
}

fn one_sequence(sequence: &Value, sheet: &mut Sheet) -> Result<(), String> {
    let mut model = model(sequence)?;
    let column = |name: &str| nums(sequence, name);
    let (latency, error, saturation) = (column("pl")?, column("pe")?, column("ps")?);
    let (now, scar, resistance) = (column("now")?, column("scar")?, column("resistance")?);
    let momentum = list(sequence, "momentum")?;
    for (tick, letter) in text(sequence, "mode")?.chars().enumerate() {
        let at = |column: &[f64]| column.get(tick).copied().ok_or("a column is too short");
        model.update([at(&latency)?, at(&error)?, at(&saturation)?], at(&now)?);
        let case = || json!({ "sequence": sequence.get("id"), "tick": tick });
        sheet.state(case, &model.mode(), &mode(letter)?);
        // In bits: only + - * / and sqrt, in the same order.
        let expected = match momentum.get(tick).ok_or("a column is too short")? {
            Value::Null => None,
            recorded => Some(number(recorded)?.to_bits()),
        };
        sheet.state(case, &model.momentum().map(f64::to_bits), &expected);
        sheet.near(case, model.scar(), at(&scar)?, TOLERANCE);
        sheet.near(case, model.resistance(), at(&resistance)?, TOLERANCE);
    }
    Ok(())
}
