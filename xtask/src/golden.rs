//! Golden vectors: `atrion-core`, and the reference model as a whole, against recorded outputs of
//! the published one.
//!
//! The reference's formulas are ours, its mistakes are not. Every recorded case ends in one of
//! three ways: *same* to a few units in the last place (ulp), a *departure* that belongs to a
//! class with a name and a reason ([`sheet::Departure`]), or a *mismatch*. A departure is not a
//! hole: for each one it is checked that we do what the class says, that is refuse the input or
//! give another, named value.
//!
//! # Tolerances
//!
//! | file | ulp | why not 0 |
//! |---|---|---|
//! | `normalize` | 2 | two implementations of `tanh`, each within 1 ulp |
//! | `momentum` | 2 | ms to s and back: two more roundings |
//! | `scar` | 4 | two implementations of `exp`; sigma per call to sigma per second multiplies what a division took apart |
//! | `resistance` | 0 | only `+`, `*` and comparisons, in the same order |
//! | `weights` | 1 | two implementations of `ln` |
//! | `autotuner` | 0 | only `+ - * /` and `sqrt`, in the same order |
//! | `physics_sequences` | 0 for momentum, 1e-11 for scar and resistance | only `+ - * /` and `sqrt`; another `exp` at every tick. Of `atrion-reference`, which has the mistakes, too: no departures |
//! | `softmax` | 4 + 2 beta R | subtracting the maximum rounds the exponent beta R differently, and `exp` turns an absolute error into a relative one |
//!
//! # Units
//!
//! The reference divides momentum by milliseconds, and so its damping is in ohm milliseconds;
//! ours are 1/s and ohm s. The impedance law uses only their product, in which the unit cancels.
//! The reference adds trauma per call; ours is a rate, so a call over `dt` with sigma ohms is a
//! rate of `sigma / decayed_time(lambda, dt)`.

mod learning;
mod read;
mod sequences;
mod sheet;
mod terms;

use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use sheet::Sheet;

type Check = fn(&Value, &mut Sheet) -> Result<(), String>;

/// The files and what checks them.
const FILES: [(&str, Check); 8] = [
    ("normalize", terms::normalize),
    ("momentum", terms::momentum),
    ("scar", terms::scar),
    ("resistance", terms::resistance),
    ("weights", terms::weights),
    ("autotuner", learning::autotuner),
    ("softmax", learning::softmax),
    ("physics_sequences", sequences::physics_sequences),
];

/// Checks every vector file found in `dir` and prints what came of it.
///
/// The exit status is 0 if nothing mismatched, 1 if something did and 2 if there is nothing to
/// check or a file cannot be read.
pub(crate) fn run(dir: &Path) -> ExitCode {
    let sheets = match check(dir) {
        Ok(sheets) => sheets,
        Err(why) => {
            eprintln!("xtask: {why}");
            return ExitCode::from(2);
        }
    };
    for sheet in &sheets {
        sheet.print();
    }
    let mismatched: usize = sheets.iter().map(Sheet::mismatched).sum();
    println!("\n{} files, {mismatched} mismatched", sheets.len());
    if mismatched == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Checks every vector file found in `dir`.
///
/// # Errors
///
/// A sentence if none is there, or one cannot be read.
fn check(dir: &Path) -> Result<Vec<Sheet>, String> {
    let mut sheets = Vec::new();
    for (name, check) in FILES {
        let path = dir.join(name).with_extension("json");
        if !path.is_file() {
            continue;
        }
        let wrong = |why: String| format!("{}: {why}", path.display());
        let text = std::fs::read(&path).map_err(|e| wrong(e.to_string()))?;
        let file: Value = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        let mut sheet = Sheet::new(name);
        check(&file, &mut sheet).map_err(wrong)?;
        sheets.push(sheet);
    }
    if sheets.is_empty() {
        let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        return Err(format!("no vectors in {}: none of {}", dir.display(), names.join(", ")));
    }
    Ok(sheets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden")
    }

    #[test]
    fn the_committed_vectors_agree() {
        let sheets = check(&committed()).expect("readable");
        assert_eq!(sheets.len(), FILES.len(), "every kind of vector is there");
        for sheet in &sheets {
            sheet.print();
            assert_eq!(sheet.mismatched(), 0, "{}", sheet.name());
            assert!(sheet.checked() > 20, "{} checks hardly anything", sheet.name());
        }
    }

    #[test]
    fn the_smallest_change_is_a_mismatch() {
        for (name, check) in FILES {
            let path = committed().join(name).with_extension("json");
            let mut file: Value = serde_json::from_slice(&std::fs::read(path).expect("readable"))
                .expect("well-formed");
            let mut before = Sheet::new(name);
            check(&file, &mut before).expect("readable");
            assert!(read::nudge(&mut file), "{name} has nothing to change");
            let mut after = Sheet::new(name);
            check(&file, &mut after).expect("readable");
            assert!(after.mismatched() > before.mismatched(), "{name} accepted another value");
        }
    }

    #[test]
    fn a_folder_without_vectors_is_an_error() {
        let why = check(Path::new(env!("CARGO_MANIFEST_DIR"))).expect_err("nothing there");
        assert!(why.contains("normalize"), "{why}");
    }
}
