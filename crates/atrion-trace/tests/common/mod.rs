//! What the tests of the format are made of.

use atrion_trace::{
    Arrival, Decision, Ending, Kind, Mark, Outcome, Reason, RouteStart, Tape, Writer,
};

/// One step of a recording, without the indices that a recorder gives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Arrive(Arrival),
    /// Ends the n-th arrival, if that was admitted.
    End(usize, u64, Outcome),
    Mark(u32, u64, Mark),
}

pub(crate) fn start(name: &str) -> RouteStart {
    RouteStart {
        name: name.into(),
        at: 1_000,
        seed: 0x0123_4567_89ab_cdef,
        in_flight: 0,
        is_new: true,
    }
}

pub(crate) const PLAIN: Decision = Decision::Admitted { kind: Kind::Plain, shadowed: None };

/// Records these acts on two routes, each arrival under a key of its own.
pub(crate) fn record(acts: &[Act], most_bytes: u64) -> Vec<u8> {
    let tape = Tape::new(1024).unwrap();
    tape.start(start("api/pay")).unwrap();
    tape.start(RouteStart { is_new: false, in_flight: 3, ..start("api/search") }).unwrap();
    let mut writer = Writer::new(Vec::new(), most_bytes).unwrap();
    let arrivals: Vec<Arrival> = acts
        .iter()
        .filter_map(|act| if let Act::Arrive(arrival) = act { Some(*arrival) } else { None })
        .collect();
    let mut number = 0;
    for act in acts {
        match *act {
            Act::Arrive(arrival) => {
                let key = arrival.decision.is_admitted().then_some((number, 7));
                tape.arrived(arrival, key);
                number += 1;
            }
            Act::End(nth, at, outcome) => {
                let route = arrivals.get(nth).map_or(0, |arrival| arrival.route);
                tape.ended(Ending { route, at, outcome }, (nth as u64, 7));
            }
            Act::Mark(route, at, mark) => tape.marked(route, at, mark),
        }
        writer.drain(&tape).unwrap();
    }
    writer.finish().unwrap().0
}

/// A short recording with one of everything.
pub(crate) fn sample() -> Vec<u8> {
    let arrival =
        |route, at, decision, in_flight| Arrival { route, at, volts: 20.0, in_flight, decision };
    record(
        &[
            Act::Arrive(arrival(0, 2_000, PLAIN, Some(1))),
            Act::Arrive(arrival(
                1,
                2_500,
                Decision::Admitted { kind: Kind::Probe, shadowed: None },
                None,
            )),
            Act::Arrive(Arrival {
                volts: 5.0,
                ..arrival(
                    0,
                    2_400,
                    Decision::Refused { reason: Reason::Saturated, ohms: 7.5 },
                    Some(1),
                )
            }),
            Act::Mark(0, 3_000, Mark::Opened),
            Act::Arrive(arrival(
                0,
                3_100,
                Decision::Admitted { kind: Kind::Marked, shadowed: Some(Reason::BreakerOpen) },
                Some(2),
            )),
            Act::End(0, 10_000, Outcome::Success),
            Act::End(3, 10_001, Outcome::Failure),
            Act::End(1, 11_000, Outcome::Cancelled),
        ],
        u64::MAX,
    )
}
