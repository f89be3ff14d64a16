//! Rotation, replacement, the clock and the events, as a program sees them.

mod common;

use std::sync::Arc;

use atrion_license::keyring::Standing;
use atrion_license::places::{Admission, Registration};
use atrion_license::{
    ClockGuard, Event, Feature, KeySource, Keyring, LicenseMonitor, LicensePolicy, Severity,
    Status, Tier, WallTime,
};
use common::{issued, key, ring, terms, vendor};

fn test_ring() -> Keyring {
    ring(&[&vendor("test-1", 7)])
}

fn start(source: &KeySource, now: WallTime) -> (LicenseMonitor, Vec<Event>) {
    LicenseMonitor::start(test_ring(), ClockGuard::new(), source, now)
}

fn inline(key: impl Into<String>) -> KeySource {
    KeySource::Inline(key.into())
}

fn nothing() -> KeySource {
    KeySource::Env("ATRION_NOT_SET_ANYWHERE".to_owned())
}

#[test]
fn a_licence_of_today_is_signed_as_ever() {
    // Ed25519 signatures are deterministic. If this changes, keys that customers hold break.
    assert_eq!(key(Tier::Pro), include_str!("golden/pro.key").trim_end());
}

#[test]
fn keys_rotate_without_breaking_a_licence_in_use() {
    let (old, new) = (vendor("a", 1), vendor("b", 2));
    let retired = |since| {
        let mut ring = ring(&[&new]);
        let standing = Standing::Retired { since };
        ring.add(old.public_key().expect("good").with_standing(standing)).expect("new");
        ring
    };
    let before = old.issue(&terms(Tier::Pro)).expect("allowed");
    let after = new.issue(&terms(Tier::Pro)).expect("allowed");
    let ring = retired(issued().plus_secs(1));
    assert!(ring.verify(&before).is_ok(), "issued in the last second before");
    assert!(ring.verify(&after).is_ok());
    let why = retired(issued()).verify(&before).expect_err("issued too late");
    assert_eq!(why.code(), "retired_signer");
}

#[test]
fn a_revoked_key_signs_nothing() {
    let stolen = vendor("a", 1);
    let mut ring = Keyring::default();
    let key = stolen.public_key().expect("good").with_standing(Standing::Revoked);
    ring.add(key).expect("new");
    let licence = stolen.issue(&terms(Tier::Enterprise)).expect("allowed");
    assert_eq!(ring.verify(&licence).map_err(|e| e.code()), Err("revoked_signer"));
}

#[test]
fn one_event_for_each_change_and_one_reminder_a_day() {
    let (monitor, events) = start(&inline(key(Tier::Pro)), issued());
    assert!(matches!(&events[..], [Event::Changed { from: None, to }] if to.code() == "valid"));
    let mut seen = Vec::new();
    let mut reminders = 0;
    for hour in 0..24 * 450 {
        for event in monitor.check(issued().plus_secs(hour * 3600)) {
            match event {
                Event::Changed { from, to } => {
                    let from = from.map_or("", |status| status.code());
                    seen.push((hour / 24, from, to.code(), to.severity()));
                }
                Event::Reminder(status) => {
                    assert_eq!(status.severity(), Severity::Warning);
                    reminders += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let expected = [
        (335, "valid", "expiring", Severity::Warning),
        (365, "expiring", "grace", Severity::Warning),
        (395, "grace", "expired", Severity::Error),
    ];
    assert_eq!(seen, expected);
    assert_eq!(reminders, 58, "29 days of each period");
}

#[test]
fn nothing_works_without_a_licence_and_the_reason_is_told_once() {
    for (source, code) in [
        (nothing(), "missing"),
        (inline(""), "missing"),
        (inline(" \n"), "missing"),
        (inline("hello"), "invalid"),
        (KeySource::File("/no/such/file".into()), "invalid"),
    ] {
        let (monitor, events) = start(&source, issued());
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.severity(), Severity::Error);
        assert!(!event.to_string().contains("hello"));
        assert_eq!(monitor.status(issued()).code(), code);
        assert_eq!(monitor.check(issued().plus_days(9)), Vec::new());
        for feature in [Feature::Cluster, Feature::Persistence, Feature::Studio] {
            assert!(!monitor.permits(feature));
        }
        let status = monitor.status(issued());
        assert_eq!(LicensePolicy::Lenient.judge(&status), Ok(()));
        let refusal = LicensePolicy::Strict.judge(&status).expect_err("strict");
        assert!(refusal.to_string().contains("strict"), "{refusal}");
    }
}

#[test]
fn a_licence_is_set_renewed_and_kept_at_run_time() {
    let (monitor, _) = start(&nothing(), issued());
    let events = monitor.replace(&inline(key(Tier::Starter)), issued()).expect("better than none");
    assert!(matches!(&events[..], [Event::Changed { from: Some(Status::Missing), .. }]));
    assert!(monitor.permits(Feature::Cluster));
    let limit = |monitor: &LicenseMonitor| {
        let snapshot = monitor.snapshot();
        snapshot.license.as_ref().and_then(|l| l.claims().cluster_limit())
    };
    assert_eq!(limit(&monitor), Some(1));

    let events = monitor.replace(&inline(key(Tier::Pro)), issued()).expect("a good one");
    assert!(matches!(&events[..], [Event::Changed { to: Status::Valid { .. }, .. }]), "{events:?}");
    assert_eq!(limit(&monitor), Some(5));
    assert_eq!(monitor.replace(&inline(key(Tier::Pro)), issued()), Ok(Vec::new()), "no news");

    let future = terms(Tier::Pro).not_before(issued().plus_days(9));
    let future = vendor("test-1", 7).issue(&future).expect("allowed");
    for (offered, code) in
        [(inline("hello"), "invalid"), (nothing(), "missing"), (inline(future), "invalid")]
    {
        let refused = monitor.replace(&offered, issued()).expect_err("worse than what there is");
        assert_eq!(refused.offered.code(), code);
        assert_eq!(limit(&monitor), Some(5));
    }

    let end = issued().plus_days(400);
    assert_eq!(monitor.status(end).code(), "expired");
    assert!(!monitor.permits(Feature::Cluster));
    let renewed = vendor("test-1", 7).issue(&terms(Tier::Pro).days(900)).expect("allowed");
    let events = monitor.replace(&inline(renewed), end).expect("renewed");
    assert!(matches!(&events[..], [Event::Changed { to: Status::Valid { .. }, .. }]), "{events:?}");
    assert!(monitor.permits(Feature::Cluster));
}

#[test]
fn while_nothing_works_a_replacement_that_does_not_either_says_why() {
    let (monitor, _) = start(&nothing(), issued());
    let events = monitor.replace(&inline("hello"), issued()).expect("nothing to lose");
    assert!(matches!(&events[..], [Event::Changed { to: Status::Invalid(_), .. }]), "{events:?}");
}

#[test]
fn a_clock_set_back_does_not_revive_a_licence_and_is_told_once() {
    let (monitor, _) = start(&inline(key(Tier::Pro)), issued());
    assert_eq!(monitor.status(issued().plus_days(395)).code(), "expired");
    let back = issued().plus_days(100);
    let events = monitor.check(back);
    assert!(matches!(events.first(), Some(Event::ClockSetBack(s)) if s.secs == 295 * 86_400));
    assert_eq!(monitor.status(back).code(), "expired");
    assert!(!monitor.permits(Feature::Cluster));
    assert!(monitor.snapshot().clock.is_some());
    assert_eq!(monitor.check(back), Vec::new());
    assert_eq!(monitor.check(issued().plus_days(396)), [Event::ClockCaughtUp]);
    assert_eq!(monitor.high_water(), issued().plus_days(396));
}

#[test]
fn a_mark_of_an_earlier_process_is_heeded() {
    let mut guard = ClockGuard::new();
    guard.raise(issued().plus_days(500));
    let source = inline(key(Tier::Pro));
    let (monitor, events) = LicenseMonitor::start(test_ring(), guard, &source, issued());
    assert_eq!(monitor.snapshot().status.code(), "expired");
    assert!(events.iter().any(|e| matches!(e, Event::ClockSetBack(_))), "{events:?}");
}

#[test]
fn a_clock_from_before_the_issue_is_named_and_mends_itself() {
    let (monitor, events) = start(&inline(key(Tier::Pro)), WallTime::EPOCH);
    assert!(events[0].to_string().contains("set the clock"), "{}", events[0]);
    assert!(!monitor.permits(Feature::Cluster));
    let events = monitor.check(issued());
    assert!(matches!(&events[..], [Event::Changed { to: Status::Valid { .. }, .. }]), "{events:?}");
    assert!(monitor.permits(Feature::Cluster));
}

#[test]
fn readers_and_a_writer_share_a_monitor() {
    let (monitor, _) = start(&nothing(), issued());
    let monitor = Arc::new(monitor);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let snapshot = monitor.snapshot();
                    assert_eq!(snapshot.license.is_some(), snapshot.status.is_usable());
                }
            });
        }
        for tier in [Tier::Starter, Tier::Pro, Tier::Enterprise].into_iter().cycle().take(60) {
            monitor.replace(&inline(key(tier)), issued()).expect("all are good");
        }
    });
    assert!(monitor.permits(Feature::Cluster));
}

#[test]
fn clusters_and_nodes_have_the_places_of_the_licence() {
    let entry =
        |n: u64| Registration { name: format!("c{n}"), first_seen: WallTime::EPOCH.plus_secs(n) };
    let list: Vec<Registration> = (0..5).map(entry).collect();
    let licence = test_ring().verify(&key(Tier::Pro)).expect("valid");
    assert_eq!(licence.admit_cluster(&list, "c4"), Admission::Admitted);
    assert_eq!(licence.admit_node(&list, "another"), Admission::Admitted);
    let refused = licence.admit_cluster(&list, "another");
    assert!(matches!(&refused, Admission::OverLimit { limit: 5, names } if names.len() == 5));

    let development = atrion_license::issue::Issuer::development().expect("part of the crate");
    let dev = development.issue(&terms(Tier::Development)).expect("allowed");
    let licence = test_ring().verify(&dev).expect("valid");
    assert_eq!(licence.admit_cluster(&list, "another"), Admission::Admitted);
    assert_eq!(licence.admit_node(&list, "c2"), Admission::Admitted);
    assert!(matches!(licence.admit_node(&list, "c3"), Admission::OverLimit { limit: 3, .. }));
}
