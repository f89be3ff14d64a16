//! Who may pass, and which way: priorities, the decision `V > R`, and the choice among routes.

mod choice;

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

pub use choice::{Candidate, choose, probability, redirect};

use crate::units::{Ohms, Volts};

/// How much a request matters, least first.
///
/// Each priority stands for a voltage; whoever needs finer steps uses [`Volts`] directly. The
/// voltages are chosen against a base resistance of 0.1 ohm, so that every tier passes an
/// untroubled route, and far enough apart that a rising resistance sheds them one after another.
///
/// ```
/// use atrion_core::flow::Priority;
///
/// assert!(Priority::Bulk < Priority::Critical);
/// assert_eq!("normal".parse(), Ok(Priority::Normal));
/// assert_eq!(Priority::Normal.volts().get(), 20.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Priority {
    /// Background work that can be repeated at any time: 1 V.
    Bulk,
    /// Prefetching, analytics, what nobody waits for: 5 V.
    Low,
    /// Somebody waits: 20 V.
    #[default]
    Normal,
    /// Somebody pays: 50 V.
    High,
    /// Without it the rest is pointless: 100 V.
    Critical,
}

impl Priority {
    /// All priorities, least first.
    pub const ALL: [Self; 5] = [Self::Bulk, Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The voltage this priority stands for: 1, 5, 20, 50 or 100 V.
    pub const fn volts(self) -> Volts {
        match self {
            Self::Bulk => Volts::constant(1.0),
            Self::Low => Volts::constant(5.0),
            Self::Normal => Volts::constant(20.0),
            Self::High => Volts::constant(50.0),
            Self::Critical => Volts::constant(100.0),
        }
    }

    /// The tier that a voltage belongs to: the highest one whose voltage it reaches.
    ///
    /// | volts        | tier       |
    /// |--------------|------------|
    /// | below 5      | `Bulk`     |
    /// | from 5       | `Low`      |
    /// | from 20      | `Normal`   |
    /// | from 50      | `High`     |
    /// | from 100     | `Critical` |
    ///
    /// ```
    /// use atrion_core::flow::Priority;
    /// use atrion_core::units::Volts;
    ///
    /// assert_eq!(Priority::of(Volts::from(49_u32)), Priority::Normal);
    /// assert_eq!(Priority::of(Priority::High.volts()), Priority::High);
    /// ```
    #[inline]
    pub fn of(volts: Volts) -> Self {
        let volts = volts.get();
        let reaches = |tier: Self| volts >= tier.volts().get();
        if reaches(Self::Critical) {
            Self::Critical
        } else if reaches(Self::High) {
            Self::High
        } else if reaches(Self::Normal) {
            Self::Normal
        } else if reaches(Self::Low) {
            Self::Low
        } else {
            Self::Bulk
        }
    }

    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is not the name of a priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a priority is one of bulk, low, normal, high, critical")]
pub struct UnknownPriority;

impl FromStr for Priority {
    type Err = UnknownPriority;

    /// Reads a name, in upper or lower case.
    ///
    /// # Errors
    /// [`UnknownPriority`] for anything else, surrounding space included.
    fn from_str(text: &str) -> Result<Self, UnknownPriority> {
        let named = |p: &Self| p.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or(UnknownPriority)
    }
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It passes.
    Pass,
    /// It passes on another route: the index of a [`Candidate`].
    Redirect(usize),
    /// It does not pass.
    Reject(Rejection),
}

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Its voltage does not exceed the resistance.
    #[error("{voltage} does not overcome {resistance}")]
    InsufficientVoltage {
        /// The voltage of the request.
        voltage: Volts,
        /// What it would have had to exceed.
        resistance: Ohms,
    },
    /// The route is open: whatever the voltage, only probes pass.
    #[error("the circuit is open")]
    CircuitOpen,
}

impl Flow {
    /// Whether the request passes, here or elsewhere.
    pub const fn passes(self) -> bool {
        matches!(self, Self::Pass | Self::Redirect(_))
    }
}

/// PASS iff `V > R` and the circuit is not open.
///
/// ```
/// use atrion_core::flow::{Flow, Priority, Rejection, decide};
/// use atrion_core::units::Ohms;
///
/// let r = Ohms::from(20_u32);
/// assert_eq!(decide(Priority::High.volts(), r, false), Flow::Pass);
/// assert!(!decide(Priority::Normal.volts(), r, false).passes()); // 20 V against 20 ohm
/// let open = decide(Priority::Critical.volts(), r, true);
/// assert_eq!(open, Flow::Reject(Rejection::CircuitOpen));
/// ```
pub const fn decide(voltage: Volts, resistance: Ohms, open: bool) -> Flow {
    if open {
        Flow::Reject(Rejection::CircuitOpen)
    } else if voltage.overcomes(resistance) {
        Flow::Pass
    } else {
        Flow::Reject(Rejection::InsufficientVoltage { voltage, resistance })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the reference, tiers 1 and 5 never pass an idle route.
    #[test]
    fn every_tier_passes_an_idle_route() {
        let idle = crate::config::PhysicsConfig::default().base_ohms();
        for priority in Priority::ALL {
            assert_eq!(decide(priority.volts(), Ohms::try_new(idle).unwrap(), false), Flow::Pass);
        }
    }

    #[test]
    fn a_rising_resistance_sheds_the_cheap_tiers_first() {
        let shed = |ohms: u32| {
            let passes = |p: &Priority| decide(p.volts(), Ohms::from(ohms), false).passes();
            Priority::ALL.into_iter().filter(|p| !passes(p)).count()
        };
        assert_eq!([0, 1, 5, 20, 50, 100].map(shed), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn names_and_voltages_are_in_order() {
        for pair in Priority::ALL.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].volts() < pair[1].volts());
        }
        for priority in Priority::ALL {
            assert_eq!(priority.as_str().parse(), Ok(priority));
            assert_eq!(priority.as_str().to_ascii_uppercase().parse(), Ok(priority));
        }
        for (volts, tier) in [
            (0_u32, Priority::Bulk),
            (4, Priority::Bulk),
            (5, Priority::Low),
            (19, Priority::Low),
            (20, Priority::Normal),
            (50, Priority::High),
            (99, Priority::High),
            (100, Priority::Critical),
            (1_000_000, Priority::Critical),
        ] {
            assert_eq!(Priority::of(Volts::from(volts)), tier, "{volts} V");
        }
        for text in ["", " high", "urgent", "4"] {
            assert_eq!(text.parse::<Priority>(), Err(UnknownPriority), "{text:?}");
        }
    }
}
