//! The format: what is documented, what comes back, and what is refused.
#![allow(clippy::unwrap_used, reason = "a failing test may say so")]

mod common;

use atrion_trace::{
    Arrival, Decision, Finish, Kind, MAGIC, Mark, Outcome, Reader, Reason, Record, RouteStart,
    Step, Tape, Trace, TraceError, Writer,
};
use common::{Act, PLAIN, record, sample, start};
use proptest::prelude::*;

fn read(bytes: &[u8]) -> Trace {
    Trace::read(bytes).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// A file around this payload, with everything right but perhaps the payload.
fn around(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    let mut file = MAGIC.to_vec();
    file.extend([1, 0, 0, 0]);
    file.extend(length);
    file.extend(hasher.finalize().to_le_bytes());
    file.extend(payload);
    file
}

#[test]
fn the_vectors_of_the_document_are_what_is_written() {
    let document = include_str!("../../../docs/trace-format.md");
    let shown: String = document.split_whitespace().collect();
    let bytes = sample();
    assert!(shown.contains(&hex(&bytes)), "docs/trace-format.md does not show {}", hex(&bytes));
    let empty = record(&[], u64::MAX);
    assert!(shown.contains(&hex(&empty)), "docs/trace-format.md does not show {}", hex(&empty));
}

#[test]
fn everything_comes_back() {
    let trace = read(&sample());
    assert_eq!(trace.routes().len(), 2);
    assert_eq!((&*trace.routes()[1].name, trace.routes()[1].is_new), ("api/search", false));
    let r = trace.requests();
    assert_eq!(r.len(), 4);
    assert_eq!((r[0].latency_nanos(), r[0].in_flight), (Some(8_000), Some(1)));
    assert_eq!((r[1].end, r[1].in_flight), (Some((11_000, Outcome::Cancelled)), None));
    assert_eq!(r[2].decision, Decision::Refused { reason: Reason::Saturated, ohms: 7.5 });
    assert_eq!((r[2].at, r[2].volts), (2_400, 5.0), "time may step back");
    let shadowed = Decision::Admitted { kind: Kind::Marked, shadowed: Some(Reason::BreakerOpen) };
    assert_eq!(r[3].decision, shadowed);
    assert_eq!(trace.steps()[3], Step::Mark { route: 0, at: 3_000, mark: Mark::Opened });
    let Finish::Whole(totals) = trace.finish() else { panic!("it ended well") };
    assert_eq!((totals.arrivals, totals.ends, totals.marks), (4, 3, 1));
}

#[test]
fn a_trace_cut_anywhere_is_an_error_or_a_shorter_trace() {
    let whole = sample();
    let full = read(&whole);
    let mut cuts = 0;
    for length in 0..whole.len() {
        match Trace::read(&whole[..length]) {
            Err(TraceError::Empty) => assert_eq!(length, 0),
            Err(TraceError::CutShort { bytes }) => assert_eq!(bytes, length as u64),
            Ok(trace) => {
                cuts += 1;
                assert!(matches!(trace.finish(), Finish::Cut { .. }), "at {length}");
                assert_eq!(trace.requests(), full.requests(), "the first block is whole");
            }
            Err(other) => panic!("at {length}: {other}"),
        }
    }
    assert!(cuts > 10, "the second block was cut {cuts} times");
}

#[test]
fn a_flipped_bit_never_passes_unnoticed() {
    let whole = sample();
    for byte in 0..whole.len() {
        for bit in 0..8 {
            let mut spoilt = whole.clone();
            spoilt[byte] ^= 1 << bit;
            match Trace::read(&spoilt[..]) {
                Err(_) => {}
                // A length that grew beyond the file looks like a cut, not like a whole trace.
                Ok(trace) => assert!(matches!(trace.finish(), Finish::Cut { .. }), "{byte}.{bit}"),
            }
        }
    }
}

#[test]
fn what_is_no_trace_is_named() {
    let versioned = |version: u16| {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    };
    let long = [&versioned(1)[..], &[1, 0, 1, 0, 0, 0, 0, 0]].concat();
    let more = [&sample()[..], b"x"].concat();
    for (bytes, named) in [
        (Vec::new(), "is empty"),
        (b"name = 'steady'\n".to_vec(), "this is not a trace"),
        (b"ATR".to_vec(), "ends after 3 bytes, before its first whole block"),
        (versioned(1), "ends after 12 bytes"),
        (versioned(2), "has version 2, this program reads version 1"),
        (versioned(0), "has version 0"),
        (long, "block 0 of the trace, at byte 12, is damaged: its length"),
        (more, "something follows the last block"),
        (around(&[9]), "kind of block is unknown"),
        (around(&[1, 0]), "base time is cut short"),
        (around(&[2]), "totals are no numbers"),
    ] {
        let why = Trace::read(&bytes[..]).expect_err(named).to_string();
        assert!(why.contains(named), "{named}: {why}");
    }
}

#[test]
fn records_that_mean_nothing_are_refused_by_field() {
    let route = [&[0b1000, 0][..], &[0; 8], &[0, 1, b'r']].concat();
    let nan = f64::NAN.to_le_bytes();
    let minus = (-1.0_f64).to_le_bytes();
    let cases: &[(&[&[u8]], &str)] = &[
        (&[&[6, 0]], "route is not known yet"),
        (&[&[2, 0]], "route is not one that was made known"),
        (&[&route, &[2, 1]], "route is not one that was made known"),
        (&[&[0b1_0000, 0]], "route has unknown arguments"),
        (&[&[0, 0], &[0; 8], &[0, 0]], "name of a route has a length"),
        (&[&[0, 0], &[0; 8], &[0, 0x81, 4]], "name of a route has a length"),
        (&[&[0, 0], &[0; 8], &[0, 1, 0xff]], "name of a route is not UTF-8"),
        (&[&[1], &nan], "voltage is not a finite number from 0 up"),
        (&[&[1], &minus], "voltage is not a finite number from 0 up"),
        (&[&route, &[3, 0, 1]], "voltage is not one that was made known"),
        (&[&route, &[3, 0, 0], &nan], "voltage is not a finite number"),
        (
            &[&route, &[4, 0, 0], &[0; 8], &[0], &f32::NAN.to_le_bytes()],
            "resistance is not a finite",
        ),
        (&[&route, &[4 | 6 << 3, 0]], "reason has an unknown code"),
        (&[&route, &[3 | 16 << 3, 0]], "admission has unknown arguments"),
        (&[&route, &[5, 0, 1]], "age is that of no arrival"),
        (&[&route, &[5 | 3 << 3, 0]], "outcome has an unknown code"),
        (&[&route, &[6 | 9 << 3, 0]], "mark has an unknown code"),
        (&[&route, &[6, 0x80]], "time is no number"),
        (&[&[7 | 1 << 3, 0]], "record has arguments"),
    ];
    for (parts, named) in cases {
        let payload = [&[1][..], &[0; 8], &parts.concat()].concat();
        let why = Trace::read(&around(&payload)[..]).expect_err(named).to_string();
        assert!(why.contains(named), "{named}: {why}");
    }
    let fine = [&[1][..], &[0; 8], &route].concat();
    assert_eq!(read(&around(&fine)).routes().len(), 1, "the cases fail for what they name");
}

#[test]
fn numbers_that_no_trace_holds_are_left_out_and_counted() {
    let arrival = |volts, decision| {
        Act::Arrive(Arrival { route: 0, at: 1, volts, in_flight: Some(1), decision })
    };
    let refused = |ohms| Decision::Refused { reason: Reason::Scarred, ohms };
    let bytes = record(
        &[
            arrival(f64::NAN, PLAIN),
            arrival(f64::INFINITY, PLAIN),
            arrival(-1.0, PLAIN),
            arrival(1.0, refused(f32::NAN)),
            arrival(1.0, refused(f32::INFINITY)),
            Act::Mark(99, 1, Mark::Opened),
            arrival(1.0, PLAIN),
        ],
        u64::MAX,
    );
    let trace = read(&bytes);
    let Finish::Whole(totals) = trace.finish() else { panic!("it ended well") };
    assert_eq!((totals.arrivals, totals.unwritten), (1, 6));
}

#[test]
fn a_full_file_stays_within_its_bound_and_ends_well() {
    let acts: Vec<Act> = (0..20_000)
        .map(|n| Arrival {
            route: 0,
            at: n * 1_000,
            volts: 20.0,
            in_flight: Some(1),
            decision: PLAIN,
        })
        .map(Act::Arrive)
        .collect();
    let bytes = record(&acts, 50_000);
    assert!(bytes.len() <= 50_000 && bytes.len() > 45_000, "{}", bytes.len());
    let Finish::Whole(totals) = read(&bytes).finish() else { panic!("it ended well") };
    assert_eq!(totals.arrivals + totals.unwritten, 20_000);
    assert!(totals.unwritten > 0);
}

#[test]
fn two_hundred_and_fifty_six_voltages_and_more_come_back() {
    let acts: Vec<Act> = (0..600_u32)
        .map(|n| Arrival {
            route: 1,
            at: 5,
            volts: f64::from(n) / 3.0,
            in_flight: None,
            decision: PLAIN,
        })
        .map(Act::Arrive)
        .collect();
    for (n, request) in read(&record(&acts, u64::MAX)).requests().iter().enumerate() {
        assert_eq!(request.volts.to_bits(), (n as f64 / 3.0).to_bits());
    }
}

#[test]
fn what_the_tape_dropped_is_said_where_it_was_dropped() {
    let tape = Tape::new(4).unwrap();
    tape.start(start("x")).unwrap();
    let mut writer = Writer::new(Vec::new(), u64::MAX).unwrap();
    for at in 0..10 {
        tape.marked(0, at, Mark::Reported);
    }
    writer.drain(&tape).unwrap();
    tape.marked(0, 20, Mark::Reported);
    writer.drain(&tape).unwrap();
    let (bytes, totals) = writer.finish().unwrap();
    assert_eq!((totals.marks, totals.dropped), (5, 6));
    let mut reader = Reader::new(&bytes[..]).unwrap();
    let mut records = Vec::new();
    while reader
        .read_block(|record| {
            records.push(record);
            Ok(())
        })
        .unwrap()
    {}
    assert_eq!(records[5], Record::Lost { count: 6 });
    assert_eq!(read(&bytes).lost(), 6);
}

#[test]
fn many_routes_with_long_names_fit_their_blocks() {
    let tape = Tape::new(4).unwrap();
    let name = "x".repeat(atrion_trace::MOST_NAME_BYTES);
    for _ in 0..atrion_trace::MOST_ROUTES {
        tape.start(RouteStart { name: name.as_str().into(), ..start("x") }).unwrap();
    }
    let mut writer = Writer::new(Vec::new(), u64::MAX).unwrap();
    tape.marked(atrion_trace::MOST_ROUTES as u32 - 1, 5, Mark::Reset);
    writer.drain(&tape).unwrap();
    let trace = read(&writer.finish().unwrap().0);
    assert_eq!((trace.routes().len(), trace.steps().len()), (atrion_trace::MOST_ROUTES, 1));
}

fn decision() -> impl Strategy<Value = Decision> {
    let kind =
        prop_oneof![Just(Kind::Plain), Just(Kind::Marked), Just(Kind::Probe), Just(Kind::Scout)];
    let reason = || {
        prop_oneof![
            Just(Reason::Saturated),
            Just(Reason::Scarred),
            Just(Reason::BreakerOpen),
            Just(Reason::Held),
            Just(Reason::ForcedOpen),
            Just(Reason::Other),
        ]
    };
    prop_oneof![
        (kind, proptest::option::of(reason()))
            .prop_map(|(kind, shadowed)| Decision::Admitted { kind, shadowed }),
        (reason(), 0.0_f32..1e9).prop_map(|(reason, ohms)| Decision::Refused { reason, ohms }),
    ]
}

fn arrival() -> impl Strategy<Value = Arrival> {
    (0_u32..2, any::<u64>(), 0.0_f64..1e6, proptest::option::of(any::<u32>()), decision()).prop_map(
        |(route, at, volts, in_flight, decision)| {
            // The gate always counts for those it refuses.
            let counted = if decision.is_admitted() { in_flight } else { in_flight.or(Some(0)) };
            Arrival { route, at, volts, in_flight: counted, decision }
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let outcome =
        prop_oneof![Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::Cancelled)];
    prop_oneof![
        3 => arrival().prop_map(Act::Arrive),
        2 => (0_usize..40, any::<u64>(), outcome).prop_map(|(n, at, o)| Act::End(n, at, o)),
        1 => (0_u32..2, any::<u64>()).prop_map(|(r, at)| Act::Mark(r, at, Mark::Held)),
    ]
}

proptest! {
    /// Whatever the times, backwards ones included: what goes in comes out.
    #[test]
    fn a_round_trip_loses_nothing(acts in proptest::collection::vec(act(), 0..60)) {
        let trace = read(&record(&acts, u64::MAX));
        let mut expected: Vec<(Arrival, Option<(u64, Outcome)>)> = Vec::new();
        let mut unmatched = 0;
        for act in &acts {
            match act {
                Act::Arrive(arrival) => expected.push((*arrival, None)),
                Act::End(nth, at, outcome) => match expected.get_mut(*nth) {
                    Some((a, end @ None)) if a.decision.is_admitted() => *end = Some((*at, *outcome)),
                    _ => unmatched += 1,
                },
                Act::Mark(..) => {}
            }
        }
        prop_assert_eq!(trace.unmatched_ends(), unmatched);
        prop_assert_eq!(trace.requests().len(), expected.len());
        for (request, (arrival, end)) in trace.requests().iter().zip(&expected) {
            prop_assert_eq!(request.end, *end);
            let same = Arrival {
                route: request.route,
                at: request.at,
                volts: request.volts,
                in_flight: request.in_flight,
                decision: request.decision,
            };
            prop_assert_eq!(&same, arrival);
        }
    }

    /// Any payload behind a right checksum is understood or refused, and never blown up.
    #[test]
    fn any_payload_is_read_or_refused(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        let payload = [&[1][..], &[0; 8], &tail].concat();
        if let Ok(trace) = Trace::read(&around(&payload)[..]) {
            prop_assert!(trace.requests().len() + trace.steps().len() <= 2 * tail.len());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Trace::read(&bytes[..]);
        let _ = Trace::read(&[&MAGIC[..], &[1, 0, 0, 0], &bytes].concat()[..]);
    }
}
