//! The terms of the impedance law.

use atrion_core::error::OutOfRange;
use atrion_core::math;
use atrion_core::momentum::momentum as momentum_per_sec;
use atrion_core::pressure::{Baseline, Pressure, normalise};
use atrion_core::resistance::{Impedance, Sensitivity};
use atrion_core::scar::{ScarLaw, is_trauma};
use atrion_core::units::{Ohms, PerSecond};
use serde_json::Value;

use super::read::{field, list, num, three};
use super::sheet::{Departure, Due, Sheet};

/// Beyond this exponent the reference takes `exp` for 0.
const EXP_CUT: f64 = 745.0;

fn poisoned(inputs: &[f64]) -> bool {
    inputs.iter().any(|x| !x.is_finite())
}

fn beyond_one(pressure: &[f64]) -> bool {
    pressure.iter().any(|p| p.abs() > 1.0)
}

/// Below zero; -0 is not.
fn negative(inputs: &[f64]) -> bool {
    inputs.iter().any(|x| *x < 0.0)
}

fn pressure([latency, error, saturation]: [f64; 3]) -> Result<Pressure, OutOfRange> {
    Pressure::try_new(latency, error, saturation)
}

pub(super) fn normalize(file: &Value, sheet: &mut Sheet) -> Result<(), String> {
    for case in list(file, "cases")? {
        let (raw, baseline) = (num(case, "raw")?, num(case, "baseline")?);
        let scale = num(case, "scale")?;
        let deviation = (raw - baseline) / baseline * scale;
        let due = if poisoned(&[raw, baseline, scale]) {
            Due::Refused(Departure::NotANumber)
        } else if baseline <= 0.0 || scale <= 0.0 {
            Due::Refused(Departure::Baseline)
        } else if deviation.is_finite() {
            Due::Same(2)
        } else {
            Due::Instead(Departure::Overflow, 1.0_f64.copysign(deviation), 0)
        };
        sheet.settle(case, due, &normalise(raw, baseline, scale), num(case, "expected")?);
    }
    for _ in file.get("coercion").and_then(Value::as_array).into_iter().flatten() {
        sheet.departed(Departure::Untyped);
    }
    Ok(())
}

pub(super) fn momentum(file: &Value, sheet: &mut Sheet) -> Result<(), String> {
    for case in list(file, "cases")? {
        let (current, previous) = (three(case, "current")?, three(case, "previous")?);
        let (dt_ms, expected) = (num(case, "deltaTMs")?, num(case, "expected")?);
        let ours = pressure(current).and_then(|current| {
            let previous = pressure(previous)?;
            // Back to the reference's unit: the other way would magnify what it lost where its
            // results are subnormal.
            momentum_per_sec(current, previous, dt_ms / 1e3).map(|m| m.get() / 1e3)
        });
        let moved = current.iter().zip(&previous).any(|(c, p)| (c - p).abs() > 0.0);
        let due = if poisoned(&current) || poisoned(&previous) || !dt_ms.is_finite() {
            Due::Refused(Departure::NotANumber)
        } else if beyond_one(&current) || beyond_one(&previous) {
            Due::Refused(Departure::OutOfDomain)
        } else if dt_ms < 0.0 {
            Due::Refused(Departure::BackwardTime)
        } else if moved && dt_ms > 0.0 && dt_ms < 1e-300 && expected.abs() <= 0.0 {
            // Too fast for a number. Below the smallest time we know, it is no time at all.
            let instead = if dt_ms / 1e3 > 0.0 { f64::MAX / 1e3 } else { 0.0 };
            Due::Instead(Departure::Overflow, instead, 0)
        } else {
            Due::Same(2)
        };
        sheet.settle(case, due, &ours, expected);
    }
    Ok(())
}

pub(super) fn scar(file: &Value, sheet: &mut Sheet) -> Result<(), String> {
    for case in list(file, "cases")? {
        let (scar, p) = (num(case, "scar")?, three(case, "pressure")?);
        let (lambda, sigma) = (num(case, "decayRate")?, num(case, "scarFactor")?);
        let (critical, dt) = (num(case, "criticalPressure")?, num(case, "deltaTMs")? / 1e3);
        let expected = num(case, "expected")?;
        let trauma = pressure(p).is_ok_and(|p| is_trauma(p, critical));
        let per_call_to_per_sec =
            if trauma && dt > 0.0 { sigma / math::decayed_time(lambda, dt) } else { sigma };
        let ours = pressure(p).and_then(|_| {
            let law = ScarLaw::try_new(lambda, per_call_to_per_sec, Ohms::MAX)?;
            law.step(Ohms::try_new(scar)?, trauma, dt).map(Ohms::get)
        });
        let due = if poisoned(&[scar, lambda, sigma, dt]) || poisoned(&p) {
            Due::Refused(Departure::NotANumber)
        } else if beyond_one(&p) || negative(&[scar, lambda, sigma]) {
            Due::Refused(Departure::OutOfDomain)
        } else if dt < 0.0 {
            Due::Refused(Departure::BackwardTime)
        } else if trauma && sigma > 0.0 && dt <= 0.0 {
            Due::Instead(Departure::TraumaInNoTime, scar, 0)
        } else if lambda * dt > EXP_CUT {
            // A few of the smallest doubles, as many as the scar has ohms, or none.
            Due::Instead(Departure::DecayCut, 0.0, scar as u64 + 1)
        } else {
            Due::Same(4)
        };
        sheet.settle(case, due, &ours, expected);
    }
    Ok(())
}

pub(super) fn resistance(file: &Value, sheet: &mut Sheet) -> Result<(), String> {
    for case in list(file, "cases")? {
        let (p, w) = (three(case, "pressure")?, three(case, "weights")?);
        let (base, damping) = (num(case, "baseResistance")?, num(case, "dampingFactor")?);
        let (m, scar) = (num(case, "momentum")?, num(case, "scar")?);
        let stale = num(case, "staleness")?;
        let ours = pressure(p).and_then(|p| {
            let [latency, error, saturation] = w;
            let weights = Sensitivity::try_new(latency, error, saturation)?;
            // The reference has no ceiling. Momentum and damping both in ms: the unit cancels.
            let law = Impedance::try_new(Ohms::try_new(base)?, weights, damping, Ohms::MAX)?;
            let (m, scar) = (PerSecond::try_new(m)?, Ohms::try_new(scar)?);
            Ok(law.parts(p, m, scar, Ohms::try_new(stale)?).total().get())
        });
        let ohms = [base, damping, m, scar, stale];
        let heavy = w.iter().any(|w| *w > 1e6);
        let sum = base + damping * m + scar + stale;
        let due = if poisoned(&ohms) || poisoned(&p) || poisoned(&w) {
            Due::Refused(Departure::NotANumber)
        } else if beyond_one(&p) || negative(&ohms) || negative(&w) || heavy {
            Due::Refused(Departure::OutOfDomain)
        } else if sum.is_finite() {
            Due::Same(0)
        } else {
            Due::Instead(Departure::Overflow, f64::MAX, 0)
        };
        sheet.settle(case, due, &ours, num(case, "expected")?);
    }
    Ok(())
}

pub(super) fn weights(file: &Value, sheet: &mut Sheet) -> Result<(), String> {
    for case in list(file, "cases")? {
        let slo = field(case, "slo")?;
        let criticality = field(slo, "criticality")?;
        let [latency, error, saturation] = [
            num(criticality, "latency")?,
            num(criticality, "error")?,
            num(criticality, "saturation")?,
        ];
        let ours = Sensitivity::from_criticality(latency, error, saturation);
        let all = [latency, error, saturation];
        let due = if poisoned(&all) {
            Due::Refused(Departure::NotANumber)
        } else if negative(&all) || all.iter().any(|c| *c > 10.0) {
            Due::Refused(Departure::OutOfDomain)
        } else {
            Due::Same(1)
        };
        let parts: [fn(&Sensitivity) -> f64; 3] =
            [Sensitivity::latency_ohms, Sensitivity::error_ohms, Sensitivity::saturation_ohms];
        for (part, expected) in parts.into_iter().zip(three(case, "weights")?) {
            sheet.settle(case, due, &ours.as_ref().map(part), expected);
        }
        let [latency_ms, errors, saturated] = three(case, "baselines")?;
        let baseline = Baseline::try_new(
            num(slo, "baselineLatencyMs")? / 1e3,
            num(slo, "targetErrorRate")?,
            saturated,
            1.0,
        );
        let baseline = baseline.as_ref();
        let same = Due::Same(1);
        sheet.settle(case, same, &baseline.map(Baseline::latency_secs), latency_ms / 1e3);
        sheet.settle(case, same, &baseline.map(Baseline::error_rate), errors);
        sheet.settle(case, same, &baseline.map(Baseline::saturation), saturated);
    }
    Ok(())
}
