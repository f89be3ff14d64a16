use super::*;
use crate::tier::Tier;

/// Issued on day 1000, from day 1010 to day 1400.
fn claims(tier: Tier) -> Claims {
    let day = |n| WallTime::EPOCH.plus_days(n);
    Claims {
        key_id: "k".parse().unwrap(),
        licence_id: "l".parse().unwrap(),
        licensee: "Ada".to_owned(),
        tier,
        clusters: None,
        issued: day(1000),
        not_before: day(1010),
        expires: day(1400),
    }
}

/// The status `offset` seconds from the start of a day.
fn at(tier: Tier, day: u32, offset: i64) -> Status {
    let now = WallTime::EPOCH.plus_days(day).as_unix_secs().checked_add_signed(offset);
    Status::of(&claims(tier), WallTime::from_unix_secs(now.unwrap()).unwrap())
}

#[test]
fn every_boundary_second_falls_on_its_side() {
    for (day, before, after) in [
        (999, "clock_behind", "not_yet_valid"),
        (1009, "not_yet_valid", "valid"),
        (1370, "valid", "expiring"),
        (1400, "expiring", "grace"),
        (1430, "grace", "expired"),
    ] {
        let name = |status: Status| match status {
            Status::Invalid(why) => why.code(),
            other => other.code(),
        };
        let found = [name(at(Tier::Pro, day, -1)), name(at(Tier::Pro, day, 0))];
        assert_eq!(found, [before, after], "day {day}");
    }
}

#[test]
fn development_warns_for_three_days_and_has_no_grace() {
    for (day, before, after) in [(1397, "valid", "expiring"), (1400, "expiring", "expired")] {
        let found = [at(Tier::Development, day, -1).code(), at(Tier::Development, day, 0).code()];
        assert_eq!(found, [before, after], "day {day}");
    }
}

#[test]
fn days_left_count_down_to_one() {
    let left = |day, offset| at(Tier::Pro, day, offset).days_left();
    assert_eq!([left(1010, 0), left(1399, 0), left(1400, -1)], [Some(390), Some(1), Some(1)]);
    assert_eq!([left(1400, 0), left(1430, -1), left(1430, 0)], [Some(30), Some(1), None]);
}

#[test]
fn a_licence_works_exactly_from_its_start_to_the_end_of_its_grace() {
    for day in 0..3000 {
        let status = at(Tier::Enterprise, day, 0);
        assert_eq!(status.is_usable(), (1009..1430).contains(&day), "day {day}: {status}");
        assert_eq!(status.is_usable(), status.severity() < Severity::Error);
        assert_eq!(status.is_usable(), status.days_left().is_some());
        assert!(Status::CODES.contains(&status.code()));
    }
    assert_eq!(Status::of(&claims(Tier::Pro), WallTime::MAX).code(), "expired");
}

#[test]
fn each_status_says_what_to_do() {
    for (status, expected) in [
        (at(Tier::Pro, 1300, 0), "valid until 1973-11-01 (100 days left)"),
        (at(Tier::Pro, 1399, 1), "in 1 day; renew"),
        (at(Tier::Pro, 1401, 0), "until 1973-12-01, for 29 days; renew"),
        (at(Tier::Pro, 1500, 0), "not affected; renew"),
        (at(Tier::Pro, 0, 0), "set the clock"),
        (Status::Missing, "set ATRION_LICENSE_KEY"),
        (Status::Invalid(LicenseError::Signature), "not accepted: its signature does not match"),
    ] {
        let text = status.to_string();
        assert!(text.contains(expected), "{text}");
    }
}
