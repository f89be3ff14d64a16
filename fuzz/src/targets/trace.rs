//! Traces, as they come from a disk that may hold anything.

use atrion_trace::{
    Arrival, Ending, MAGIC, Mark, RouteStart, Step, Tape, Trace, TraceError, VERSION, Writer,
};

use super::Target;

/// Any bytes for a whole file. Few get past the checksums.
pub(super) const FILE: Target =
    Target { name: "trace-file", words: &[b"ATRTRACE", b"\x01\x00\x00\x00", b"\0\0"], run: file };

/// Any bytes for the payload of a block, behind a checksum that fits.
pub(super) const RECORDS: Target = Target {
    name: "trace-records",
    words: &[
        b"\x00\x00\x00\x00\x00\x00\xf8\x7f",
        b"\x00\x00\x00\x00\x00\x00\xf0\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x80\x00",
        b"\x23",
        b"\x6b",
        b"\x05",
        b"\x02",
        b"\x00\x00\xc0\x7f",
    ],
    run: records,
};

fn file(bytes: &[u8]) -> &'static str {
    outcome(bytes)
}

fn records(payload: &[u8]) -> &'static str {
    let length = (payload.len() as u32).to_le_bytes();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    let checksum = hasher.finalize().to_le_bytes();
    let head = [&MAGIC[..], &VERSION.to_le_bytes(), &[0, 0], &length, &checksum].concat();
    outcome(&[&head, payload].concat())
}

fn outcome(bytes: &[u8]) -> &'static str {
    match Trace::read(bytes) {
        Ok(trace) => {
            assert!(
                trace.requests().len() + trace.routes().len() <= bytes.len(),
                "every record takes a byte at least"
            );
            again(&trace);
            "accepted"
        }
        Err(TraceError::Empty) => "empty",
        Err(TraceError::NotATrace) => "not a trace",
        Err(TraceError::Version { .. }) => "another version",
        Err(TraceError::CutShort { .. }) => "cut short",
        Err(TraceError::Damaged { .. }) => "damaged",
        Err(TraceError::Malformed { field, .. }) => field,
        Err(_) => "too long",
    }
}

/// What was read can be written, and read again as the same.
fn again(trace: &Trace) {
    let tape = Tape::new(1).expect("one place");
    for route in trace.routes() {
        let start = RouteStart {
            name: route.name.clone(),
            at: route.at,
            seed: route.seed,
            in_flight: route.in_flight,
            is_new: route.is_new,
        };
        tape.start(start).expect("it was read");
    }
    let mut writer = Writer::new(Vec::new(), u64::MAX).expect("memory");
    for step in trace.steps() {
        match *step {
            Step::Arrival(index) => {
                let r = trace.requests().get(index as usize).expect("a step has its request");
                let arrival = Arrival {
                    route: r.route,
                    at: r.at,
                    volts: r.volts,
                    in_flight: r.in_flight,
                    decision: r.decision,
                };
                let key = r.decision.is_admitted().then_some((u64::from(index), 0));
                tape.arrived(arrival, key);
            }
            Step::End(index) => {
                let r = trace.requests().get(index as usize).expect("a step has its request");
                let (at, outcome) = r.end.expect("it ended");
                tape.ended(Ending { route: r.route, at, outcome }, (u64::from(index), 0));
            }
            Step::Mark { route, at, mark } => tape.marked(route, at, mark),
            _ => tape.marked(0, 0, Mark::Reset),
        }
        writer.drain(&tape).expect("memory");
    }
    let (bytes, _) = writer.finish().expect("memory");
    if trace.steps().is_empty() {
        return;
    }
    let read = Trace::read(&bytes[..]).expect("it was written");
    assert_eq!(read.steps(), trace.steps(), "nothing is lost");
    assert!(read.requests() == trace.requests(), "nor changed");
}
