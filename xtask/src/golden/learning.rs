//! The threshold tuner and the choice among routes.

use atrion_core::error::OutOfRange;
use atrion_core::flow::{Candidate, choose, probability};
use atrion_core::tuner::{Tuner, TunerConfig};
use atrion_core::units::{Ohms, UnitInterval};
use serde_json::Value;

use super::read::{field, list, num, number, nums, text};
use super::sheet::{Departure, Due, Sheet};

/// Above this exponent `exp(-x)` is below the smallest normal double.
const UNDERFLOW: f64 = 708.0;

pub(super) fn autotuner(file: &Value, sheet: &mut Sheet) -> Result<(), String> {
    for sequence in list(file, "sequences")? {
        one_tuner(sequence, sheet)?;
    }
    Ok(())
}

fn one_tuner(sequence: &Value, sheet: &mut Sheet) -> Result<(), String> {
    let c = field(sequence, "config")?;
    let (floor, ceiling) = (num(c, "minFloor")?, num(c, "hardCeiling")?);
    let config = TunerConfig::try_new(
        num(c, "windowSize")?,
        num(c, "sensitivity")?,
        floor,
        ceiling,
        num(c, "warmupTicks")?,
        num(sequence, "fallbackBreak")?,
        num(c, "recoveryMultiplier")?,
    );
    let config = match config {
        Ok(config) => config,
        Err(_) if floor > ceiling => {
            sheet.departed(Departure::OutOfDomain);
            return Ok(());
        }
        Err(why) => {
            sheet.mismatch(sequence, &format!("configuration refused: {why}"));
            return Ok(());
        }
    };
    let mut tuner = Tuner::default();
    compare(sequence, &tuner, &config, before(sequence)?, sheet);
    let columns = [
        nums(sequence, "mean")?,
        nums(sequence, "stdDev")?,
        nums(sequence, "breakPoint")?,
        nums(sequence, "recoveryPoint")?,
    ];
    let mut refused = false;
    for (index, observed) in nums(sequence, "obs")?.into_iter().enumerate() {
        match Ohms::try_new(observed) {
            Ok(ohms) if !refused => tuner = tuner.observe(ohms, &config),
            Ok(_) => {
                sheet.departed(Departure::LearnedPoison);
                continue;
            }
            Err(_) => {
                refused = true;
                let class = if observed.is_finite() {
                    Departure::OutOfDomain
                } else {
                    Departure::NotANumber
                };
                sheet.departed(class);
                continue;
            }
        }
        let mut row = [f64::NAN; 4];
        for (value, column) in row.iter_mut().zip(&columns) {
            *value = *column.get(index).ok_or("a column is too short")?;
        }
        compare(sequence, &tuner, &config, row, sheet);
    }
    Ok(())
}

fn before(sequence: &Value) -> Result<[f64; 4], String> {
    let before = field(sequence, "before")?;
    Ok([
        num(before, "mean")?,
        num(before, "stdDev")?,
        num(before, "breakPoint")?,
        num(before, "recoveryPoint")?,
    ])
}

fn compare(
    sequence: &Value,
    tuner: &Tuner,
    config: &TunerConfig,
    reference: [f64; 4],
    sheet: &mut Sheet,
) {
    let ours = [
        tuner.mean(),
        tuner.deviation(),
        tuner.break_threshold(config),
        tuner.recovery_threshold(config),
    ];
    for (ours, reference) in ours.into_iter().zip(reference) {
        sheet.settle(sequence, Due::Same(0), &Ok::<f64, OutOfRange>(ours.get()), reference);
    }
}

pub(super) fn softmax(file: &Value, sheet: &mut Sheet) -> Result<(), String> {
    for case in list(file, "cases")? {
        one_choice(case, sheet)?;
    }
    Ok(())
}

fn one_choice(case: &Value, sheet: &mut Sheet) -> Result<(), String> {
    let (beta, ohms) = (num(case, "beta")?, nums(case, "resistance")?);
    let modes = text(case, "mode")?.chars();
    let candidate = |(resistance, mode): (&f64, char)| {
        Ok(Candidate { resistance: Ohms::try_new(*resistance)?, open: mode == 'C' })
    };
    let routes: Result<Vec<Candidate>, OutOfRange> =
        ohms.iter().zip(modes).map(candidate).collect();
    let routes = match routes {
        Ok(routes) if beta >= 0.0 => routes,
        refused => {
            let poisoned = ohms.iter().any(|r| !r.is_finite());
            let class = if poisoned { Departure::NotANumber } else { Departure::OutOfDomain };
            let ours = refused.and_then(|routes| probability(&routes, beta, 0));
            sheet.settle(case, Due::Refused(class), &ours, f64::NAN);
            return Ok(());
        }
    };
    let mut available = Vec::new();
    for index in list(case, "available")? {
        available.push(number(index)? as usize);
    }
    let exponent = |index: &usize| routes.get(*index).map_or(0.0, |r| beta * r.resistance.get());
    // The best route's term is the largest: once it underflows, nothing is left to compare.
    let hopeless = available.len() > 1 && available.iter().all(|i| exponent(i) > UNDERFLOW);
    if hopeless {
        return underflow(case, &routes, beta, &available, sheet);
    }
    let probabilities = match field(case, "probabilities")? {
        Value::Null => Vec::new(),
        _ => nums(case, "probabilities")?,
    };
    for (index, reference) in available.iter().zip(&probabilities) {
        let ours = probability(&routes, beta, *index);
        let exponent = exponent(index);
        if exponent > UNDERFLOW {
            // This term alone is subnormal in the reference: all it can tell is "next to never".
            let tiny = ours.as_ref().is_ok_and(|p| *p < 1e-250);
            let why = "a probability that underflows is next to nothing";
            if tiny { sheet.departed(Departure::Underflow) } else { sheet.mismatch(case, why) }
        } else {
            sheet.settle(case, Due::Same(4 + (2.0 * exponent) as u64), &ours, *reference);
        }
    }
    draws(case, &routes, beta, &probabilities, sheet)
}

/// Each draw picks the same route.
fn draws(
    case: &Value,
    routes: &[Candidate],
    beta: f64,
    probabilities: &[f64],
    sheet: &mut Sheet,
) -> Result<(), String> {
    for draw in list(case, "draws")? {
        let u = num(draw, "u")?;
        let reference = match field(draw, "selected")? {
            Value::Null => None,
            index => Some(number(index)? as usize),
        };
        let unit = UnitInterval::try_new(u).map_err(|e| e.to_string())?;
        let ours = choose(routes, beta, unit).map_err(|e| e.to_string())?;
        let first_impossible = probabilities.first().is_some_and(|p| *p <= 0.0);
        if u <= 0.0 && first_impossible && ours != reference {
            sheet.departed(Departure::ImpossibleRoute);
        } else {
            sheet.choice(case, ours, reference);
        }
    }
    Ok(())
}

/// All terms of the reference underflow. Ours have to add up to 1 and to favour the lowest.
fn underflow(
    case: &Value,
    routes: &[Candidate],
    beta: f64,
    available: &[usize],
    sheet: &mut Sheet,
) -> Result<(), String> {
    let mut sum = 0.0;
    let mut best: Option<(Ohms, f64)> = None;
    let mut highest = 0.0_f64;
    for index in available {
        let p = probability(routes, beta, *index).map_err(|e| e.to_string())?;
        sum += p;
        highest = atrion_core::math::max(highest, p);
        if let Some(route) = routes.get(*index)
            && best.is_none_or(|(lowest, _)| route.resistance < lowest)
        {
            best = Some((route.resistance, p));
        }
    }
    let favoured = best.is_some_and(|(_, p)| p >= highest);
    if (sum - 1.0).abs() < 1e-12 && favoured {
        sheet.departed(Departure::Underflow);
    } else {
        sheet.mismatch(case, "high resistances break the choice");
    }
    Ok(())
}
