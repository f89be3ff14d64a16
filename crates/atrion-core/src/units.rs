//! Quantities that are finite and not negative by construction.
//!
//! A bare `f64` can be NaN, infinite or negative, and every formula that accepts one has to
//! decide what that means. Here the decision is made once, when the number enters: whoever holds
//! an [`Ohms`] holds a finite number that is not negative. Arithmetic exists only where it stays
//! in the domain; sums stop at the largest finite number.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::iter::Sum;
use core::ops::{Add, AddAssign, Mul};

use crate::error::OutOfRange;
use crate::flow::Priority;
use crate::math;

/// What all quantities share: construction, reading, order, display and serde.
macro_rules! quantity {
    ($(#[doc = $doc:literal])* $name:ident: $field:literal, $unit:literal, up to $max:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "f64", into = "f64"))]
        pub struct $name(f64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0.0);
            /// The largest value of this quantity.
            pub const MAX: Self = Self($max);

            /// The quantity of this value.
            ///
            /// # Errors
            /// [`OutOfRange`] if `value` is NaN, infinite, negative or above the domain.
            pub fn try_new(value: f64) -> Result<Self, OutOfRange> {
                // Adding zero turns -0 into 0, so that equal values have equal bits.
                OutOfRange::check($field, value, $unit, 0.0, $max).map(|v| Self(v + 0.0))
            }

            /// A constant of the source code; does not compile if it is out of the domain.
            #[allow(dead_code, reason = "not every quantity has constants")]
            pub(crate) const fn constant(value: f64) -> Self {
                assert!(value >= 0.0 && value <= $max, "constant outside its domain");
                Self(value + 0.0)
            }

            /// A computed value whose formula cannot leave the domain except by rounding or
            /// overflow at its upper end. NaN, which cannot occur, becomes the upper end: what is
            /// not known has to look like resistance, never like its absence.
            #[allow(dead_code, reason = "not every quantity is computed")]
            pub(crate) fn computed(value: f64) -> Self {
                debug_assert!(!value.is_nan(), concat!($field, " computed as NaN"));
                if value <= 0.0 {
                    Self::ZERO
                } else if value < $max {
                    Self(value)
                } else {
                    Self::MAX
                }
            }

            /// The value: finite, not negative, never -0.
            pub const fn get(self) -> f64 {
                self.0
            }

            /// Whether this is exactly nothing.
            pub const fn is_zero(self) -> bool {
                self.0 == 0.0
            }
        }

        // Without NaN and -0, equality of bits is equality of values and the order is total.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.to_bits() == other.0.to_bits()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.total_cmp(&other.0)
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.to_bits().hash(state);
            }
        }

        impl fmt::Display for $name {
            /// The value in its unit; a precision applies to the number.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)?;
                if $unit.is_empty() { Ok(()) } else { write!(f, " {}", $unit) }
            }
        }

        impl TryFrom<f64> for $name {
            type Error = OutOfRange;
            fn try_from(value: f64) -> Result<Self, OutOfRange> {
                Self::try_new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(quantity: $name) -> f64 {
                quantity.0
            }
        }

        /// Takes a share of the quantity.
        impl Mul<UnitInterval> for $name {
            type Output = Self;
            fn mul(self, share: UnitInterval) -> Self {
                Self(self.0 * share.0)
            }
        }
    };
}

/// Sums and differences for quantities without an upper bound of their own.
macro_rules! additive {
    ($name:ident) => {
        impl $name {
            /// `self - other`, or zero if `other` is larger.
            #[must_use]
            pub const fn saturating_sub(self, other: Self) -> Self {
                if self.0 > other.0 { Self(self.0 - other.0) } else { Self::ZERO }
            }
        }

        /// The sum; it stops at the largest finite number.
        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(math::min(self.0 + other.0, f64::MAX))
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
                parts.fold(Self::ZERO, |sum, part| sum + part)
            }
        }
    };
}

quantity! {
    /// Resistance R, scar tissue S, staleness U and their like, in ohms.
    ///
    /// ```
    /// use atrion_core::units::Ohms;
    ///
    /// let r = Ohms::try_new(0.1)? + Ohms::try_new(3.2)?;
    /// assert_eq!(format!("{r:.1}"), "3.3 ohm");
    /// assert!(Ohms::try_new(f64::NAN).is_err());
    /// assert!(Ohms::try_new(-1.0).is_err());
    /// # Ok::<(), atrion_core::error::OutOfRange>(())
    /// ```
    Ohms: "resistance", "ohm", up to f64::MAX
}
additive!(Ohms);

quantity! {
    /// Voltage V of a request: its priority, given by the caller, never computed by the engine.
    ///
    /// ```
    /// use atrion_core::{flow::Priority, units::{Ohms, Volts}};
    ///
    /// let v = Volts::from(Priority::High);
    /// assert_eq!(v.to_string(), "50 V");
    /// assert!(v.overcomes(Ohms::try_new(49.9)?));
    /// assert!(!v.overcomes(Ohms::try_new(50.0)?)); // strictly more is needed
    /// # Ok::<(), atrion_core::error::OutOfRange>(())
    /// ```
    Volts: "voltage", "V", up to f64::MAX
}
additive!(Volts);

quantity! {
    /// A rate, such as momentum M, in 1/s.
    ///
    /// ```
    /// use atrion_core::units::PerSecond;
    ///
    /// assert_eq!(PerSecond::try_new(2.5)?.to_string(), "2.5 1/s");
    /// # Ok::<(), atrion_core::error::OutOfRange>(())
    /// ```
    PerSecond: "rate", "1/s", up to f64::MAX
}
additive!(PerSecond);

quantity! {
    /// How much a route has seen lately, in requests, decayed with age.
    ///
    /// ```
    /// use atrion_core::units::{Evidence, UnitInterval};
    ///
    /// let seen = Evidence::from(8_u32) + Evidence::from(2_u32);
    /// assert_eq!((seen * UnitInterval::HALF).get(), 5.0);
    /// # Ok::<(), atrion_core::error::OutOfRange>(())
    /// ```
    Evidence: "evidence", "requests", up to f64::MAX
}
additive!(Evidence);

quantity! {
    /// A share or a probability, in `[0, 1]`.
    ///
    /// ```
    /// use atrion_core::units::UnitInterval;
    ///
    /// let gamma = UnitInterval::try_new(0.25)?;
    /// assert_eq!(gamma.complement().get(), 0.75);
    /// assert!(UnitInterval::try_new(1.01).is_err());
    /// # Ok::<(), atrion_core::error::OutOfRange>(())
    /// ```
    UnitInterval: "share", "", up to 1.0
}

impl UnitInterval {
    /// Half of it.
    pub const HALF: Self = Self(0.5);
    /// All of it.
    pub const ONE: Self = Self(1.0);

    /// What is missing to 1.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(1.0 - self.0)
    }
}

impl Volts {
    /// Whether a request of this voltage passes this resistance: `V > R`, strictly.
    pub const fn overcomes(self, resistance: Ohms) -> bool {
        self.0 > resistance.0
    }
}

impl From<Priority> for Volts {
    fn from(priority: Priority) -> Self {
        priority.volts()
    }
}

/// Whole numbers are always in the domain, so they need no check.
macro_rules! whole {
    ($($name:ident),*) => {$(
        impl From<u16> for $name {
            fn from(value: u16) -> Self {
                Self(f64::from(value))
            }
        }

        impl From<u32> for $name {
            fn from(value: u32) -> Self {
                Self(f64::from(value))
            }
        }
    )*};
}
whole!(Ohms, Volts, Evidence);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_outside_the_domain_becomes_a_quantity() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE] {
            assert!(Ohms::try_new(bad).is_err(), "{bad}");
            assert!(Volts::try_new(bad).is_err(), "{bad}");
            assert!(PerSecond::try_new(bad).is_err(), "{bad}");
            assert!(Evidence::try_new(bad).is_err(), "{bad}");
            assert!(UnitInterval::try_new(bad).is_err(), "{bad}");
        }
        let error = Volts::try_new(-3.0).unwrap_err();
        assert_eq!((error.field, error.value, error.unit), ("voltage", -3.0, "V"));
    }

    #[test]
    fn negative_zero_is_zero() {
        assert_eq!(Ohms::try_new(-0.0).unwrap(), Ohms::ZERO);
        assert!(Ohms::try_new(-0.0).unwrap().get().is_sign_positive());
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        assert_eq!(Ohms::MAX + Ohms::MAX, Ohms::MAX);
        assert_eq!([Ohms::MAX, Ohms::MAX].into_iter().sum::<Ohms>(), Ohms::MAX);
        assert_eq!(Ohms::ZERO.saturating_sub(Ohms::MAX), Ohms::ZERO);
    }

    #[test]
    fn what_cannot_be_computed_looks_like_resistance() {
        assert_eq!(Ohms::computed(f64::INFINITY), Ohms::MAX);
        assert_eq!(Ohms::computed(-1e-18), Ohms::ZERO);
    }

    proptest! {
        #[test]
        fn order_and_equality_agree_with_the_numbers(a in 0.0..1e9_f64, b in 0.0..1e9_f64) {
            let (x, y) = (Ohms::try_new(a).unwrap(), Ohms::try_new(b).unwrap());
            prop_assert_eq!(x.partial_cmp(&y), a.partial_cmp(&b));
            prop_assert_eq!(Some(x.cmp(&y)), a.partial_cmp(&b));
        }

        #[test]
        fn arithmetic_stays_in_the_domain(a in 0.0..f64::MAX, b in 0.0..f64::MAX, s in 0.0..=1.0) {
            let (x, y) = (Ohms::try_new(a).unwrap(), Ohms::try_new(b).unwrap());
            let share = UnitInterval::try_new(s).unwrap();
            for r in [x + y, x.saturating_sub(y), x * share, x * share.complement()] {
                prop_assert!(r.get().is_finite() && r.get() >= 0.0);
            }
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn files_cannot_bypass_the_domain() {
        assert_eq!(serde_json::from_str::<Volts>("20").unwrap(), Volts::from(20_u32));
        assert_eq!(serde_json::to_string(&Volts::from(20_u32)).unwrap(), "20.0");
        let error = serde_json::from_str::<Volts>("-1").unwrap_err();
        assert!(error.to_string().contains("voltage is -1 V"), "{error}");
        assert!(serde_json::from_str::<UnitInterval>("1.5").is_err());
    }
}
