//! What came of one vector file.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::read;

/// Mismatches shown per file; all are counted.
const SHOWN: usize = 10;

/// Why we give another answer than the reference, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Departure {
    /// NaN or an infinity among the inputs. The reference turns it into 0 or 1, so that an
    /// infinite latency reads as idle and a NaN resistance as none at all; we refuse it.
    NotANumber,
    /// A text, a truth value or nothing where a number is due. The reference reads it as 0; ours
    /// does not compile.
    Untyped,
    /// A time step below zero. The reference lets it amplify scars and gives negative momentum;
    /// we refuse it.
    BackwardTime,
    /// A baseline or a scale that is not positive. The reference switches the signal off or turns
    /// it round; we refuse it.
    Baseline,
    /// A number outside the domain of its quantity: pressure beyond 1, negative ohms, weights or
    /// steepness, criticality beyond 0 to 10, a floor above the ceiling. The reference computes
    /// on; we refuse it.
    OutOfDomain,
    /// A result too large for a number. The reference says 0, that is calm; we say the largest
    /// value there is.
    Overflow,
    /// Trauma in a step of no time. The reference adds its full amount per call; ours is per
    /// second, so no time adds nothing.
    TraumaInNoTime,
    /// A scar that has faded for 745 time constants. The reference cuts it to 0; ours is one of
    /// the smallest doubles until it is 0 by itself.
    DecayCut,
    /// What the tuner learned after an observation that we refuse: the reference has learned it
    /// (after one infinity it knows only NaN), we have not.
    LearnedPoison,
    /// Resistances so high that every unnormalised term of the reference's softmax underflows:
    /// it gets NaN or a few significant bits and picks the last route; we subtract the maximum.
    Underflow,
    /// A draw of exactly 0. The reference picks the first route even if its probability is 0; we
    /// never pick an impossible one.
    ImpossibleRoute,
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "NaN or infinite input refused",
            Self::Untyped => "input that is no number does not compile",
            Self::BackwardTime => "time step below zero refused",
            Self::Baseline => "baseline or scale not positive refused",
            Self::OutOfDomain => "input outside its domain refused",
            Self::Overflow => "overflow is the largest value and not calm",
            Self::TraumaInNoTime => "trauma is per second, so none in no time",
            Self::DecayCut => "decay is not cut before it reaches 0",
            Self::LearnedPoison => "refused observation not learned",
            Self::Underflow => "softmax survives high resistances",
            Self::ImpossibleRoute => "impossible route not chosen by a draw of 0",
        })
    }
}

/// What our function has to do with a case.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    /// Agree with the reference to this many ulp.
    Same(u64),
    /// Refuse the input.
    Refused(Departure),
    /// Give this value instead, to this many ulp.
    Instead(Departure, f64, u64),
}

/// The count of one file.
#[derive(Debug)]
pub(super) struct Sheet {
    name: &'static str,
    checked: usize,
    departures: BTreeMap<Departure, usize>,
    mismatched: usize,
    shown: Vec<String>,
    worst: u64,
}

impl Sheet {
    pub(super) fn new(name: &'static str) -> Self {
        let departures = BTreeMap::new();
        Self { name, checked: 0, departures, mismatched: 0, shown: Vec::new(), worst: 0 }
    }

    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        self.name
    }

    /// Values that were compared with the reference's.
    #[cfg(test)]
    pub(super) fn checked(&self) -> usize {
        self.checked
    }

    pub(super) fn mismatched(&self) -> usize {
        self.mismatched
    }

    /// Compares one value with what is due.
    pub(super) fn settle<E: fmt::Display>(
        &mut self,
        case: &Value,
        due: Due,
        ours: &Result<f64, E>,
        reference: f64,
    ) {
        match (due, ours) {
            (Due::Same(tolerance), Ok(ours)) => {
                self.checked += 1;
                let off = ulps(*ours, reference);
                if off <= tolerance {
                    self.worst = self.worst.max(off);
                } else {
                    let why = format!("{ours} is {off} ulp off {reference}");
                    self.mismatch(case, &why);
                }
            }
            (Due::Same(_), Err(why)) => self.mismatch(case, &format!("refused: {why}")),
            (Due::Refused(class), Err(_)) => self.departed(class),
            (Due::Refused(class), Ok(ours)) => {
                self.mismatch(case, &format!("gave {ours}, but {class}"));
            }
            (Due::Instead(class, instead, tolerance), Ok(ours))
                if ulps(*ours, instead) <= tolerance =>
            {
                self.departed(class);
            }
            (Due::Instead(class, instead, _), Ok(ours)) => {
                self.mismatch(case, &format!("gave {ours} instead of {instead}, but {class}"));
            }
            (Due::Instead(class, ..), Err(why)) => {
                self.mismatch(case, &format!("refused ({why}), but {class}"));
            }
        }
    }

    /// Compares one value with the reference's, to `tolerance` times the larger of it and 1.
    pub(super) fn near(
        &mut self,
        case: impl FnOnce() -> Value,
        ours: f64,
        reference: f64,
        tolerance: f64,
    ) {
        let scale = if reference.abs() > 1.0 { reference.abs() } else { 1.0 };
        // Written so that NaN is a mismatch.
        if (ours - reference).abs() <= tolerance * scale {
            self.checked += 1;
        } else {
            self.mismatch(&case(), &format!("{ours} is not {reference}"));
        }
    }

    /// Compares a state with the reference's.
    pub(super) fn state<T: PartialEq + fmt::Debug>(
        &mut self,
        case: impl FnOnce() -> Value,
        ours: &T,
        reference: &T,
    ) {
        if ours == reference {
            self.checked += 1;
        } else {
            self.mismatch(&case(), &format!("is {ours:?} instead of {reference:?}"));
        }
    }

    /// Compares a choice.
    pub(super) fn choice(&mut self, case: &Value, ours: Option<usize>, reference: Option<usize>) {
        if ours == reference {
            self.checked += 1;
        } else {
            self.mismatch(case, &format!("chose {ours:?} instead of {reference:?}"));
        }
    }

    pub(super) fn departed(&mut self, class: Departure) {
        *self.departures.entry(class).or_default() += 1;
    }

    pub(super) fn mismatch(&mut self, case: &Value, why: &str) {
        self.mismatched += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{why}\n      in {}", read::short(case)));
        }
    }

    pub(super) fn print(&self) {
        let departures: usize = self.departures.values().sum();
        println!(
            "{}: checked {}, departures {departures}, mismatched {}, worst {} ulp",
            self.name, self.checked, self.mismatched, self.worst
        );
        for (class, count) in &self.departures {
            println!("    {count:>5}  {class}");
        }
        for mismatch in &self.shown {
            println!("    MISMATCH: {mismatch}");
        }
    }
}

/// How many doubles lie between two; 0 for equal ones, both zeros and both NaN included.
fn ulps(a: f64, b: f64) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u64::MAX };
    }
    // Doubles of one sign are in the order of their bits; mirror the negative half.
    let place = |x: f64| {
        let bits = x.to_bits();
        let magnitude = i128::from(bits & (u64::MAX >> 1));
        if x.is_sign_negative() { -magnitude } else { magnitude }
    };
    u64::try_from((place(a) - place(b)).unsigned_abs()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulps_count_the_doubles_between() {
        assert_eq!(ulps(1.0, 1.0 + f64::EPSILON), 1);
        assert_eq!(ulps(0.0, -0.0), 0);
        assert_eq!(ulps(f64::from_bits(1), -f64::from_bits(1)), 2);
        assert_eq!(ulps(f64::NAN, f64::NAN), 0);
        assert_eq!(ulps(f64::NAN, 1.0), u64::MAX);
        assert_eq!(ulps(f64::MAX, f64::INFINITY), 1);
    }
}
