use super::super::record::{Dead, Seen, Span};
use super::super::script::marker;
use super::super::wire::{Request, SHOP};
use super::*;

const MS: u64 = 1_000_000;

fn request(node: usize, at: u64, ending: Ending, latency_us: u32) -> Request {
    Request { node, tier: 2, ending, why: String::new(), at, latency_us, lag_us: 0 }
}

fn seen(node: usize, route: &str, at: u64) -> Seen {
    Seen { node, route: route.to_owned(), at }
}

/// One second of calm and one of a fault: a hundred requests at each node, all good.
fn quiet() -> Record {
    let mut record = Record::default();
    record.phases.insert(Phase::Calm, Span { from: 0, to: 1000 * MS });
    record.phases.insert(Phase::Killed, Span { from: 1000 * MS, to: 2000 * MS });
    for node in 0..NODES {
        for number in 0..200 {
            record.requests.push(request(node, number * 10 * MS, Ending::Good, 8_000));
        }
    }
    record
}

#[test]
fn a_warning_takes_from_the_opening_to_the_holding() {
    let mut record = Record::default();
    record.opened.push(seen(0, &warning(0), 100 * MS));
    record.opened.push(seen(1, &warning(1), 200 * MS));
    // A breaker that opens again, and a route that is held again, change nothing.
    record.opened.push(seen(0, &warning(0), 900 * MS));
    record.held.extend([seen(1, &warning(0), 150 * MS), seen(1, &warning(0), 950 * MS)]);
    record.held.extend([seen(2, &warning(0), 160 * MS), seen(0, &warning(1), 190 * MS)]);
    assert_eq!(warned(&record), (vec![0, 50 * MS, 60 * MS], 1));
    let figures = Figures::new(&record, 1, true);
    assert_eq!((figures.warnings, figures.warnings_missed), (4, 1));
    assert_eq!(figures.warned_ms_p50, Some(50.0));
    assert_eq!(figures.warned_ms_p99, None, "one that never came is later than all others");
}

#[test]
fn nodes_agree_when_each_knows_what_all_others_learnt() {
    let mut record = Record::default();
    record.answered.insert(Phase::Hung, 500 * MS);
    for node in 0..SHARED {
        let route = marker(Phase::Hung, node);
        record.opened.push(seen(node, &route, if node == 2 { 550 * MS } else { 400 * MS }));
        for other in (0..SHARED).filter(|other| *other != node) {
            assert_eq!(record.agreed(Phase::Hung), None, "{node} {other}");
            record.held.push(seen(other, &route, 640 * MS));
        }
    }
    // 140 ms after Redis answered; what the last one learnt later was known after 90 ms.
    assert_eq!(record.agreed(Phase::Hung), Some(140 * MS));
    assert_eq!(record.agreed(Phase::Killed), None);
    let figures = Figures::new(&record, 1, true);
    assert_eq!(figures.reconverged_ms[&Phase::Hung], Some(140.0));
    assert_eq!(figures.reconverged_intervals, None, "the other faults were not got over");
}

#[test]
fn the_worst_fault_counts() {
    let of = |all: [Option<f64>; 2]| worst(&Phase::FAULTS.into_iter().zip(all).collect());
    assert_eq!(of([Some(120.0), Some(80.0)]), Some(120.0));
    assert_eq!(of([Some(120.0), None]), None);
}

#[test]
fn only_what_the_machine_does_not_explain_is_laid_to_sharing() {
    assert_eq!(delays(&quiet()).delayed_by_sync, 0);
    let late = |nodes: &[usize], count: u64| {
        let mut record = quiet();
        for node in nodes {
            for number in 0..count {
                let at = (1500 + number) * MS;
                record.requests.push(request(*node, at, Ending::Good, 13_001));
            }
        }
        delays(&record)
    };
    let alone = late(&[0], 30);
    assert_eq!((alone.delayed_shared, alone.delayed_alone, alone.delayed_by_sync), (30, 0, 30));
    assert!((alone.limit_ms - 13.0).abs() < 1e-9, "the slowest of the calm and 5 ms");
    let machine = late(&[0, 1, 3, 4], 30);
    assert_eq!((machine.delayed_shared, machine.delayed_by_sync), (60, 0));
    assert_eq!(late(&[0], 4).delayed_by_sync, 0, "four in three hundred are chance");
}

#[test]
fn failures_are_never_chance() {
    let mut record = quiet();
    record.requests.push(request(1, 1500 * MS, Ending::Refused, 100));
    record.requests.push(request(1, 1500 * MS, Ending::Failed, 100));
    record.requests.push(request(1, 500 * MS, Ending::Failed, 100));
    record.requests.push(request(4, 1500 * MS, Ending::Failed, 100));
    let figures = Figures::new(&record, 1, true);
    assert_eq!(figures.requests_failed_or_delayed_by_sync, 2);
    assert_eq!(figures.delays.failed_alone, 1);
}

#[test]
fn recovery_is_the_beginning_of_half_a_second_of_full_service() {
    let mut record = Record::default();
    record.phases.insert(Phase::Recovery, Span { from: 1000 * MS, to: 2000 * MS });
    for number in 0..100 {
        let ending = if number < 25 || number == 33 { Ending::Refused } else { Ending::Good };
        record.requests.push(request(0, (1000 + number * 10) * MS, ending, 100));
        record.requests.push(request(3, (1000 + number * 10) * MS, Ending::Failed, 100));
    }
    assert_eq!(recovery(&record, 0..SHARED), Some(0.4));
    assert_eq!(recovery(&record, SHARED..NODES), None);
}

#[test]
fn the_rest_is_counted() {
    let mut record = Record::default();
    record.phases.insert(Phase::Liar, Span { from: 0, to: 10 });
    for (tier, ending) in
        [(0, Ending::Good), (2, Ending::Refused), (3, Ending::Refused), (3, Ending::Good)]
    {
        record.requests.push(Request { tier, ..request(0, 1, ending, 1) });
    }
    record.requests.push(request(SHARED - 1, 1, Ending::Refused, 1));
    record.dead_before = Dead { at: 0, per_node: vec![1; NODES] };
    record.dead_after = Dead { at: 9, per_node: vec![2, 3, 4, 5, 6, 7] };
    record.repeated = Published { bytes: 30_000, changes: 1000 };
    let figures = Figures::new(&record, 1, false);
    assert_eq!(figures.normal_requests_refused_under_liar, 1);
    assert_eq!(figures.normal_requests_under_liar, 2);
    assert!((figures.bulk_percent_refused_under_liar - 50.0).abs() < 1e-9);
    assert_eq!((figures.dead_requests_shared, figures.dead_requests_alone), (6, 15));
    assert_eq!((figures.bytes_per_changed_route, figures.bytes_per_new_route), (Some(30.0), None));
    assert_ne!(SHOP, warning(0));
}

#[test]
fn under_a_liar_only_what_the_machine_does_not_explain_counts() {
    let saturated = |nodes: &[usize]| {
        let mut record = Record::default();
        record.phases.insert(Phase::Liar, Span { from: 0, to: 10 });
        for node in nodes {
            record.requests.extend(vec![request(*node, 1, Ending::Saturated, 1); 30]);
        }
        Figures::new(&record, 1, true).normal_requests_refused_under_liar
    };
    assert_eq!(saturated(&[1]), 30);
    assert_eq!(saturated(&[1, 4]), 0);
    assert_eq!(saturated(&[1, 5]), 30, "it stands for the node that left");
}
