use super::*;
use crate::figures::{Record, RunFigures};
use crate::plan::schedule;
use crate::wire::ShedSample;

fn empty() -> RunFigures {
    RunFigures::from_record(&Record::default(), &schedule(600.0, true), 600.0)
}

/// A comparison in which every promise is just kept.
fn kept() -> Comparison {
    let unprotected =
        RunFigures { overload_goodput_percent: 3.0, dead_dependency_percent: 100.0, ..empty() };
    let protected = RunFigures {
        overload_goodput_percent: 95.0,
        top_tier_sent: 2000,
        top_tier_missed: 2,
        dead_dependency_percent: 2.0,
        recovery_seconds: Some(2.0),
        shed_sample: Some(ShedSample {
            status: 503,
            retry_after: "1".to_owned(),
            body: "saturated".to_owned(),
        }),
        ..empty()
    };
    Comparison {
        seed: 1,
        short: false,
        capacity_per_second: 600.0,
        capacity_after_per_second: 600.0,
        unprotected,
        protected,
    }
}

fn missed(change: impl FnOnce(&mut Comparison)) -> Vec<String> {
    let mut comparison = kept();
    change(&mut comparison);
    let missed = checks(&comparison).into_iter().filter(|check| !check.met);
    missed.map(|check| check.promise).collect()
}

#[test]
fn bounds_are_inclusive() {
    assert_eq!(missed(|_| {}), Vec::<String>::new());
    let comparison = kept();
    assert_eq!(judge(&checks(&comparison), &comparison), Verdict::Met);
}

#[test]
fn each_promise_can_be_missed() {
    type Change = fn(&mut Comparison);
    let cases: [(&str, Change); 9] = [
        ("while calm", |c| c.protected.shed_while_calm = 1),
        ("95 %", |c| c.protected.overload_goodput_percent = 94.9),
        ("better than unprotected", |c| c.unprotected.overload_goodput_percent = 95.0),
        ("top tier", |c| c.protected.top_tier_missed = 3),
        ("top tier", |c| c.protected.top_tier_sent = 0),
        ("says why", |c| c.protected.shed_sample = None),
        ("at most 2 %", |c| c.protected.dead_dependency_percent = 2.01),
        ("fewer reach", |c| c.unprotected.dead_dependency_percent = 2.0),
        ("within 2 s", |c| c.protected.recovery_seconds = None),
    ];
    for (promise, change) in cases {
        let missed = missed(change);
        assert!(
            matches!(missed.as_slice(), [one] if one.contains(promise)),
            "{promise}: {missed:?}"
        );
    }
}

#[test]
fn a_refusal_must_say_when_and_why() {
    for sample in [
        ShedSample { status: 429, retry_after: "1".into(), body: "why".into() },
        ShedSample { status: 503, retry_after: "soon".into(), body: "why".into() },
        ShedSample { status: 503, retry_after: "1".into(), body: String::new() },
    ] {
        assert_eq!(missed(|c| c.protected.shed_sample = Some(sample)).len(), 1);
    }
}

#[test]
fn one_miss_is_the_finest_step_of_a_small_sample() {
    let small = |count| {
        missed(|c| (c.protected.top_tier_sent, c.protected.top_tier_missed) = (300, count)).len()
    };
    assert_eq!(small(1), 0);
    assert_eq!(small(2), 1);
}

#[test]
fn a_busy_machine_excuses_only_what_was_missed() {
    let busy: [fn(&mut Comparison); 4] = [
        |c| c.unprotected.generator_lag_p99_ms = 26.0,
        |c| c.protected.generator_lag_p99_ms = 26.0,
        |c| c.protected.service_stall_p99_ms = 61.0,
        |c| c.capacity_after_per_second = 540.0,
    ];
    for make_busy in busy {
        let mut comparison = kept();
        make_busy(&mut comparison);
        assert!(too_busy(&comparison).is_some());
        assert_eq!(judge(&checks(&comparison), &comparison), Verdict::Met);
        comparison.protected.shed_while_calm = 1;
        assert_eq!(judge(&checks(&comparison), &comparison), Verdict::TooBusy);
    }
    let mut comparison = kept();
    comparison.protected.shed_while_calm = 1;
    assert_eq!(judge(&checks(&comparison), &comparison), Verdict::Missed);
}
