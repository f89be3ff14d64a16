use super::super::blame::Delays;
use super::*;

/// Figures with which every promise is just kept.
fn kept() -> Figures {
    Figures {
        sync_interval_ms: 100.0,
        warned_ms_p50: Some(50.0),
        warned_ms_p99: Some(105.0),
        warnings: 48,
        dead_requests_shared: 99,
        dead_requests_alone: 100,
        recovery_s: Some(1.5),
        delays: Delays { requests_shared: 1, ..Delays::default() },
        reconverged_intervals: Some(3.0),
        normal_requests_under_liar: 1,
        bulk_percent_refused_under_liar: 2.0,
        lies_told: 100,
        lies_heard: 90,
        bytes_per_changed_route: Some(32.0),
        ..Figures::default()
    }
}

fn missed(change: impl FnOnce(&mut Figures)) -> Vec<&'static str> {
    let mut figures = kept();
    change(&mut figures);
    checks(&figures).into_iter().filter(|check| !check.met).map(|check| check.figure).collect()
}

#[test]
fn bounds_are_inclusive() {
    assert_eq!(missed(|_| {}), Vec::<&str>::new());
    assert_eq!(judge(&checks(&kept()), &kept()), Verdict::Met);
}

#[test]
fn each_promise_can_be_missed() {
    type Change = fn(&mut Figures);
    let cases: [(&str, Change); 13] = [
        ("warned (p99)", |f| f.warned_ms_p99 = Some(105.1)),
        ("warned (p99)", |f| f.warned_ms_p99 = None),
        ("never came", |f| f.warnings_missed = 1),
        ("never came", |f| f.warnings = 0),
        ("dead dependency", |f| f.dead_requests_shared = 100),
        ("full service", |f| f.recovery_s = None),
        ("delayed by sync", |f| f.requests_failed_or_delayed_by_sync = 1),
        ("delayed by sync", |f| f.delays.requests_shared = 0),
        ("agree again", |f| f.reconverged_intervals = Some(3.01)),
        ("normal and above", |f| f.normal_requests_refused_under_liar = 1),
        ("bulk", |f| f.bulk_percent_refused_under_liar = 2.01),
        ("bytes", |f| f.bytes_per_changed_route = Some(32.1)),
        ("bytes", |f| f.bytes_per_changed_route = None),
    ];
    for (figure, change) in cases {
        let missed = missed(change);
        assert!(matches!(missed.as_slice(), [one] if one.contains(figure)), "{figure}: {missed:?}");
    }
}

#[test]
fn a_warning_late_by_no_more_than_the_machine_stalled_gets_no_verdict() {
    let judged = |warned, stall, other: u64| {
        let mut figures = kept();
        (figures.warned_ms_p99, figures.node_stall_p99_ms) = (Some(warned), stall);
        figures.warnings_missed = other as _;
        judge(&checks(&figures), &figures)
    };
    assert_eq!(judged(105.0, 21.0, 0), Verdict::Met);
    assert_eq!(judged(126.0, 21.0, 0), Verdict::TooBusy);
    assert_eq!(judged(126.1, 21.0, 0), Verdict::Missed);
    assert_eq!(judged(126.0, 21.0, 1), Verdict::Missed, "nothing else is excused");
}

#[test]
fn a_liar_whom_nobody_hears_proves_nothing() {
    assert_eq!(missed(|f| f.lies_heard = 89).len(), 2);
    assert_eq!(missed(|f| (f.lies_told, f.lies_heard) = (0, 0)).len(), 2);
}

#[test]
fn a_busy_machine_excuses_only_what_was_missed() {
    let busy: [fn(&mut Figures); 3] = [
        |f| f.generator_lag_p99_ms = 26.0,
        |f| f.node_stall_p99_ms = 61.0,
        |f| f.clock_disagreement_ms = 1.1,
    ];
    for make_busy in busy {
        let mut figures = kept();
        make_busy(&mut figures);
        assert!(too_busy(&figures).is_some());
        assert_eq!(judge(&checks(&figures), &figures), Verdict::Met);
        figures.warnings_missed = 1;
        assert_eq!(judge(&checks(&figures), &figures), Verdict::TooBusy);
    }
    let mut figures = kept();
    figures.warnings_missed = 1;
    assert_eq!(judge(&checks(&figures), &figures), Verdict::Missed);
}

#[test]
fn what_was_not_seen_is_said_to_have_never_been() {
    assert_eq!(number(Some(1.26), "ms"), "1.3 ms");
    assert_eq!(number(Some(29.0), ""), "29.0");
    assert_eq!(number(None, "ms"), "never");
}
