//! A measured number with its spread.

use atrion_core::math;

/// Why something is no figure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum FigureError {
    /// A part of it is not a number.
    #[error("{field} is not a number")]
    NotANumber { field: String },
    /// The value is outside its own spread.
    #[error("{field} is {value}, its own spread is {low} to {high}")]
    Disordered { field: String, value: f64, low: f64, high: f64 },
    /// Nothing was measured.
    #[error("{field} has no values, at least one is needed")]
    Empty { field: String },
}

/// A value and the interval that says how sure it is. Never NaN; infinite for what never happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    value: f64,
    low: f64,
    high: f64,
}

impl Figure {
    /// A value with its spread; `field` names it in the error.
    pub(crate) fn try_new(
        field: &str,
        value: f64,
        low: f64,
        high: f64,
    ) -> Result<Self, FigureError> {
        if [value, low, high].iter().any(|x| x.is_nan()) {
            return Err(FigureError::NotANumber { field: field.to_owned() });
        }
        if low > value || value > high {
            return Err(FigureError::Disordered { field: field.to_owned(), value, low, high });
        }
        Ok(Self { value, low, high })
    }

    /// A value measured once.
    pub(crate) fn once(field: &str, value: f64) -> Result<Self, FigureError> {
        Self::try_new(field, value, value, value)
    }

    /// The mean of several values, with the least and the greatest of them as its spread.
    pub(crate) fn mean_of(field: &str, values: &[f64]) -> Result<Self, FigureError> {
        let Some(first) = values.first() else {
            return Err(FigureError::Empty { field: field.to_owned() });
        };
        let low = values.iter().fold(*first, |a, b| math::min(a, *b));
        let high = values.iter().fold(*first, |a, b| math::max(a, *b));
        let sum: f64 = values.iter().sum();
        // Rounding may put the mean of equal values a hair beside them.
        let mean = math::clamp(sum / values.len() as f64, low, high);
        Self::try_new(field, mean, low, high)
    }

    pub(crate) const fn value(self) -> f64 {
        self.value
    }

    pub(crate) const fn low(self) -> f64 {
        self.low
    }

    pub(crate) const fn high(self) -> f64 {
        self.high
    }

    /// This figure in another unit; `factor` is positive.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }

    /// What this adds to a baseline. Nothing costs less than nothing: what noise makes negative
    /// is 0.
    pub(crate) fn beyond(self, baseline: Self) -> Self {
        let above = |x: f64| math::max(0.0, x);
        Self {
            value: above(self.value - baseline.value),
            low: above(self.low - baseline.high),
            high: above(self.high - baseline.low),
        }
    }

    /// How often `scale` per this: a time becomes a rate.
    pub(crate) fn inverse(self, scale: f64) -> Option<Self> {
        (self.low > 0.0 && self.high.is_finite()).then(|| Self {
            value: scale / self.value,
            low: scale / self.high,
            high: scale / self.low,
        })
    }

    /// This over the other, with the widest spread that both allow. `None` if the other is 0 or
    /// either is infinite.
    pub(crate) fn over(self, other: Self) -> Option<Self> {
        if other.value <= 0.0 || !other.value.is_finite() || !self.value.is_finite() {
            return None;
        }
        let high = if other.low > 0.0 { self.high / other.low } else { f64::INFINITY };
        let low = if other.high.is_finite() { self.low / other.high } else { 0.0 };
        Some(Self { value: self.value / other.value, low, high })
    }

    /// Whether the spread takes in `bound` without being it.
    pub(crate) fn straddles(self, bound: f64) -> bool {
        self.low < bound && bound < self.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, low: f64, high: f64) -> Figure {
        Figure::try_new("x", value, low, high).expect("in order")
    }

    #[test]
    fn what_is_not_a_number_or_not_in_order_is_refused_by_name() {
        for (value, low, high) in [(f64::NAN, 0.0, 1.0), (0.5, f64::NAN, 1.0), (0.5, 0.0, f64::NAN)]
        {
            let why = Figure::try_new("median", value, low, high).expect_err("no number");
            assert_eq!(why.to_string(), "median is not a number");
        }
        let why = Figure::try_new("median", 3.0, 1.0, 2.0).expect_err("outside");
        assert_eq!(why.to_string(), "median is 3, its own spread is 1 to 2");
        let why = Figure::mean_of("goodput", &[]).expect_err("nothing");
        assert_eq!(why.to_string(), "goodput has no values, at least one is needed");
        assert!(Figure::mean_of("goodput", &[1.0, f64::NAN]).is_err());
    }

    #[test]
    fn a_mean_lies_between_the_least_and_the_greatest() {
        let mean = Figure::mean_of("x", &[1.0, 4.0, 2.5]).expect("finite");
        assert_eq!(mean, figure(2.5, 1.0, 4.0));
        let same = Figure::mean_of("x", &[0.1; 10]).expect("finite");
        assert_eq!(same, figure(0.1, 0.1, 0.1));
        let never = Figure::mean_of("x", &[1.0, f64::INFINITY]).expect("never is an answer");
        assert!(never.value().is_infinite());
    }

    #[test]
    fn a_ratio_carries_the_spread_of_both() {
        let ratio = figure(6.0, 5.0, 8.0).over(figure(3.0, 2.0, 4.0)).expect("not zero");
        assert_eq!(ratio, figure(2.0, 1.25, 4.0));
        assert_eq!(figure(1.0, 1.0, 1.0).over(figure(0.0, 0.0, 0.0)), None);
        let open = figure(1.0, 1.0, 1.0).over(figure(1.0, 0.0, 2.0)).expect("not zero");
        assert!(open.high().is_infinite());
        assert_eq!(figure(1.0, 1.0, 1.0).over(figure(f64::INFINITY, 1.0, f64::INFINITY)), None);
    }

    #[test]
    fn what_a_layer_adds_is_never_negative() {
        assert_eq!(figure(9.0, 8.0, 11.0).beyond(figure(3.0, 2.0, 4.0)), figure(6.0, 4.0, 9.0));
        assert_eq!(figure(1.0, 1.0, 1.0).beyond(figure(3.0, 2.0, 4.0)), figure(0.0, 0.0, 0.0));
    }

    #[test]
    fn a_time_becomes_a_rate() {
        let rate = figure(50.0, 40.0, 100.0).inverse(1000.0).expect("positive");
        assert_eq!(rate, figure(20.0, 10.0, 25.0));
        assert_eq!(figure(0.0, 0.0, 1.0).inverse(1.0), None);
    }

    #[test]
    fn a_bound_at_the_edge_is_not_within_the_spread() {
        assert!(figure(2.0, 1.0, 3.0).straddles(2.5));
        assert!(!figure(2.0, 1.0, 3.0).straddles(3.0));
        assert!(!figure(2.0, 2.0, 2.0).straddles(2.0));
    }
}
