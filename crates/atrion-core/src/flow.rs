//! Who may pass: priorities and the voltages they stand for.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::units::Volts;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_voltages_are_in_order() {
        for pair in Priority::ALL.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].volts() < pair[1].volts());
        }
        for priority in Priority::ALL {
            assert_eq!(priority.as_str().parse(), Ok(priority));
            assert_eq!(priority.as_str().to_ascii_uppercase().parse(), Ok(priority));
        }
        for text in ["", " high", "urgent", "4"] {
            assert_eq!(text.parse::<Priority>(), Err(UnknownPriority), "{text:?}");
        }
    }
}
