//! temporary
#![allow(missing_docs)]
use crate::error::OutOfRange;
macro_rules! u {
    ($n:ident,$u:literal) => {
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Default)]
        pub struct $n(f64);
        impl $n {
            pub const ZERO: Self = Self(0.0);
            pub fn try_new(v: f64) -> Result<Self, OutOfRange> {
                OutOfRange::check(stringify!($n), v, $u, 0.0, f64::MAX).map(Self)
            }
            pub const fn get(self) -> f64 {
                self.0
            }
        }
    };
}
u!(Ohms, "ohm");
u!(Volts, "V");
u!(PerSecond, "1/s");
impl From<crate::flow::Priority> for Volts {
    fn from(p: crate::flow::Priority) -> Self {
        Self(match p {
            crate::flow::Priority::Bulk => 1.0,
            crate::flow::Priority::Low => 5.0,
            crate::flow::Priority::Normal => 20.0,
            crate::flow::Priority::High => 50.0,
            crate::flow::Priority::Critical => 100.0,
        })
    }
}
