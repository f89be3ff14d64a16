//! From paired runs to a verdict.

use atrion_core::math;
use serde::Serialize;

use crate::report::Spread;

/// Standard errors beyond which a mean difference is no chance.
const ERRORS: f64 = 2.0;

/// What the runs say about a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// True beyond chance.
    Holds,
    /// False beyond chance.
    Fails,
    /// The spread is too large, or the runs are too few.
    Undecided,
}

impl Finding {
    /// Whether the mean of `differences` is above zero. A single one, or an infinite one that is
    /// not the only kind, decides nothing unless all are on one side.
    pub fn positive(differences: &[f64]) -> Self {
        let Some(spread) = Spread::of(differences.iter().copied()) else { return Self::Undecided };
        if differences.len() > 1 && differences.iter().all(|d| *d > 0.0) {
            return Self::Holds;
        }
        if differences.len() > 1 && differences.iter().all(|d| *d <= 0.0) {
            return Self::Fails;
        }
        if differences.len() < 2 || !spread.mean.is_finite() {
            return Self::Undecided;
        }
        let error = spread.sd / math::sqrt(differences.len() as f64);
        if spread.mean > ERRORS * error {
            Self::Holds
        } else if spread.mean < -ERRORS * error {
            Self::Fails
        } else {
            Self::Undecided
        }
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Undecided => "is undecided",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Finding;

    #[test]
    fn only_what_is_beyond_chance_decides() {
        for (differences, finding) in [
            (&[1.0, 1.2, 0.8][..], Finding::Holds),
            (&[-1.0, -1.2, -0.8], Finding::Fails),
            (&[0.0, 0.0, 0.0], Finding::Fails),
            (&[1.0, -1.0, 1.0, -1.0], Finding::Undecided),
            (&[5.0, 5.1, 4.9, 5.0, -0.1], Finding::Holds),
            (&[f64::INFINITY, f64::INFINITY], Finding::Holds),
            (&[f64::INFINITY, -1.0], Finding::Undecided),
            (&[3.0], Finding::Undecided),
            (&[], Finding::Undecided),
            (&[f64::NAN, 1.0], Finding::Undecided),
        ] {
            assert_eq!(Finding::positive(differences), finding, "{differences:?}");
        }
    }
}
