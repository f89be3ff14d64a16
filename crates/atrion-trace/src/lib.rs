//! Traces: what the routes of an instance were asked, what they decided, and how it ended.
//!
//! A trace holds what is needed to run the control law again over what a service went through:
//! every arrival with its voltage and the decision, every end with its outcome, to the nanosecond,
//! in about a dozen bytes per request. `docs/trace-format.md` describes the bytes.
//!
//! - [`Tape`] is where request threads leave [`Observation`]s: a bounded queue that never waits.
//! - [`Recorder`] moves them into a file on a thread of its own.
//! - [`Writer`] and [`Reader`] are the format; [`Trace`] is a whole file with its requests put
//!   together.
//!
//! ```
//! use atrion_trace::{Arrival, Decision, Ending, Outcome, RouteStart, Tape, Trace, Writer};
//!
//! let tape = Tape::new(1024)?;
//! let start = RouteStart { name: "api/pay".into(), at: 0, seed: 1, in_flight: 0, is_new: true };
//! let route = tape.start(start)?;
//! let key = (5_000, 1); // whatever tells this request apart from others in flight
//! let admitted = Decision::Admitted { kind: Default::default(), shadowed: None };
//! tape.arrived(Arrival { route, at: 5_000, volts: 20.0, in_flight: Some(1), decision: admitted }, Some(key));
//! tape.ended(Ending { route, at: 9_000, outcome: Outcome::Success }, key);
//!
//! let mut writer = Writer::new(Vec::new(), u64::MAX)?;
//! writer.drain(&tape)?;
//! let (bytes, totals) = writer.finish()?;
//! assert_eq!((totals.arrivals, totals.ends, totals.dropped), (1, 1, 0));
//!
//! let trace = Trace::read(&bytes[..])?;
//! assert_eq!(trace.requests()[0].latency_nanos(), Some(4_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is not in a trace
//! What the route had learned before the recording began, and what acted on it besides its own
//! requests: reports of telemetry, other nodes' words, manual control. Of these the trace holds that
//! they happened ([`Mark`]), so that nobody takes a replay for more than it is.

mod bytes;
mod error;
mod format;
mod reader;
mod record;
mod recorder;
mod tape;
mod trace;
mod writer;

pub use error::{RecordError, TraceError};
pub use format::{MAGIC, MOST_BLOCK_BYTES, MOST_NAME_BYTES, MOST_ROUTES, MOST_VOLTAGES, VERSION};
pub use reader::{Finish, Reader};
pub use record::{
    Arrival, Decision, Ending, Key, Kind, Mark, Observation, Outcome, Reason, Record, RouteStart,
    Totals,
};
pub use recorder::{Health, Recorder, Settings};
pub use tape::{LARGEST_TAPE, Tape};
pub use trace::{MOST_REQUESTS, Request, RouteInfo, Step, Trace};
pub use writer::Writer;
