//! Points in calendar time, in whole seconds.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use time::{Date, Month, OffsetDateTime};

/// The seconds of a day.
pub const DAY_SECS: u64 = 86_400;

/// A point in calendar time: seconds since the start of 1970 in UTC, up to the end of 9999.
///
/// Bounded by construction, so that sums of a date and a period cannot overflow. It prints as
/// `2027-03-01T12:00:00Z`, or as `2027-03-01` at midnight, and reads the latter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u64);

impl WallTime {
    /// The start of 1970.
    pub const EPOCH: Self = Self(0);
    /// The last second of 9999.
    pub const MAX: Self = Self(253_402_300_799);

    /// The point `secs` seconds after the start of 1970; none after the end of 9999.
    pub const fn from_unix_secs(secs: u64) -> Option<Self> {
        if secs <= Self::MAX.0 { Some(Self(secs)) } else { None }
    }

    /// The seconds since the start of 1970.
    pub const fn as_unix_secs(self) -> u64 {
        self.0
    }

    /// This point and `secs` seconds, at most [`WallTime::MAX`].
    #[must_use]
    pub const fn plus_secs(self, secs: u64) -> Self {
        let sum = self.0.saturating_add(secs);
        if sum <= Self::MAX.0 { Self(sum) } else { Self::MAX }
    }

    /// This point and `days` days, at most [`WallTime::MAX`].
    #[must_use]
    pub const fn plus_days(self, days: u32) -> Self {
        self.plus_secs(days as u64 * DAY_SECS)
    }

    /// The seconds from `earlier` to here; 0 if that is not earlier.
    pub const fn secs_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The days from here until `later`, a started day counting as one; 0 if that is not later.
    pub fn days_until(self, later: Self) -> u32 {
        let days = later.secs_since(self).div_ceil(DAY_SECS);
        u32::try_from(days).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = i64::try_from(self.0).map(OffsetDateTime::from_unix_timestamp);
        let Ok(Ok(at)) = at else {
            return write!(f, "{} s after 1970", self.0);
        };
        write!(f, "{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())?;
        match at.to_hms() {
            (0, 0, 0) => Ok(()),
            (h, m, s) => write!(f, "T{h:02}:{m:02}:{s:02}Z"),
        }
    }
}

/// A text that is no date of the form `2027-03-01` from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a date has the form 2027-03-01 and lies between 1970 and 9999")]
pub struct DateError;

impl FromStr for WallTime {
    type Err = DateError;

    /// Reads a date; the point is its midnight in UTC.
    fn from_str(text: &str) -> Result<Self, DateError> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|p| p.len() == digits)?;
            let all_digits = part.bytes().all(|b| b.is_ascii_digit());
            all_digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (year, month, day) = (number(4), number(2), number(2));
        if parts.next().is_some() {
            return Err(DateError);
        }
        let date = || {
            let month = Month::try_from(u8::try_from(month?).ok()?).ok()?;
            let date = Date::from_calendar_date(year?.into(), month, u8::try_from(day?).ok()?);
            let secs = date.ok()?.midnight().assume_utc().unix_timestamp();
            Self::from_unix_secs(u64::try_from(secs).ok()?)
        };
        date().ok_or(DateError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_print_and_read_back() {
        for (secs, text) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_798_761_600, "2027-01-01"),
            (253_402_214_400, "9999-12-31"),
        ] {
            let at = WallTime::from_unix_secs(secs).unwrap();
            assert_eq!(at.to_string(), text);
            assert_eq!(text.parse(), Ok(at));
        }
        assert_eq!(WallTime::MAX.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(WallTime(1_798_761_601).to_string(), "2027-01-01T00:00:01Z");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2027",
            "2027-01",
            "2027-1-1",
            "2027-02-29",
            "2027-13-01",
            "2027-00-10",
            "1969-12-31",
            "10000-01-01",
            "+027-01-01",
            "2027-01-01-",
            "2027-01-01T00:00:00Z",
            "２027-01-01",
        ] {
            assert_eq!(text.parse::<WallTime>(), Err(DateError), "{text}");
        }
    }

    #[test]
    fn sums_stop_at_the_end_of_9999() {
        assert_eq!(WallTime::from_unix_secs(u64::MAX), None);
        assert_eq!(WallTime::from_unix_secs(WallTime::MAX.0 + 1), None);
        assert_eq!(WallTime::MAX.plus_secs(u64::MAX), WallTime::MAX);
        assert_eq!(WallTime::MAX.plus_days(u32::MAX), WallTime::MAX);
        assert_eq!(WallTime::EPOCH.secs_since(WallTime::MAX), 0);
    }

    #[test]
    fn a_started_day_counts() {
        let end = WallTime::EPOCH.plus_days(10);
        let days = |secs| WallTime(secs).days_until(end);
        assert_eq!([days(0), days(1), days(DAY_SECS), days(10 * DAY_SECS - 1)], [10, 10, 9, 1]);
        assert_eq!((days(10 * DAY_SECS), days(u64::MAX)), (0, 0));
    }
}
