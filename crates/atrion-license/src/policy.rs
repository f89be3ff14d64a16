//! What a licence that does not work does to a program that starts.

use thiserror::Error;

use crate::status::Status;

/// What a missing, invalid or long expired licence means for the start of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LicensePolicy {
    /// The program starts; commercial features work in memory until there is a licence, and one
    /// error says so. The default.
    #[default]
    Lenient,
    /// The program's `build()` fails. A licence that ends while the program runs never stops it.
    Strict,
}

/// A start that [`LicensePolicy::Strict`] refuses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{status} (the strict licence policy makes this an error)")]
pub struct StrictRefusal {
    /// How the licence stands.
    pub status: Status,
}

impl LicensePolicy {
    /// Whether a program whose licence stands like this may start.
    ///
    /// # Errors
    ///
    /// [`StrictRefusal`] if the policy is strict and the licence does not work.
    pub fn judge(self, status: &Status) -> Result<(), StrictRefusal> {
        match self {
            Self::Strict if !status.is_usable() => Err(StrictRefusal { status: status.clone() }),
            Self::Lenient | Self::Strict => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::LicenseError;
    use crate::time::WallTime;

    #[test]
    fn only_the_strict_policy_refuses_and_only_what_does_not_work() {
        let time = WallTime::EPOCH;
        for status in [
            Status::Valid { expires: time, days_left: 90 },
            Status::Expiring { expires: time, days_left: 1 },
            Status::Grace { expired: time, grace_ends: time, days_left: 1 },
            Status::Expired { expired: time },
            Status::Missing,
            Status::Invalid(LicenseError::Empty),
        ] {
            assert_eq!(LicensePolicy::default().judge(&status), Ok(()));
            assert_eq!(LicensePolicy::Strict.judge(&status).is_ok(), status.is_usable());
        }
    }
}
